/* Thresholds with AVX2: eight comparisons give eight mask bits, one byte. */
#if defined(__x86_64__)

#include <immintrin.h>

#include "qd_kernel.h"

__attribute__((target("avx2"))) void qd_pack_avx2(const int32_t *acc, const int32_t *thresholds, size_t channels,
                                                  uint8_t *out) {
    size_t i = 0;
    for (; i + 8 <= channels; i += 8) {
        const __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)(acc + i));
        const __m256i t = _mm256_loadu_si256((const __m256i *)(const void *)(thresholds + i));
        out[i / 8] = (uint8_t)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(t, a)));
    }
    if (i < channels) qd_pack_ref(acc + i, thresholds + i, channels - i, out + i / 8);
}

#else
typedef int qd_pack_avx2_is_for_x86_64;
#endif
