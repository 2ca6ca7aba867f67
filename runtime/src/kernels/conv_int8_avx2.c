/* Integer inner product with AVX2: two terms of eight channels a step, by multiply-and-add of 16-bit pairs into 32 bits. */
#if defined(__x86_64__)

#include <immintrin.h>
#include <string.h>

#include "specialise.h"

#define TARGET __attribute__((target("avx2")))
#define INLINE static inline __attribute__((always_inline, target("avx2")))

/* Both terms of a pair, in every 32-bit lane. */
INLINE __m256i pair_at(const int16_t *x, size_t pair) {
    int32_t both;
    memcpy(&both, x + 2 * pair, sizeof both);
    return _mm256_set1_epi32(both);
}

INLINE void block(const int P, const int8_t *weights, size_t pairs, const int16_t *patch, size_t stride, int32_t *acc,
                  size_t acc_stride) {
    const int16_t *x0 = patch, *x1 = P > 1 ? x0 + stride : x0, *x2 = P > 2 ? x1 + stride : x0;
    const int16_t *x3 = P > 3 ? x2 + stride : x0;
    __m256i c0 = _mm256_setzero_si256(), c1 = c0, c2 = c0, c3 = c0;
    for (size_t k = 0; k < pairs; k++) {
        const __m256i w = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(weights + k * 16)));
        c0 = _mm256_add_epi32(c0, _mm256_madd_epi16(w, pair_at(x0, k)));
        if (P > 1) c1 = _mm256_add_epi32(c1, _mm256_madd_epi16(w, pair_at(x1, k)));
        if (P > 2) c2 = _mm256_add_epi32(c2, _mm256_madd_epi16(w, pair_at(x2, k)));
        if (P > 3) c3 = _mm256_add_epi32(c3, _mm256_madd_epi16(w, pair_at(x3, k)));
    }
    _mm256_storeu_si256((__m256i *)(void *)acc, c0);
    if (P > 1) _mm256_storeu_si256((__m256i *)(void *)(acc + acc_stride), c1);
    if (P > 2) _mm256_storeu_si256((__m256i *)(void *)(acc + 2 * acc_stride), c2);
    if (P > 3) _mm256_storeu_si256((__m256i *)(void *)(acc + 3 * acc_stride), c3);
}

#define BLOCK(P) block(P, weights, pairs, patch, patch_stride, acc, acc_stride)

TARGET void qd_conv_int8_avx2(const int8_t *weights, size_t pairs, const int16_t *patch, size_t patch_stride,
                              size_t pixels, int32_t *acc, size_t acc_stride) {
    QD_EACH_PIXELS(pixels, BLOCK);
}

#else
typedef int qd_conv_int8_avx2_is_for_x86_64;
#endif
