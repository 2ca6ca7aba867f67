/*
 * Inner product with ternary digits with NEON: output channels lie in byte lanes, a byte of each plane of activations is copied
 * to all of them. A product is not 0 where both masks are 1, and then -1 where the signs differ: terms less twice those.
 * A lane grows by at most 8 a step, so byte counts are widened every 31 steps; 16 bits hold the largest sum, 32767.
 */
#include "qd_kernel.h"

#if QD_NEON_KERNELS

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

/* 16 channels. Where this is used, P (1 or 4 pixels computed) and planes are constants. */
INLINE void block(const size_t P, const uint8_t *weights, const size_t weight_planes, size_t lanes, const uint8_t *patch,
                  const size_t patch_planes, size_t stride, size_t pixels, const qd_run_span *runs, size_t n_runs, int32_t *acc,
                  size_t acc_stride) {
    uint8x16_t terms[4], minus[4];
    int16x8_t low[4], high[4];
    const uint8_t *x[4];
    size_t left = STEPS;
    for (size_t p = 0; p < P; p++) {
        x[p] = patch + (p < pixels ? p : 0) * stride;
        terms[p] = minus[p] = vdupq_n_u8(0);
        low[p] = high[p] = vdupq_n_s16(0);
    }
    for (size_t r = 0; r < n_runs; r++) {
        size_t k = runs[r].from;
        const size_t end = k + runs[r].length;
        while (k < end) {
            const size_t stop = end - k < left ? end : k + left;
            left -= stop - k;
            for (; k < stop; k++) {
                const uint8_t *at = weights + k * weight_planes * lanes;
                const uint8x16_t signs = vld1q_u8(at), masks = weight_planes == 2 ? vld1q_u8(at + lanes) : signs;
                for (size_t p = 0; p < P; p++) {
                    uint8x16_t both = masks;
                    if (patch_planes == 2) both = vld1q_dup_u8(x[p] + 2 * k + 1);
                    if (patch_planes == 2 && weight_planes == 2) both = vandq_u8(both, masks);
                    terms[p] = vaddq_u8(terms[p], vcntq_u8(both));
                    minus[p] = vaddq_u8(minus[p], vcntq_u8(vandq_u8(veorq_u8(vld1q_dup_u8(x[p] + patch_planes * k), signs), both)));
                }
            }
            if (left == 0 || (k == end && r + 1 == n_runs)) {
                for (size_t p = 0; p < P; p++) {
                    low[p] = add_counts(low[p], vget_low_u8(terms[p]), vget_low_u8(minus[p]));
                    high[p] = add_counts(high[p], vget_high_u8(terms[p]), vget_high_u8(minus[p]));
                    terms[p] = minus[p] = vdupq_n_u8(0);
                }
                left = STEPS;
            }
        }
    }
    for (size_t p = 0; p < P && p < pixels; p++) {
        store8(acc + p * acc_stride, low[p]);
        store8(acc + p * acc_stride + 8, high[p]);
    }
}

#if defined(__aarch64__)

/* Masks set in groups [from, from + n) of a row of two planes. */
INLINE int16_t count_masks(const uint8_t *row, size_t from, size_t n) {
    uint16x8_t sums = vdupq_n_u16(0);
    size_t i = from;
    int32_t rest = 0;
    for (; i + 16 <= from + n; i += 16) sums = vpadalq_u8(sums, vcntq_u8(vld2q_u8(row + 2 * i).val[1]));
    for (; i < from + n; i++) rest += __builtin_popcount(row[2 * i + 1]);
    return (int16_t)(qd_sum(sums) + rest);
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
#endif

#define BLOCK(P, weight_planes, patch_planes) \
    block(P, weights + c, weight_planes, lanes, patch, patch_planes, patch_stride, pixels, runs, n_runs, acc + c, acc_stride)
#define PLANES(CALL, ...)                                           \
    do {                                                            \
        if (weight_planes == 1) CALL(__VA_ARGS__ 1, 2);             \
        else if (patch_planes == 1) CALL(__VA_ARGS__ 2, 1);         \
        else CALL(__VA_ARGS__ 2, 2);                                \
    } while (0)

QD_NEON_TARGET void qd_conv_trits_neon(const uint8_t *weights, size_t weight_planes, size_t lanes, const uint8_t *patch, size_t patch_planes,
                                       size_t patch_stride, size_t pixels, const qd_run_span *runs, size_t n_runs, int32_t *acc,
                                       size_t acc_stride) {
    for (size_t c = 0; pixels == 1 && c < lanes; c += 16) PLANES(BLOCK, 1, );
#if defined(__aarch64__)
    if (lanes == 32 && pixels > 1) PLANES(COUNTED, );
    if (lanes == 16 && pixels > 1) {
        const size_t c = 0;
        PLANES(BLOCK, 4, );
    }
#else
    for (size_t c = 0; pixels > 1 && c < lanes; c += 16) PLANES(BLOCK, 4, );
#endif
}

#endif
