/* Signs with AVX-512: a comparison, not the sign bit, so that -0.0 counts as +1 and NaN as -1. */
#if defined(__x86_64__)

#include <string.h>

#include "avx512.h"

QD_AVX512_TARGET void qd_sign_avx512(const float *in, size_t channels, uint8_t *out) {
    for (size_t c = 0; c < channels; c += 16) {
        const __mmask16 lanes = qd_lanes(channels - c);
        const __mmask16 bits = _mm512_mask_cmp_ps_mask(lanes, _mm512_maskz_loadu_ps(lanes, in + c), _mm512_setzero_ps(), _CMP_NGE_UQ);
        const uint16_t both = (uint16_t)bits;
        memcpy(out + c / 8, &both, channels - c > 8 ? 2 : 1);
    }
}

#else
typedef int qd_sign_avx512_is_for_x86_64;
#endif
