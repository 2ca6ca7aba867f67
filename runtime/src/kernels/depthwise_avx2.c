/* One tap of a depthwise convolution, eight channels at a time. */
#if defined(__x86_64__)

#include <immintrin.h>

#include "qd_kernel.h"

__attribute__((target("avx2"))) void qd_depthwise_avx2(const int8_t *weights, const int16_t *x, size_t n, int32_t *acc) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        const __m256i w = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(weights + i)));
        const __m256i v = _mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)(const void *)(x + i)));
        __m256i *to = (__m256i *)(void *)(acc + i);
        _mm256_storeu_si256(to, _mm256_add_epi32(_mm256_loadu_si256(to), _mm256_mullo_epi32(w, v)));
    }
    if (i < n) qd_depthwise_ref(weights + i, x + i, n - i, acc + i);
}

#else
typedef int qd_depthwise_avx2_is_for_x86_64;
#endif
