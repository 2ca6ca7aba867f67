/*
 * Stream steps with AVX2 and FMA, eight channels at a time, all steps in one pass.
 * max(0, v), max(low, v) and min(high, v) are written in the operand order in which x86 gives `a > b ? a : b` and
 * `a < b ? a : b`, so NaN and -0.0 come out as the reference's comparisons give them.
 */
#if defined(__x86_64__)

#include <immintrin.h>

#include "qd_kernel.h"

__attribute__((target("avx2,fma"))) void qd_stream_avx2(const qd_stream *steps, const int32_t *acc, const float *in,
                                                        const float *add, size_t channels, float *out) {
    const __m256 zero = _mm256_setzero_ps(), low = _mm256_set1_ps(steps->low), high = _mm256_set1_ps(steps->high);
    size_t c = 0;
    for (; c + 8 <= channels; c += 8) {
        __m256 v = acc ? _mm256_cvtepi32_ps(_mm256_loadu_si256((const __m256i *)(const void *)(acc + c)))
                       : _mm256_loadu_ps(in + c);
        if (steps->scale) {
            v = _mm256_mul_ps(v, steps->scale_step ? _mm256_loadu_ps(steps->scale + c) : _mm256_set1_ps(*steps->scale));
        }
        if (steps->a) v = _mm256_fmadd_ps(v, _mm256_loadu_ps(steps->a + c), _mm256_loadu_ps(steps->b + c));
        if (steps->bias) {
            v = _mm256_add_ps(v, steps->bias_step ? _mm256_loadu_ps(steps->bias + c) : _mm256_set1_ps(*steps->bias));
        }
        if (add) v = _mm256_add_ps(v, _mm256_loadu_ps(add + c));
        if (steps->relu) v = _mm256_max_ps(zero, v);
        if (steps->clip) v = _mm256_min_ps(high, _mm256_max_ps(low, v));
        if (steps->slope) {
            const __m256 slope = steps->slope_step ? _mm256_loadu_ps(steps->slope + c) : _mm256_set1_ps(*steps->slope);
            v = _mm256_blendv_ps(_mm256_mul_ps(slope, v), v, _mm256_cmp_ps(v, zero, _CMP_GT_OQ));
        }
        _mm256_storeu_ps(out + c, v);
    }
    if (c < channels) {
        qd_stream rest = *steps;
        if (rest.scale && rest.scale_step) rest.scale += c;
        if (rest.bias && rest.bias_step) rest.bias += c;
        if (rest.slope && rest.slope_step) rest.slope += c;
        if (rest.a) rest.a += c;
        if (rest.b) rest.b += c;
        qd_stream_ref(&rest, acc ? acc + c : NULL, in ? in + c : NULL, add ? add + c : NULL, channels - c, out + c);
    }
}

#else
typedef int qd_stream_avx2_is_for_x86_64;
#endif
