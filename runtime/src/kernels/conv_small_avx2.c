/* Integer inner product by weights of few bits with AVX2: a pair of weights of eight channels is widened, then multiplied in. */
#if defined(__x86_64__)

#include <immintrin.h>
#include <string.h>

#include "specialise.h"

#define TARGET __attribute__((target("avx2")))
#define INLINE static inline __attribute__((always_inline, target("avx2")))

/* -1 in the 16-bit lanes whose bit is set in the two bytes at w. */
INLINE __m256i lanes_of_bits(const uint8_t *w) {
    const __m256i place = _mm256_setr_epi16(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, (short)-32768);
    int16_t both;
    memcpy(&both, w, sizeof both);
    return _mm256_cmpeq_epi16(_mm256_and_si256(_mm256_set1_epi16(both), place), place);
}

INLINE __m256i widen(const uint8_t *w, const qd_small_form form) {
    if (form == QD_SMALL_INT4) {
        const __m256i v = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)w));
        const __m256i even = _mm256_srai_epi32(_mm256_slli_epi32(v, 28), 28);
        const __m256i odd = _mm256_slli_epi32(_mm256_srai_epi32(_mm256_slli_epi32(v, 24), 28), 16);
        return _mm256_blend_epi16(even, odd, 0xAA);
    } else {
        const __m256i minus = lanes_of_bits(w);
        if (form == QD_SMALL_MASKS) return _mm256_sub_epi16(_mm256_setzero_si256(), minus);
        if (form == QD_SMALL_BITS) return _mm256_or_si256(minus, _mm256_set1_epi16(1));
        return _mm256_sub_epi16(_mm256_add_epi16(minus, minus), lanes_of_bits(w + 2)); /* -2 + 1, 0 + 1 or 0 */
    }
}

/* Both terms of a pair, in every 32-bit lane. */
INLINE __m256i pair_at(const int16_t *x) {
    int32_t both;
    memcpy(&both, x, sizeof both);
    return _mm256_set1_epi32(both);
}

/* Where this is used, P (1 or 4 pixels computed) and the form are constants. */
INLINE void block(const size_t P, const uint8_t *weights, const qd_small_form form, size_t pairs, const int16_t *patch, size_t stride,
                  size_t pixels, int32_t *acc, size_t acc_stride) {
    const __m256i zero = _mm256_setzero_si256();
    __m256i c[4] = {zero, zero, zero, zero};
    const int16_t *x[4];
    for (size_t p = 0; p < P; p++) x[p] = patch + (p < pixels ? p : 0) * stride;
    for (size_t k = 0; k < pairs; k++) {
        const __m256i w = widen(weights + k * qd_small_pair_bytes(form), form);
        for (size_t p = 0; p < P; p++) c[p] = _mm256_add_epi32(c[p], _mm256_madd_epi16(w, pair_at(x[p] + 2 * k)));
    }
    for (size_t p = 0; p < P && p < pixels; p++) _mm256_storeu_si256((__m256i *)(void *)(acc + p * acc_stride), c[p]);
}

#define BLOCK(P, form) block(P, weights, form, pairs, patch, patch_stride, pixels, acc, acc_stride)

TARGET void qd_conv_small_avx2(const uint8_t *weights, qd_small_form form, size_t pairs, const int16_t *patch, size_t patch_stride,
                               size_t pixels, int32_t *acc, size_t acc_stride) {
    QD_EACH_SMALL(pixels, form, BLOCK);
}

#else
typedef int qd_conv_small_avx2_is_for_x86_64;
#endif
