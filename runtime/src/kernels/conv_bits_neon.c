/*
 * Binary inner product with NEON: output channels lie in byte lanes, one byte of activations is copied to all of them.
 * xor, count, add: a lane grows by at most 8 a step, so byte sums are widened to 16 bits every 31 steps; 16 bits hold the
 * largest count, 65535. Each load of weights serves four pixels.
 */
#include "qd_kernel.h"

#if QD_NEON_KERNELS

#include "neon.h"

#define INLINE QD_NEON_INLINE

enum { STEPS = 31 };

/* bits - 2 * counts, for 8 channels. */
INLINE void store_counts(int32_t *acc, uint16x8_t counts, int32x4_t bits) {
    const int32x4_t low = vreinterpretq_s32_u32(vshll_n_u16(vget_low_u16(counts), 1));
    const int32x4_t high = vreinterpretq_s32_u32(vshll_n_u16(vget_high_u16(counts), 1));
    vst1q_s32(acc, vsubq_s32(bits, low));
    vst1q_s32(acc + 4, vsubq_s32(bits, high));
}

/* Where this is used, P (1 or 4 pixels computed) and Q (vectors of 16 channels) are constants. */
INLINE void block(const size_t P, const size_t Q, const uint8_t *weights, const uint8_t *patch, size_t stride, size_t pixels,
                  const qd_run_span *runs, size_t n_runs, int32_t all_bits, int32_t *acc, size_t acc_stride) {
    const int32x4_t bits = vdupq_n_s32(all_bits);
    uint8x16_t c[4][2];
    uint16x8_t low[4][2], high[4][2];
    const uint8_t *x[4];
    size_t left = STEPS;
    for (size_t p = 0; p < P; p++) {
        x[p] = patch + (p < pixels ? p : 0) * stride;
        for (size_t q = 0; q < Q; q++) {
            c[p][q] = vdupq_n_u8(0);
            low[p][q] = high[p][q] = vdupq_n_u16(0);
        }
    }
    for (size_t r = 0; r < n_runs; r++) {
        size_t k = runs[r].from;
        const size_t end = k + runs[r].length;
        while (k < end) {
            const size_t stop = end - k < left ? end : k + left;
            left -= stop - k;
            for (; k < stop; k++) {
                uint8x16_t w[2];
                for (size_t q = 0; q < Q; q++) w[q] = vld1q_u8(weights + k * 16 * Q + 16 * q);
                for (size_t p = 0; p < P; p++) {
                    const uint8x16_t byte = vld1q_dup_u8(x[p] + k);
                    for (size_t q = 0; q < Q; q++) c[p][q] = vaddq_u8(c[p][q], vcntq_u8(veorq_u8(byte, w[q])));
                }
            }
            if (left == 0 || (k == end && r + 1 == n_runs)) {
                for (size_t p = 0; p < P; p++) {
                    for (size_t q = 0; q < Q; q++) {
                        low[p][q] = vaddw_u8(low[p][q], vget_low_u8(c[p][q]));
                        high[p][q] = vaddw_u8(high[p][q], vget_high_u8(c[p][q]));
                        c[p][q] = vdupq_n_u8(0);
                    }
                }
                left = STEPS;
            }
        }
    }
    for (size_t p = 0; p < P && p < pixels; p++) {
        for (size_t q = 0; q < Q; q++) {
            store_counts(acc + p * acc_stride + 16 * q, low[p][q], bits);
            store_counts(acc + p * acc_stride + 16 * q + 8, high[p][q], bits);
        }
    }
}

#define BLOCK(P, Q) block(P, Q, weights, patch, patch_stride, pixels, runs, n_runs, bits, acc, acc_stride)

QD_NEON_TARGET void qd_conv_bits_neon(const uint8_t *weights, size_t lanes, const uint8_t *patch, size_t patch_stride, size_t pixels,
                                      const qd_run_span *runs, size_t n_runs, int32_t bits, int32_t *acc, size_t acc_stride) {
    if (lanes == 32) {
        if (pixels == 1) BLOCK(1, 2);
        else BLOCK(4, 2);
    } else {
        if (pixels == 1) BLOCK(1, 1);
        else BLOCK(4, 1);
    }
}

#endif
