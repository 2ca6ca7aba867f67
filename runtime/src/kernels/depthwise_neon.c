/* One tap of a depthwise convolution, eight channels at a time. */
#include "qd_kernel.h"

#if QD_NEON_KERNELS

#include "neon.h"

QD_NEON_TARGET void qd_depthwise_neon(const int8_t *weights, const int16_t *x, size_t n, int32_t *acc) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        const int16x8_t w = vmovl_s8(vld1_s8(weights + i)), v = vld1q_s16(x + i);
        vst1q_s32(acc + i, vmlal_s16(vld1q_s32(acc + i), vget_low_s16(w), vget_low_s16(v)));
        vst1q_s32(acc + i + 4, vmlal_s16(vld1q_s32(acc + i + 4), vget_high_s16(w), vget_high_s16(v)));
    }
    if (i < n) qd_depthwise_ref(weights + i, x + i, n - i, acc + i);
}

#endif
