/* Thresholds with AVX-512: a comparison gives sixteen bits. */
#if defined(__x86_64__)

#include <string.h>

#include "avx512.h"

QD_AVX512_TARGET void qd_pack_avx512(const int32_t *acc, const int32_t *thresholds, size_t channels, uint8_t *out) {
    for (size_t c = 0; c < channels; c += 16) {
        const __mmask16 lanes = qd_lanes(channels - c);
        const __m512i a = _mm512_maskz_loadu_epi32(lanes, acc + c), t = _mm512_maskz_loadu_epi32(lanes, thresholds + c);
        const uint16_t both = (uint16_t)_mm512_mask_cmplt_epi32_mask(lanes, a, t);
        memcpy(out + c / 8, &both, channels - c > 8 ? 2 : 1);
    }
}

#else
typedef int qd_pack_avx512_is_for_x86_64;
#endif
