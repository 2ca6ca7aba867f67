/* What becomes of accumulators that lie in vectors of sixteen channels: bits, streams or themselves. */
#ifndef QD_FINISH_AVX512_H
#define QD_FINISH_AVX512_H

#include "avx512.h"

/* Output pixels at a time, at most; vectors of each. */
enum { QD_MOST_PIXELS = 8, QD_MOST_VECTORS = 2 };

/*
 * The steps on 16 channels, whose constants are loaded once. A step that is left out multiplies by 1, adds -0.0 or cuts at infinities,
 * which changes no value.
 */
typedef struct qd_steps16 {
    __m512 scale, first_low, a, b, bias, slope, low, high; /* first_low: of the first ReLU */
} qd_steps16;

QD_AVX512_INLINE qd_steps16 qd_steps16_from(const qd_stream *steps, size_t c, __mmask16 lanes) {
    const __m512 zero = _mm512_setzero_ps(), one = _mm512_set1_ps(1.0f), nothing = _mm512_set1_ps(-0.0f);
    const __m512 infinity = _mm512_castsi512_ps(_mm512_set1_epi32(0x7F800000));
    const __m512 lowest = _mm512_sub_ps(zero, infinity), least = steps->clip ? _mm512_set1_ps(steps->low) : lowest;
    qd_steps16 s;
    s.scale = steps->scale ? qd_constant16(steps->scale, steps->scale_step, c, lanes) : one;
    s.first_low = steps->first_relu ? zero : lowest;
    s.a = steps->a ? _mm512_maskz_loadu_ps(lanes, steps->a + c) : one;
    s.b = steps->a ? _mm512_maskz_loadu_ps(lanes, steps->b + c) : nothing;
    s.bias = steps->bias ? qd_constant16(steps->bias, steps->bias_step, c, lanes) : nothing;
    s.slope = steps->slope ? qd_constant16(steps->slope, steps->slope_step, c, lanes) : one;
    s.low = steps->relu ? _mm512_max_ps(least, zero) : least;
    s.high = steps->clip ? _mm512_set1_ps(steps->high) : infinity;
    return s;
}

/* add: -0.0 where there is no second input. */
QD_AVX512_INLINE __m512 qd_apply16(const qd_steps16 *s, __m512i acc, __m512 add) {
    __m512 v = _mm512_max_ps(s->first_low, _mm512_mul_ps(_mm512_cvtepi32_ps(acc), s->scale));
    v = _mm512_fmadd_ps(v, s->a, s->b);
    v = _mm512_add_ps(_mm512_add_ps(v, s->bias), add);
    v = _mm512_min_ps(s->high, _mm512_max_ps(s->low, v));
    return _mm512_mask_mul_ps(v, _mm512_cmp_ps_mask(v, _mm512_setzero_ps(), _CMP_NGT_UQ), s->slope, v);
}

/* Bits of 16 Q channels from `first` on of one output pixel, of `bytes` bytes. */
QD_AVX512_INLINE void qd_store_ones(const int Q, const __mmask16 *ones, uint8_t *pixel, size_t bytes, size_t first) {
    _Pragma("GCC unroll 2") for (int q = 0; q < Q; q++) {
        const uint16_t both = (uint16_t)ones[q];
        const size_t at = first / 8 + 2 * (size_t)q;
        if (at + 1 == bytes) pixel[at] = (uint8_t)both;
        else memcpy(pixel + at, &both, 2);
    }
}

/* Streams, with signs if they are wanted, or accumulators. P and Q are constants. */
QD_AVX512_INLINE void qd_finish_values(const int P, const int Q, const qd_map *m, size_t first, const __m512i (*acc)[QD_MOST_VECTORS],
                                       const size_t *pixel) {
    const size_t channels = m->out_channels, bytes = m->sign_pixel;
    const float *const add = m->add;
    uint8_t *const signs = m->signs;
    float *const out = (float *)(void *)m->out;
    _Pragma("GCC unroll 2") for (int q = 0; q < Q; q++) {
        const size_t c = first + 16 * (size_t)q;
        const __mmask16 lanes = c < channels ? qd_lanes(channels - c) : 0;
        if (m->steps) {
            const qd_steps16 s = qd_steps16_from(m->steps, c, lanes);
            _Pragma("GCC unroll 8") for (int p = 0; p < P; p++) {
                const size_t at = pixel[p] * channels + c;
                const __m512 v = qd_apply16(&s, acc[p][q], add ? _mm512_maskz_loadu_ps(lanes, add + at) : _mm512_set1_ps(-0.0f));
                const __mmask16 minus = _mm512_mask_cmp_ps_mask(lanes, v, _mm512_setzero_ps(), _CMP_NGE_UQ);
                _mm512_mask_storeu_ps(out + at, lanes, v);
                if (signs && lanes) qd_store_ones(1, &minus, signs + pixel[p] * bytes, bytes, c);
            }
        } else {
            _Pragma("GCC unroll 8") for (int p = 0; p < P; p++) _mm512_mask_storeu_epi32(out + pixel[p] * channels + c, lanes, acc[p][q]);
        }
    }
}

/* Bits of accumulators below the thresholds. */
QD_AVX512_INLINE void qd_finish_bits(const int P, const int Q, const qd_map *m, size_t first, const __m512i (*acc)[QD_MOST_VECTORS],
                                     const size_t *pixel) {
    uint8_t *const out = m->out; /* copies: what is stored could be anything's */
    const size_t bytes = m->out_pixel;
    __m512i limit[QD_MOST_VECTORS];
    __mmask16 lanes[QD_MOST_VECTORS];
    _Pragma("GCC unroll 2") for (int q = 0; q < Q; q++) {
        const size_t c = first + 16 * (size_t)q;
        lanes[q] = c < m->out_channels ? qd_lanes(m->out_channels - c) : 0;
        limit[q] = _mm512_maskz_loadu_epi32(lanes[q], m->thresholds + c);
    }
    _Pragma("GCC unroll 8") for (int p = 0; p < P; p++) {
        __mmask16 ones[QD_MOST_VECTORS];
        _Pragma("GCC unroll 2") for (int q = 0; q < Q; q++) ones[q] = _mm512_mask_cmplt_epi32_mask(lanes[q], acc[p][q], limit[q]);
        qd_store_ones(Q, ones, out + pixel[p] * bytes, bytes, first);
    }
}

#endif
