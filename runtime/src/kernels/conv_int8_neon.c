/* Integer inner product with NEON: a pair of weights of eight channels is split by one load, widened, and multiplied in. */
#include "specialise.h"

#if QD_NEON_KERNELS

#include "neon.h"

#define INLINE QD_NEON_INLINE

INLINE void block(const int P, const int8_t *weights, size_t pairs, const int16_t *patch, size_t stride, int32_t *acc,
                  size_t acc_stride) {
    const int16_t *x0 = patch, *x1 = P > 1 ? x0 + stride : x0, *x2 = P > 2 ? x1 + stride : x0;
    const int16_t *x3 = P > 3 ? x2 + stride : x0;
    const int32x4_t zero = vdupq_n_s32(0);
    int32x4_t l0 = zero, l1 = zero, l2 = zero, l3 = zero;
    int32x4_t h0 = zero, h1 = zero, h2 = zero, h3 = zero;
    for (size_t k = 0; k < pairs; k++) {
        const int8x8x2_t both = vld2_s8(weights + k * 16);
        const int16x8_t w0 = vmovl_s8(both.val[0]), w1 = vmovl_s8(both.val[1]);
#define STEP(p)                                                          \
    do {                                                                 \
        l##p = vmlal_n_s16(l##p, vget_low_s16(w0), x##p[2 * k]);         \
        h##p = vmlal_n_s16(h##p, vget_high_s16(w0), x##p[2 * k]);        \
        l##p = vmlal_n_s16(l##p, vget_low_s16(w1), x##p[2 * k + 1]);     \
        h##p = vmlal_n_s16(h##p, vget_high_s16(w1), x##p[2 * k + 1]);    \
    } while (0)
        STEP(0);
        if (P > 1) STEP(1);
        if (P > 2) STEP(2);
        if (P > 3) STEP(3);
    }
#define FINISH(p)                                         \
    do {                                                  \
        vst1q_s32(acc + (p) * acc_stride, l##p);          \
        vst1q_s32(acc + (p) * acc_stride + 4, h##p);      \
    } while (0)
    FINISH(0);
    if (P > 1) FINISH(1);
    if (P > 2) FINISH(2);
    if (P > 3) FINISH(3);
}

#define BLOCK(P) block(P, weights, pairs, patch, patch_stride, acc, acc_stride)

QD_NEON_TARGET void qd_conv_int8_neon(const int8_t *weights, size_t pairs, const int16_t *patch, size_t patch_stride, size_t pixels,
                                      int32_t *acc, size_t acc_stride) {
    QD_EACH_PIXELS(pixels, BLOCK);
}

#endif
