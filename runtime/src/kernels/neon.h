/* What the NEON kernels share: the steps of a stream, bits of masks, the output of whole convolutions. */
#ifndef QD_NEON_H
#define QD_NEON_H

#include <arm_neon.h>
#include <string.h>

#include "qd_kernel.h"

#define QD_NEON_INLINE static inline __attribute__((always_inline))

/* For i below N, unrolled. */
#define QD_EACH(N) _Pragma("GCC unroll 4") for (size_t i = 0; i < (N); i++)

/* Elements [c, c + 4) of a constant with one element per channel, or its one element. */
QD_NEON_INLINE float32x4_t qd_constant4(const float *constant, size_t step, size_t c) {
    return step ? vld1q_f32(constant + c) : vdupq_n_f32(*constant);
}

/*
 * The steps on N vectors of four channels from c on; N is a constant where this is used. add: the second input at channel c, or null.
 * Comparisons choose, so NaN and -0.0 come out as the reference's do.
 */
QD_NEON_INLINE void qd_stream_vectors(const size_t N, const qd_stream *steps, size_t c, const float *add, float32x4_t *v) {
    const float32x4_t zero = vdupq_n_f32(0.0f);
    if (steps->scale) QD_EACH(N) v[i] = vmulq_f32(v[i], qd_constant4(steps->scale, steps->scale_step, c + 4 * i));
    if (steps->a) QD_EACH(N) v[i] = vfmaq_f32(vld1q_f32(steps->b + c + 4 * i), v[i], vld1q_f32(steps->a + c + 4 * i));
    if (steps->bias) QD_EACH(N) v[i] = vaddq_f32(v[i], qd_constant4(steps->bias, steps->bias_step, c + 4 * i));
    if (add) QD_EACH(N) v[i] = vaddq_f32(v[i], vld1q_f32(add + 4 * i));
    if (steps->relu) QD_EACH(N) v[i] = vbslq_f32(vcltq_f32(v[i], zero), zero, v[i]);
    if (steps->clip) {
        const float32x4_t low = vdupq_n_f32(steps->low), high = vdupq_n_f32(steps->high);
        QD_EACH(N) v[i] = vbslq_f32(vcltq_f32(v[i], low), low, vbslq_f32(vcgtq_f32(v[i], high), high, v[i]));
    }
    if (steps->slope) {
        QD_EACH(N) {
            const float32x4_t below = vmulq_f32(qd_constant4(steps->slope, steps->slope_step, c + 4 * i), v[i]);
            v[i] = vbslq_f32(vcgtq_f32(v[i], zero), v[i], below);
        }
    }
}

QD_NEON_INLINE void qd_stream_channels(const size_t N, const qd_stream *steps, size_t c, const int32_t *acc, const float *in, const float *add,
                                       float *out) {
    float32x4_t v[4];
    QD_EACH(N) v[i] = acc ? vcvtq_f32_s32(vld1q_s32(acc + 4 * i)) : vld1q_f32(in + 4 * i);
    qd_stream_vectors(N, steps, c, add, v);
    QD_EACH(N) vst1q_f32(out + 4 * i, v[i]);
}

/* Channels [first, first + n) of one pixel; the values, add and out begin at the first of them. */
QD_NEON_INLINE void qd_stream_part(const qd_stream *steps, size_t first, size_t n, const int32_t *acc, const float *in, const float *add,
                                   float *out) {
    size_t i = 0;
    for (; i + 16 <= n; i += 16) qd_stream_channels(4, steps, first + i, acc ? acc + i : NULL, in ? in + i : NULL, add ? add + i : NULL, out + i);
    for (; i + 4 <= n; i += 4) qd_stream_channels(1, steps, first + i, acc ? acc + i : NULL, in ? in + i : NULL, add ? add + i : NULL, out + i);
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

/* How many output pixels there are. */
QD_NEON_INLINE size_t qd_map_pixels(const qd_map *m) {
    size_t rows = 0;
    for (size_t r = 0; r < m->n_rows; r++) rows += m->rows[r].end - m->rows[r].begin;
    return rows * m->out_w;
}

/* Zeros in the bytes of output bits that no 16 channels reach. */
QD_NEON_INLINE void qd_clear_spare(const qd_map *m) {
    const size_t used = (m->out_channels + 15) / 16 * 2;
    if (!m->thresholds || m->out_pixel <= used) return;
    for (size_t r = 0; r < m->n_rows; r++) {
        for (size_t i = m->rows[r].begin * m->out_w; i < m->rows[r].end * m->out_w; i++) {
            memset(m->out + i * m->out_pixel + used, 0, m->out_pixel - used);
        }
    }
}

#endif
