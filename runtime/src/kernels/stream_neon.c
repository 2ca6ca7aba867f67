/* Stream steps with NEON, four channels at a time, all steps in one pass; on 32-bit Arm, where NEON takes subnormal numbers for 0, as the reference. */
#include "qd_kernel.h"

#if QD_NEON_KERNELS

#include "neon.h"

#if defined(__aarch64__)

/* For i below N, unrolled. */
#define EACH(N) _Pragma("GCC unroll 4") for (size_t i = 0; i < (N); i++)

/* Elements [c, c + 4) of a constant with one element per channel, or its one element. */
QD_NEON_INLINE float32x4_t constant4(const float *constant, size_t step, size_t c) {
    return step ? vld1q_f32(constant + c) : vdupq_n_f32(*constant);
}

/*
 * The steps on N vectors of four channels from c on; N is a constant where this is used. add: the second input at channel c, or null.
 * Comparisons choose, so NaN and -0.0 come out as the reference's do.
 */
QD_NEON_INLINE void vectors(const size_t N, const qd_stream *steps, size_t c, const float *add, float32x4_t *v) {
    const float32x4_t zero = vdupq_n_f32(0.0f);
    if (steps->scale) EACH(N) v[i] = vmulq_f32(v[i], constant4(steps->scale, steps->scale_step, c + 4 * i));
    if (steps->first_relu) EACH(N) v[i] = vbslq_f32(vcltq_f32(v[i], zero), zero, v[i]);
    if (steps->a) EACH(N) v[i] = vfmaq_f32(vld1q_f32(steps->b + c + 4 * i), v[i], vld1q_f32(steps->a + c + 4 * i));
    if (steps->bias) EACH(N) v[i] = vaddq_f32(v[i], constant4(steps->bias, steps->bias_step, c + 4 * i));
    if (add) EACH(N) v[i] = vaddq_f32(v[i], vld1q_f32(add + 4 * i));
    if (steps->relu) EACH(N) v[i] = vbslq_f32(vcltq_f32(v[i], zero), zero, v[i]);
    if (steps->clip) {
        const float32x4_t low = vdupq_n_f32(steps->low), high = vdupq_n_f32(steps->high);
        EACH(N) v[i] = vbslq_f32(vcltq_f32(v[i], low), low, vbslq_f32(vcgtq_f32(v[i], high), high, v[i]));
    }
    if (steps->slope) {
        EACH(N) {
            const float32x4_t below = vmulq_f32(constant4(steps->slope, steps->slope_step, c + 4 * i), v[i]);
            v[i] = vbslq_f32(vcgtq_f32(v[i], zero), v[i], below);
        }
    }
}

QD_NEON_INLINE void some_channels(const size_t N, const qd_stream *steps, size_t c, const int32_t *acc, const float *in, const float *add,
                                  float *out) {
    float32x4_t v[4];
    EACH(N) v[i] = acc ? vcvtq_f32_s32(vld1q_s32(acc + 4 * i)) : vld1q_f32(in + 4 * i);
    vectors(N, steps, c, add, v);
    EACH(N) vst1q_f32(out + 4 * i, v[i]);
}

#endif

/* Channels [first, first + n) of one pixel; the values, add and out begin at the first of them. */
QD_NEON_TARGET static void part(const qd_stream *steps, size_t first, size_t n, const int32_t *acc, const float *in, const float *add,
                                float *out) {
    size_t i = 0;
#if defined(__aarch64__)
    for (; i + 16 <= n; i += 16) some_channels(4, steps, first + i, acc ? acc + i : NULL, in ? in + i : NULL, add ? add + i : NULL, out + i);
    for (; i + 4 <= n; i += 4) some_channels(1, steps, first + i, acc ? acc + i : NULL, in ? in + i : NULL, add ? add + i : NULL, out + i);
#endif
    if (i < n) {
        const qd_stream rest = qd_stream_from(steps, first + i);
        qd_stream_ref(&rest, acc ? acc + i : NULL, in ? in + i : NULL, add ? add + i : NULL, n - i, out + i);
    }
}

#if defined(__aarch64__)
void qd_stream_neon(const qd_stream *steps, const int32_t *acc, const float *in, const float *add, size_t channels, float *out) {
    part(steps, 0, channels, acc, in, add, out);
}
#endif

QD_NEON_TARGET void qd_neon_store_values(const qd_map *m, size_t c, const int32_t *acc, size_t pixel) {
    const size_t n = m->out_channels - c < 16 ? m->out_channels - c : 16, at = pixel * m->out_channels + c;
    if (m->steps) part(m->steps, c, n, acc, NULL, m->add ? m->add + at : NULL, (float *)(void *)m->out + at);
    else memcpy((int32_t *)(void *)m->out + at, acc, n * sizeof *acc);
}

#endif
