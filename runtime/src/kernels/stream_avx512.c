/* Stream steps with AVX-512: sixteen channels at a time, the last ones under a mask. */
#if defined(__x86_64__)

#include "avx512.h"

QD_AVX512_TARGET void qd_stream_avx512(const qd_stream *steps, const int32_t *acc, const float *in, const float *add,
                                       size_t channels, float *out) {
    for (size_t c = 0; c < channels; c += 16) {
        const __mmask16 lanes = qd_lanes(channels - c);
        const __m512 v = acc ? _mm512_cvtepi32_ps(_mm512_maskz_loadu_epi32(lanes, acc + c)) : _mm512_maskz_loadu_ps(lanes, in + c);
        _mm512_mask_storeu_ps(out + c, lanes, qd_stream16(steps, c, lanes, v, add ? add + c : NULL));
    }
}

#else
typedef int qd_stream_avx512_is_for_x86_64;
#endif
