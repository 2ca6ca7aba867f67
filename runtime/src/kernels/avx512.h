/* What the AVX-512 kernels share: the instructions of Ice Lake, Zen 4 and later, and a vector of stream steps. */
#ifndef QD_AVX512_H
#define QD_AVX512_H

#include <immintrin.h>

#include "spare.h"

#define QD_AVX512_TARGET \
    __attribute__((target("popcnt,avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vpopcntdq,avx512vnni")))
#define QD_AVX512_INLINE static inline __attribute__((always_inline)) QD_AVX512_TARGET

/* The first n lanes of 16; n may exceed 16. */
QD_AVX512_INLINE __mmask16 qd_lanes(size_t n) { return _cvtu32_mask16(n >= 16 ? 0xFFFFu : (1u << n) - 1u); }

/* Elements [c, c + lanes) of a constant with one element per channel, or its one element. */
QD_AVX512_INLINE __m512 qd_constant16(const float *constant, size_t step, size_t c, __mmask16 lanes) {
    return step ? _mm512_maskz_loadu_ps(lanes, constant + c) : _mm512_set1_ps(*constant);
}

/*
 * The steps on channels [c, c + lanes) of a pixel. add: the second input at channel c, or null. max(0, v), max(low, v) and
 * min(high, v) are in the operand order in which x86 gives `a > b ? a : b` and `a < b ? a : b`, so NaN and -0.0 come out right.
 */
QD_AVX512_INLINE __m512 qd_stream16(const qd_stream *steps, size_t c, __mmask16 lanes, __m512 v, const float *add) {
    const __m512 zero = _mm512_setzero_ps();
    if (steps->scale) v = _mm512_mul_ps(v, qd_constant16(steps->scale, steps->scale_step, c, lanes));
    if (steps->first_relu) v = _mm512_max_ps(zero, v);
    if (steps->a) v = _mm512_fmadd_ps(v, _mm512_maskz_loadu_ps(lanes, steps->a + c), _mm512_maskz_loadu_ps(lanes, steps->b + c));
    if (steps->bias) v = _mm512_add_ps(v, qd_constant16(steps->bias, steps->bias_step, c, lanes));
    if (add) v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(lanes, add));
    if (steps->relu) v = _mm512_max_ps(zero, v);
    if (steps->clip) v = _mm512_min_ps(_mm512_set1_ps(steps->high), _mm512_max_ps(_mm512_set1_ps(steps->low), v));
    if (steps->slope) {
        const __mmask16 rest = _mm512_cmp_ps_mask(v, zero, _CMP_NGT_UQ);
        v = _mm512_mask_mul_ps(v, rest, qd_constant16(steps->slope, steps->slope_step, c, lanes), v);
    }
    return v;
}

#endif
