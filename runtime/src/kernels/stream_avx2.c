/* Stream steps with AVX2 and FMA, eight channels at a time, all steps in one pass. */
#if defined(__x86_64__)

#include "avx2.h"

QD_AVX2_TARGET void qd_stream_avx2(const qd_stream *steps, const int32_t *acc, const float *in, const float *add, size_t channels,
                                   float *out) {
    size_t c = 0;
    for (; c + 8 <= channels; c += 8) {
        const __m256 v = acc ? _mm256_cvtepi32_ps(_mm256_loadu_si256((const __m256i *)(const void *)(acc + c)))
                             : _mm256_loadu_ps(in + c);
        _mm256_storeu_ps(out + c, qd_stream8(steps, c, v, add ? add + c : NULL));
    }
    if (c < channels) {
        const qd_stream rest = qd_stream_from(steps, c);
        qd_stream_ref(&rest, acc ? acc + c : NULL, in ? in + c : NULL, add ? add + c : NULL, channels - c, out + c);
    }
}

#else
typedef int qd_stream_avx2_is_for_x86_64;
#endif
