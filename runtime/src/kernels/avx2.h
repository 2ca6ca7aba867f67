/* What the AVX2 kernels of whole convolutions share: four output pixels at a time, and eight channels of a stream. */
#ifndef QD_AVX2_H
#define QD_AVX2_H

#include <immintrin.h>
#include <string.h>

#include "spare.h"

#define QD_AVX2_TARGET __attribute__((target("avx2,fma")))
#define QD_AVX2_INLINE static inline __attribute__((always_inline)) QD_AVX2_TARGET

/* Output pixels of a band of rows and one of columns, in row-major order from (y, x) on. */
typedef struct qd_walk {
    const qd_map *map;
    qd_band rows, columns;
    size_t y, x;
} qd_walk;

/*
 * The next output pixels, at most four: where their first tap inside the map lies, and their numbers. Returns how many, 0 at the
 * end; the last one stands in for those missing.
 */
QD_AVX2_INLINE size_t qd_next_pixels(qd_walk *walk, const uint8_t **in, size_t *pixel) {
    const qd_map *m = walk->map;
    const size_t step = m->stride_w * m->pixel;
    const size_t some = walk->rows.from < walk->rows.to && walk->columns.from < walk->columns.to; /* 0: none is inside */
    size_t n = 0;
    if (walk->y == walk->rows.end) return 0;
    if (walk->columns.end - walk->x >= QD_TILE_PIXELS) { /* side by side, the most common */
        const size_t row = (walk->y * m->stride_h + walk->rows.from - m->top) * m->w;
        const uint8_t *first = m->in + some * (row + walk->x * m->stride_w + walk->columns.from - m->left) * m->pixel;
        for (; n < QD_TILE_PIXELS; n++) {
            in[n] = first + some * n * step;
            pixel[n] = walk->y * m->out_w + walk->x + n;
        }
        walk->x += n;
        if (walk->x == walk->columns.end) {
            walk->x = walk->columns.begin;
            walk->y++;
        }
        return n;
    }
    for (; n < QD_TILE_PIXELS && walk->y < walk->rows.end; n++) {
        const size_t row = (walk->y * m->stride_h + walk->rows.from - m->top) * m->w;
        in[n] = m->in + some * (row + walk->x * m->stride_w + walk->columns.from - m->left) * m->pixel;
        pixel[n] = walk->y * m->out_w + walk->x;
        if (++walk->x == walk->columns.end) {
            walk->x = walk->columns.begin;
            walk->y++;
        }
    }
    for (size_t i = n; i < QD_TILE_PIXELS; i++) {
        in[i] = in[n - 1];
        pixel[i] = pixel[n - 1];
    }
    return n;
}

/* Elements [c, c + 8) of a constant with one element per channel, or its one element. */
QD_AVX2_INLINE __m256 qd_constant8(const float *constant, size_t step, size_t c) {
    return step ? _mm256_loadu_ps(constant + c) : _mm256_set1_ps(*constant);
}

/*
 * The steps on channels [c, c + 8) of a pixel. add: the second input at channel c, or null. max(0, v), max(low, v) and
 * min(high, v) are in the operand order in which x86 gives `a > b ? a : b` and `a < b ? a : b`, so NaN and -0.0 come out as the
 * reference's comparisons give them.
 */
QD_AVX2_INLINE __m256 qd_stream8(const qd_stream *steps, size_t c, __m256 v, const float *add) {
    const __m256 zero = _mm256_setzero_ps();
    if (steps->scale) v = _mm256_mul_ps(v, qd_constant8(steps->scale, steps->scale_step, c));
    if (steps->first_relu) v = _mm256_max_ps(zero, v);
    if (steps->a) v = _mm256_fmadd_ps(v, _mm256_loadu_ps(steps->a + c), _mm256_loadu_ps(steps->b + c));
    if (steps->bias) v = _mm256_add_ps(v, qd_constant8(steps->bias, steps->bias_step, c));
    if (add) v = _mm256_add_ps(v, _mm256_loadu_ps(add));
    if (steps->relu) v = _mm256_max_ps(zero, v);
    if (steps->clip) v = _mm256_min_ps(_mm256_set1_ps(steps->high), _mm256_max_ps(_mm256_set1_ps(steps->low), v));
    if (steps->slope) {
        const __m256 slope = qd_constant8(steps->slope, steps->slope_step, c);
        v = _mm256_blendv_ps(_mm256_mul_ps(slope, v), v, _mm256_cmp_ps(v, zero, _CMP_GT_OQ));
    }
    return v;
}

/*
 * The steps on eight channels, whose constants are loaded once. A step that is left out multiplies by 1, adds -0.0 or cuts at
 * infinities, which changes no value.
 */
typedef struct qd_steps8 {
    __m256 scale, first_low, a, b, bias, slope, low, high; /* first_low: of the first ReLU */
    int further; /* there is one of the steps that few streams have */
} qd_steps8;

QD_AVX2_INLINE qd_steps8 qd_steps_from(const qd_stream *steps, size_t c) {
    const __m256 zero = _mm256_setzero_ps(), one = _mm256_set1_ps(1.0f), nothing = _mm256_set1_ps(-0.0f);
    const __m256 infinity = _mm256_castsi256_ps(_mm256_set1_epi32(0x7F800000));
    const __m256 lowest = _mm256_sub_ps(zero, infinity), least = steps->clip ? _mm256_set1_ps(steps->low) : lowest;
    qd_steps8 s;
    s.scale = steps->scale ? qd_constant8(steps->scale, steps->scale_step, c) : one;
    s.first_low = steps->first_relu ? zero : lowest;
    s.a = steps->a ? _mm256_loadu_ps(steps->a + c) : one;
    s.b = steps->a ? _mm256_loadu_ps(steps->b + c) : nothing;
    s.bias = steps->bias ? qd_constant8(steps->bias, steps->bias_step, c) : nothing;
    s.slope = steps->slope ? qd_constant8(steps->slope, steps->slope_step, c) : one;
    s.low = steps->relu ? _mm256_max_ps(least, zero) : least;
    s.high = steps->clip ? _mm256_set1_ps(steps->high) : infinity;
    s.further = steps->first_relu || steps->bias || steps->relu || steps->clip;
    return s;
}

/* add: -0.0 where there is no second input. */
QD_AVX2_INLINE __m256 qd_apply8(const int further, const qd_steps8 *s, __m256i acc, __m256 add) {
    __m256 v = _mm256_mul_ps(_mm256_cvtepi32_ps(acc), s->scale);
    if (further) v = _mm256_max_ps(s->first_low, v);
    v = _mm256_fmadd_ps(v, s->a, s->b);
    if (further) v = _mm256_add_ps(v, s->bias);
    v = _mm256_add_ps(v, add);
    if (further) v = _mm256_min_ps(s->high, _mm256_max_ps(s->low, v));
    return _mm256_blendv_ps(_mm256_mul_ps(s->slope, v), v, _mm256_cmp_ps(v, _mm256_setzero_ps(), _CMP_GT_OQ));
}

QD_AVX2_INLINE uint8_t qd_signs8(__m256 v) { return (uint8_t)_mm256_movemask_ps(_mm256_cmp_ps(v, _mm256_setzero_ps(), _CMP_NGE_UQ)); }

/* Channels [first, first + n) of an output pixel that is a stream, its signs too if they are wanted, or accumulators. */
QD_AVX2_INLINE void qd_store_values(const qd_map *m, size_t first, size_t n, const int32_t *acc, size_t pixel) {
    const size_t at = pixel * m->out_channels + first;
    uint8_t *signs = m->signs ? m->signs + pixel * m->sign_pixel + first / 8 : NULL;
    float *out = (float *)(void *)m->out + at;
    size_t c = 0;
    if (!m->steps) {
        memcpy(out, acc, n * sizeof *acc);
        return;
    }
    for (; c + 8 <= n; c += 8) {
        const __m256 v = _mm256_cvtepi32_ps(_mm256_loadu_si256((const __m256i *)(const void *)(acc + c)));
        const __m256 f = qd_stream8(m->steps, first + c, v, m->add ? m->add + at + c : NULL);
        _mm256_storeu_ps(out + c, f);
        if (signs) signs[c / 8] = (uint8_t)_mm256_movemask_ps(_mm256_cmp_ps(f, _mm256_setzero_ps(), _CMP_NGE_UQ));
    }
    if (c < n) {
        const qd_stream rest = qd_stream_from(m->steps, first + c);
        qd_stream_ref(&rest, acc + c, NULL, m->add ? m->add + at + c : NULL, n - c, out + c);
        if (signs) qd_sign_ref(out + c, n - c, signs + c / 8);
    }
}

#endif
