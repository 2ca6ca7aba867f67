/* Integer inner product with the DSP instructions of 32-bit Arm: two products and their sum at once, for pairs of halves of words. */
#if defined(__arm__) && defined(__ARM_FEATURE_SIMD32) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__

#include <arm_acle.h>
#include <string.h>

#include "qd_kernel.h"

#define INLINE static inline __attribute__((always_inline))

INLINE int32_t load(const void *p) {
    int32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* One step of two channels of P pixels; a word of weights holds both terms of each channel. */
INLINE void step(const size_t P, const int8_t *weights, const int16_t *x0, const int16_t *x1, int32_t *sums) {
    const int32_t w = load(weights), x = load(x0);
    const uint32_t first = (uint32_t)__sxtb16(w), second = (uint32_t)__sxtb16((int32_t)((uint32_t)w >> 8 | (uint32_t)w << 24));
    const int32_t low = (int32_t)((first & 0xFFFF) | second << 16), high = (int32_t)(first >> 16 | (second & 0xFFFF0000u));
    sums[0] = __smlad(low, x, sums[0]);
    sums[1] = __smlad(high, x, sums[1]);
    if (P == 1) return;
    sums[2] = __smlad(low, load(x1), sums[2]);
    sums[3] = __smlad(high, load(x1), sums[3]);
}

/* Two channels of P = 1 or 2 pixels: more do not fit the registers. Two steps a turn save a branch. */
INLINE void channels(const size_t P, const int8_t *weights, size_t pairs, const int16_t *x0, const int16_t *x1, int32_t *acc,
                     size_t acc_stride) {
    const int8_t *const end = weights + pairs / 2 * 32;
    int32_t sums[4] = {0, 0, 0, 0};
    QD_SMALL_LOOP for (; weights != end; weights += 32, x0 += 4, x1 += 4) {
        step(P, weights, x0, x1, sums);
        step(P, weights + 16, x0 + 2, x1 + 2, sums);
    }
    if (pairs % 2) step(P, weights, x0, x1, sums);
    acc[0] = sums[0];
    acc[1] = sums[1];
    if (P == 1) return;
    acc[acc_stride] = sums[2];
    acc[acc_stride + 1] = sums[3];
}

void qd_conv_int8_arm32(const int8_t *weights, size_t pairs, const int16_t *patch, size_t patch_stride, size_t pixels,
                        int32_t *acc, size_t acc_stride) {
    for (; pixels > 0; pixels -= pixels > 1 ? 2 : 1, patch += 2 * patch_stride, acc += 2 * acc_stride) {
        for (size_t c = 0; c < 8; c += 2) {
            if (pixels > 1) channels(2, weights + 2 * c, pairs, patch, patch + patch_stride, acc + c, acc_stride);
            else channels(1, weights + 2 * c, pairs, patch, patch, acc + c, acc_stride);
        }
    }
}

#else
typedef int qd_conv_int8_arm32_is_for_arm;
#endif
