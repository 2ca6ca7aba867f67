/* Integer inner product with AVX-512 VNNI: four terms of eight channels a step, two in each half of the registers. */
#if defined(__x86_64__)

#include <string.h>

#include "avx512.h"
#include "specialise.h"

/* Two pairs: the first in the lower eight lanes, the second in the upper. */
QD_AVX512_INLINE __m512i pairs_at(const int16_t *x, size_t pair) {
    int64_t both;
    memcpy(&both, x + 2 * pair, sizeof both);
    return _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1), _mm512_set1_epi64(both));
}

QD_AVX512_INLINE __m256i last_pair(const int16_t *x, size_t pair) {
    int32_t both;
    memcpy(&both, x + 2 * pair, sizeof both);
    return _mm256_set1_epi32(both);
}

/* Products of 16 bits and their pairs' sums are exact in 32 bits; the instruction does not saturate. */
QD_AVX512_INLINE void block(const int P, const int8_t *weights, size_t pairs, const int16_t *patch, size_t stride, int32_t *acc,
                            size_t acc_stride) {
    const int16_t *x0 = patch, *x1 = P > 1 ? x0 + stride : x0, *x2 = P > 2 ? x1 + stride : x0;
    const int16_t *x3 = P > 3 ? x2 + stride : x0;
    __m512i c0 = _mm512_setzero_si512(), c1 = c0, c2 = c0, c3 = c0;
    size_t k = 0;
    for (; k + 2 <= pairs; k += 2) {
        const __m512i w = _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)(weights + k * 16)));
        c0 = _mm512_dpwssd_epi32(c0, w, pairs_at(x0, k));
        if (P > 1) c1 = _mm512_dpwssd_epi32(c1, w, pairs_at(x1, k));
        if (P > 2) c2 = _mm512_dpwssd_epi32(c2, w, pairs_at(x2, k));
        if (P > 3) c3 = _mm512_dpwssd_epi32(c3, w, pairs_at(x3, k));
    }
#define FINISH(p)                                                                                                         \
    do {                                                                                                                  \
        __m256i sum = _mm256_add_epi32(_mm512_castsi512_si256(c##p), _mm512_extracti32x8_epi32(c##p, 1));                 \
        if (k < pairs) {                                                                                                  \
            const __m256i w = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(weights + k * 16)));   \
            sum = _mm256_dpwssd_epi32(sum, w, last_pair(x##p, k));                                                        \
        }                                                                                                                 \
        _mm256_storeu_si256((__m256i *)(void *)(acc + (size_t)(p) * acc_stride), sum);                                    \
    } while (0)
    FINISH(0);
    if (P > 1) FINISH(1);
    if (P > 2) FINISH(2);
    if (P > 3) FINISH(3);
}

#define BLOCK(P) block(P, weights, pairs, patch, patch_stride, acc, acc_stride)

QD_AVX512_TARGET void qd_conv_int8_avx512(const int8_t *weights, size_t pairs, const int16_t *patch, size_t patch_stride,
                                          size_t pixels, int32_t *acc, size_t acc_stride) {
    QD_EACH_PIXELS(pixels, BLOCK);
}

#else
typedef int qd_conv_int8_avx512_is_for_x86_64;
#endif
