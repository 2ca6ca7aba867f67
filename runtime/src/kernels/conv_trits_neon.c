/*
 * Inner product with ternary digits with NEON: output channels lie in byte lanes, a byte of each plane of activations is copied
 * to all of them. A product is not 0 where both masks are 1, and then -1 where the signs differ: terms less twice those.
 * A lane grows by at most 8 a step, so byte counts are widened every 31 steps; 16 bits hold the largest sum, 32767.
 */
#if defined(__aarch64__)

#include "counts_neon.h"

#define INLINE QD_NEON_INLINE

enum { STEPS = QD_STEPS };

INLINE int16x8_t add_counts(int16x8_t sums, uint8x8_t terms, uint8x8_t minus) {
    sums = vaddq_s16(sums, vreinterpretq_s16_u16(vsubl_u8(terms, minus)));
    return vsubq_s16(sums, vreinterpretq_s16_u16(vmovl_u8(minus)));
}

INLINE void store8(int32_t *acc, int16x8_t sums) {
    vst1q_s32(acc, vmovl_s16(vget_low_s16(sums)));
    vst1q_s32(acc + 4, vmovl_s16(vget_high_s16(sums)));
}

/* Where this is used, P (1 or 4 pixels computed), Q (vectors of 16 channels) and planes are constants. */
INLINE void block(const size_t P, const size_t Q, const uint8_t *weights, const size_t weight_planes, const uint8_t *patch,
                  const size_t patch_planes, size_t stride, size_t pixels, const qd_run_span *runs, size_t n_runs, int32_t *acc,
                  size_t acc_stride) {
    const size_t lanes = 16 * Q;
    uint8x16_t terms[4][2], minus[4][2];
    int16x8_t low[4][2], high[4][2];
    const uint8_t *x[4];
    size_t left = STEPS;
    for (size_t p = 0; p < P; p++) {
        x[p] = patch + (p < pixels ? p : 0) * stride;
        for (size_t q = 0; q < Q; q++) {
            terms[p][q] = minus[p][q] = vdupq_n_u8(0);
            low[p][q] = high[p][q] = vdupq_n_s16(0);
        }
    }
    for (size_t r = 0; r < n_runs; r++) {
        size_t k = runs[r].from;
        const size_t end = k + runs[r].length;
        while (k < end) {
            const size_t stop = end - k < left ? end : k + left;
            left -= stop - k;
            for (; k < stop; k++) {
                const uint8_t *at = weights + k * weight_planes * lanes;
                uint8x16_t signs[2], masks[2];
                for (size_t q = 0; q < Q; q++) {
                    signs[q] = vld1q_u8(at + 16 * q);
                    if (weight_planes == 2) masks[q] = vld1q_u8(at + lanes + 16 * q);
                }
                for (size_t p = 0; p < P; p++) {
                    const uint8x16_t sign = vld1q_dup_u8(x[p] + patch_planes * k);
                    for (size_t q = 0; q < Q; q++) {
                        uint8x16_t both;
                        if (patch_planes == 1) {
                            both = masks[q];
                        } else {
                            both = vld1q_dup_u8(x[p] + 2 * k + 1);
                            if (weight_planes == 2) both = vandq_u8(both, masks[q]);
                        }
                        terms[p][q] = vaddq_u8(terms[p][q], vcntq_u8(both));
                        minus[p][q] = vaddq_u8(minus[p][q], vcntq_u8(vandq_u8(veorq_u8(sign, signs[q]), both)));
                    }
                }
            }
            if (left == 0 || (k == end && r + 1 == n_runs)) {
                for (size_t p = 0; p < P; p++) {
                    for (size_t q = 0; q < Q; q++) {
                        low[p][q] = add_counts(low[p][q], vget_low_u8(terms[p][q]), vget_low_u8(minus[p][q]));
                        high[p][q] = add_counts(high[p][q], vget_high_u8(terms[p][q]), vget_high_u8(minus[p][q]));
                        terms[p][q] = minus[p][q] = vdupq_n_u8(0);
                    }
                }
                left = STEPS;
            }
        }
    }
    for (size_t p = 0; p < P && p < pixels; p++) {
        for (size_t q = 0; q < Q; q++) {
            store8(acc + p * acc_stride + 16 * q, low[p][q]);
            store8(acc + p * acc_stride + 16 * q + 8, high[p][q]);
        }
    }
}

/* Masks set in groups [from, from + n) of a row of two planes. */
INLINE int16_t count_masks(const uint8_t *row, size_t from, size_t n) {
    uint16x8_t sums = vdupq_n_u16(0);
    size_t i = from;
    int32_t rest = 0;
    for (; i + 16 <= from + n; i += 16) sums = vpadalq_u8(sums, vcntq_u8(vld2q_u8(row + 2 * i).val[1]));
    for (; i < from + n; i++) rest += __builtin_popcount(row[2 * i + 1]);
    return (int16_t)(vaddvq_u16(sums) + rest);
}

/* Two to four pixels with 32 channels, counted by blocks of assembly. */
INLINE void counted(const uint8_t *weights, const size_t weight_planes, const uint8_t *patch, const size_t patch_planes, size_t stride,
                    size_t pixels, const qd_run_span *runs, size_t n_runs, int32_t *acc, size_t acc_stride) {
    int16x8_t low[8], high[8];
    for (size_t i = 0; i < 8; i++) low[i] = high[i] = vdupq_n_s16(0);
    for (size_t r = 0; r < n_runs; r++) {
        const size_t end = runs[r].from + (size_t)runs[r].length;
        for (size_t p = 0; weight_planes == 1 && p < pixels; p++) {
            const int16x8_t terms = vdupq_n_s16(count_masks(patch + p * stride, runs[r].from, runs[r].length));
            for (size_t q = 2 * p; q < 2 * p + 2; q++) {
                low[q] = vaddq_s16(low[q], terms);
                high[q] = vaddq_s16(high[q], terms);
            }
        }
        for (size_t k = runs[r].from; k < end; k += STEPS) {
            uint8x16_t found[16];
            qd_walk walk = {{NULL, NULL, NULL, NULL}, 1, end - k < STEPS ? end - k : STEPS, 0, 0};
            for (size_t p = 0; p < 4; p++) walk.x[p] = patch + (p < pixels ? p : 0) * stride + k * patch_planes;
            if (weight_planes == 1) qd_count_patch_trits_4(&walk, weights + k * 32, found);
            else if (patch_planes == 1) qd_count_weight_trits_4(&walk, weights + k * 64, found);
            else qd_count_trits_4(&walk, weights + k * 64, found);
            _Pragma("GCC unroll 8") for (size_t i = 0; i < 8; i++) {
                const uint8x16_t minus = found[i], zero = vdupq_n_u8(0);
                const uint8x16_t terms = weight_planes == 1 ? zero : patch_planes == 1 ? found[8 + i % 2] : found[8 + i];
                low[i] = add_counts(low[i], vget_low_u8(terms), vget_low_u8(minus));
                high[i] = add_counts(high[i], vget_high_u8(terms), vget_high_u8(minus));
            }
        }
    }
    for (size_t p = 0; p < pixels; p++) {
        for (size_t q = 0; q < 2; q++) {
            store8(acc + p * acc_stride + 16 * q, low[2 * p + q]);
            store8(acc + p * acc_stride + 16 * q + 8, high[2 * p + q]);
        }
    }
}

#define COUNTED(weight_planes, patch_planes) \
    counted(weights, weight_planes, patch, patch_planes, patch_stride, pixels, runs, n_runs, acc, acc_stride)
#define BLOCK(P, Q, weight_planes, patch_planes) \
    block(P, Q, weights, weight_planes, patch, patch_planes, patch_stride, pixels, runs, n_runs, acc, acc_stride)
#define PLANES(P, Q)                                    \
    do {                                                \
        if (weight_planes == 1) BLOCK(P, Q, 1, 2);      \
        else if (patch_planes == 1) BLOCK(P, Q, 2, 1);  \
        else BLOCK(P, Q, 2, 2);                         \
    } while (0)

void qd_conv_trits_neon(const uint8_t *weights, size_t weight_planes, size_t lanes, const uint8_t *patch, size_t patch_planes,
                        size_t patch_stride, size_t pixels, const qd_run_span *runs, size_t n_runs, int32_t *acc,
                        size_t acc_stride) {
    if (lanes == 32) {
        if (pixels == 1) PLANES(1, 2);
        else if (weight_planes == 1) COUNTED(1, 2);
        else if (patch_planes == 1) COUNTED(2, 1);
        else COUNTED(2, 2);
    } else {
        if (pixels == 1) PLANES(1, 1);
        else PLANES(4, 1);
    }
}

#else
typedef int qd_conv_trits_neon_is_for_aarch64;
#endif
