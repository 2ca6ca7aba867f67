/*
 * Binary inner product with NEON: output channels lie in byte lanes, one byte of activations is copied to all of them.
 * xor, count, add: a lane grows by at most 8 a step, so byte sums are widened to 16 bits every 31 steps; 16 bits hold the
 * largest count, 65535. Each load of weights serves four pixels.
 */
#if defined(__aarch64__)

#include <arm_neon.h>

#include "specialise.h"

#define INLINE static inline __attribute__((always_inline))

enum { STEPS = 31 };

/* Applies M to each of the first P pixels; P is a constant where this is used. */
#define EACH_PIXEL(M) \
    M(0);             \
    if (P > 1) {      \
        M(1);         \
    }                 \
    if (P > 2) {      \
        M(2);         \
    }                 \
    if (P > 3) {      \
        M(3);         \
    }

/* bits - 2 * counts, for 8 channels. */
INLINE void store_counts(int32_t *acc, uint16x8_t counts, int32x4_t bits) {
    const int32x4_t low = vreinterpretq_s32_u32(vshll_n_u16(vget_low_u16(counts), 1));
    const int32x4_t high = vreinterpretq_s32_u32(vshll_n_u16(vget_high_u16(counts), 1));
    vst1q_s32(acc, vsubq_s32(bits, low));
    vst1q_s32(acc + 4, vsubq_s32(bits, high));
}

#define COUNT(c, x, w) c = vaddq_u8(c, vcntq_u8(veorq_u8(x, w)))

/* Adds the byte sums of a vector to its 16-bit sums and clears them. */
#define FLUSH_ONE(c, low, high)                   \
    low = vaddw_u8(low, vget_low_u8(c));          \
    high = vaddw_u8(high, vget_high_u8(c));       \
    c = vdupq_n_u8(0)

/* Q vectors of 16 channels, P pixels: both constant where this is used. */
INLINE void block(const int P, const int Q, const uint8_t *weights, const uint8_t *patch, size_t stride,
                  const qd_run_span *runs, size_t n_runs, int32_t all_bits, int32_t *acc, size_t acc_stride) {
    const uint8x16_t zero = vdupq_n_u8(0);
    const uint16x8_t wide = vdupq_n_u16(0);
    const int32x4_t bits = vdupq_n_s32(all_bits);
    const size_t lanes = 16 * (size_t)Q;
    const uint8_t *x0 = patch, *x1 = P > 1 ? x0 + stride : x0, *x2 = P > 2 ? x1 + stride : x0;
    const uint8_t *x3 = P > 3 ? x2 + stride : x0;
    uint8x16_t c00 = zero, c01 = zero, c10 = zero, c11 = zero, c20 = zero, c21 = zero, c30 = zero, c31 = zero;
    uint16x8_t l00 = wide, l01 = wide, l10 = wide, l11 = wide, l20 = wide, l21 = wide, l30 = wide, l31 = wide;
    uint16x8_t h00 = wide, h01 = wide, h10 = wide, h11 = wide, h20 = wide, h21 = wide, h30 = wide, h31 = wide;
    size_t left = STEPS;
    for (size_t r = 0; r < n_runs; r++) {
        size_t k = runs[r].from;
        const size_t end = k + runs[r].length;
        while (k < end) {
            const size_t stop = end - k < left ? end : k + left;
            left -= stop - k;
            for (; k < stop; k++) {
                const uint8x16_t w0 = vld1q_u8(weights + k * lanes);
                const uint8x16_t w1 = Q > 1 ? vld1q_u8(weights + k * lanes + 16) : w0;
#define STEP(p)                                      \
    do {                                             \
        const uint8x16_t x = vld1q_dup_u8(x##p + k); \
        COUNT(c##p##0, x, w0);                       \
        if (Q > 1) COUNT(c##p##1, x, w1);            \
    } while (0)
                EACH_PIXEL(STEP)
            }
#define FLUSH(p)                                                \
    do {                                                        \
        FLUSH_ONE(c##p##0, l##p##0, h##p##0);                   \
        if (Q > 1) {                                            \
            FLUSH_ONE(c##p##1, l##p##1, h##p##1);               \
        }                                                       \
    } while (0)
            if (left == 0) {
                EACH_PIXEL(FLUSH)
                left = STEPS;
            }
        }
    }
#define FINISH(p)                                      \
    do {                                               \
        int32_t *to = acc + (size_t)(p) * acc_stride;  \
        FLUSH(p);                                      \
        store_counts(to, l##p##0, bits);               \
        store_counts(to + 8, h##p##0, bits);           \
        if (Q > 1) {                                   \
            store_counts(to + 16, l##p##1, bits);      \
            store_counts(to + 24, h##p##1, bits);      \
        }                                              \
    } while (0)
    EACH_PIXEL(FINISH)
}

#define BLOCK32(P) block(P, 2, weights, patch, patch_stride, runs, n_runs, bits, acc, acc_stride)
#define BLOCK16(P) block(P, 1, weights, patch, patch_stride, runs, n_runs, bits, acc, acc_stride)

void qd_conv_bits_neon(const uint8_t *weights, size_t lanes, const uint8_t *patch, size_t patch_stride, size_t pixels,
                       const qd_run_span *runs, size_t n_runs, int32_t bits, int32_t *acc, size_t acc_stride) {
    if (lanes == 32) QD_EACH_PIXELS(pixels, BLOCK32);
    else QD_EACH_PIXELS(pixels, BLOCK16);
}

#else
typedef int qd_conv_bits_neon_is_for_aarch64;
#endif
