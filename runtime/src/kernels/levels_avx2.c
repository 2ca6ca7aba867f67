/* Levels with AVX2: a comparison gives -1 where a threshold is not reached, which is what a level loses. */
#if defined(__x86_64__)

#include <immintrin.h>

#include "qd_kernel.h"

#define INLINE static inline __attribute__((always_inline, target("avx2")))

INLINE __m256i below(const int32_t *acc, const int32_t *thresholds) {
    return _mm256_cmpgt_epi32(_mm256_loadu_si256((const __m256i *)(const void *)thresholds),
                              _mm256_loadu_si256((const __m256i *)(const void *)acc));
}

__attribute__((target("avx2"))) void qd_levels_avx2(const int32_t *acc, const int32_t *thresholds, size_t channels,
                                                    int8_t *levels) {
    /* Packing works on the 128-bit halves apart: this puts groups of four channels back in order. */
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    size_t i = 0;
    for (; i + 32 <= channels; i += 32) {
        const __m256i low = _mm256_packs_epi32(below(acc + i, thresholds + i), below(acc + i + 8, thresholds + i + 8));
        const __m256i high = _mm256_packs_epi32(below(acc + i + 16, thresholds + i + 16), below(acc + i + 24, thresholds + i + 24));
        const __m256i less = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(low, high), order);
        __m256i *to = (__m256i *)(void *)(levels + i);
        _mm256_storeu_si256(to, _mm256_add_epi8(_mm256_loadu_si256(to), less));
    }
    for (; i + 8 <= channels; i += 8) {
        const __m256i less = below(acc + i, thresholds + i);
        const __m128i half = _mm_packs_epi32(_mm256_castsi256_si128(less), _mm256_extracti128_si256(less, 1));
        __m128i *to = (__m128i *)(void *)(levels + i);
        _mm_storel_epi64(to, _mm_add_epi8(_mm_loadl_epi64(to), _mm_packs_epi16(half, half)));
    }
    if (i < channels) qd_levels_ref(acc + i, thresholds + i, channels - i, levels + i);
}

#else
typedef int qd_levels_avx2_is_for_x86_64;
#endif
