/* What the NEON kernels share: the steps of a stream, four channels at a time. */
#ifndef QD_NEON_H
#define QD_NEON_H

#include <arm_neon.h>
#include <string.h>

#include "qd_kernel.h"

#define QD_NEON_INLINE static inline __attribute__((always_inline))

/* Elements [c, c + 4) of a constant with one element per channel, or its one element. */
QD_NEON_INLINE float32x4_t qd_constant4(const float *constant, size_t step, size_t c) {
    return step ? vld1q_f32(constant + c) : vdupq_n_f32(*constant);
}

/* The steps on channels [c, c + 4). add: the second input at channel c, or null. Comparisons choose, so NaN and -0.0 come out as the reference's do. */
QD_NEON_INLINE float32x4_t qd_stream4(const qd_stream *steps, size_t c, float32x4_t v, const float *add) {
    const float32x4_t zero = vdupq_n_f32(0.0f);
    if (steps->scale) v = vmulq_f32(v, qd_constant4(steps->scale, steps->scale_step, c));
    if (steps->a) v = vfmaq_f32(vld1q_f32(steps->b + c), v, vld1q_f32(steps->a + c));
    if (steps->bias) v = vaddq_f32(v, qd_constant4(steps->bias, steps->bias_step, c));
    if (add) v = vaddq_f32(v, vld1q_f32(add));
    if (steps->relu) v = vbslq_f32(vcltq_f32(v, zero), zero, v);
    if (steps->clip) {
        const float32x4_t low = vdupq_n_f32(steps->low), high = vdupq_n_f32(steps->high);
        v = vbslq_f32(vcltq_f32(v, low), low, vbslq_f32(vcgtq_f32(v, high), high, v));
    }
    if (steps->slope) v = vbslq_f32(vcgtq_f32(v, zero), v, vmulq_f32(qd_constant4(steps->slope, steps->slope_step, c), v));
    return v;
}

/* Channels [first, first + n) of one pixel; the values, add and out begin at the first of them. */
QD_NEON_INLINE void qd_stream_part(const qd_stream *steps, size_t first, size_t n, const int32_t *acc, const float *in, const float *add,
                           float *out) {
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        const float32x4_t v = acc ? vcvtq_f32_s32(vld1q_s32(acc + i)) : vld1q_f32(in + i);
        vst1q_f32(out + i, qd_stream4(steps, first + i, v, add ? add + i : NULL));
    }
    if (i < n) {
        qd_stream rest = *steps;
        const size_t c = first + i;
        if (rest.scale && rest.scale_step) rest.scale += c;
        if (rest.bias && rest.bias_step) rest.bias += c;
        if (rest.slope && rest.slope_step) rest.slope += c;
        if (rest.a) rest.a += c;
        if (rest.b) rest.b += c;
        qd_stream_ref(&rest, acc ? acc + i : NULL, in ? in + i : NULL, add ? add + i : NULL, n - i, out + i);
    }
}

#endif
