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

/* masks[2 * pixel + half]: all ones or nothing for each of 16 channels of P pixels, of which there are 1 or 4. Gives 16 bits a pixel. */
QD_NEON_INLINE uint16x4_t qd_pack_masks(const size_t P, const uint16x8_t *masks) {
    static const uint16_t places[8] = {1, 2, 4, 8, 16, 32, 64, 128};
    const uint16x8_t place = vld1q_u16(places);
    uint16x8_t v[4];
    _Pragma("GCC unroll 4") for (size_t p = 0; p < 4; p++) {
        v[p] = p < P ? vpaddq_u16(vandq_u16(masks[2 * p], place), vandq_u16(masks[2 * p + 1], place)) : v[0];
    }
    return vreinterpret_u16_u8(vmovn_u16(vpaddq_u16(vpaddq_u16(v[0], v[1]), vpaddq_u16(v[2], v[3]))));
}

/* Accumulators of 16 channels from c on of one pixel of a convolution's output, or the stream that they become. */
QD_NEON_INLINE void qd_store_values(const qd_map *m, size_t c, const int32_t *acc, size_t pixel) {
    const size_t n = m->out_channels - c < 16 ? m->out_channels - c : 16, at = pixel * m->out_channels + c;
    if (m->steps) qd_stream_part(m->steps, c, n, acc, NULL, m->add ? m->add + at : NULL, (float *)(void *)m->out + at);
    else memcpy((int32_t *)(void *)m->out + at, acc, n * sizeof *acc);
}

/* 8-bit pixels by weights -1, 0 and +1; a map kernel for these only. */
int qd_conv_pixels_neon(const qd_map *m);

#endif
