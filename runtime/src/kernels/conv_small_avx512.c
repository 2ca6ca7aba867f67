/*
 * Integer inner product by weights of few bits with AVX-512: the two bytes of a plane are a mask register, which turns ones into
 * weights; multiplying a pair and adding it is one instruction. Even and odd pairs have sums of their own, for its latency.
 */
#if defined(__x86_64__)

#include <string.h>

#include "avx512.h"
#include "specialise.h"

QD_AVX512_INLINE __mmask16 plane_at(const uint8_t *w) {
    uint16_t both;
    memcpy(&both, w, sizeof both);
    return _cvtu32_mask16(both);
}

/* A pair of weights of eight channels. */
QD_AVX512_INLINE __m256i widen(const uint8_t *w, const qd_small_form form) {
    const __m256i one = _mm256_set1_epi16(1), minus = _mm256_set1_epi16(-1);
    if (form == QD_SMALL_INT4) {
        const __m256i v = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)w));
        const __m256i even = _mm256_srai_epi32(_mm256_slli_epi32(v, 28), 28);
        return _mm256_blend_epi16(even, _mm256_slli_epi32(_mm256_srai_epi32(_mm256_slli_epi32(v, 24), 28), 16), 0xAA);
    }
    if (form == QD_SMALL_MASKS) return _mm256_maskz_mov_epi16(plane_at(w), one);
    if (form == QD_SMALL_BITS) return _mm256_mask_mov_epi16(one, plane_at(w), minus);
    return _mm256_mask_mov_epi16(_mm256_maskz_mov_epi16(plane_at(w + 2), one), plane_at(w), minus);
}

/* Both terms of a pair, in every 32-bit lane. */
QD_AVX512_INLINE __m256i pair_at(const int16_t *x) {
    int32_t both;
    memcpy(&both, x, sizeof both);
    return _mm256_set1_epi32(both);
}

/* Where this is used, P (1 or 4 pixels computed) and the form are constants. */
QD_AVX512_INLINE void block(const size_t P, const uint8_t *weights, const qd_small_form form, size_t pairs, const int16_t *patch,
                            size_t stride, size_t pixels, int32_t *acc, size_t acc_stride) {
    const size_t pair = qd_small_pair_bytes(form);
    __m256i even[4], odd[4];
    const int16_t *x[4];
    size_t k = 0;
    _Pragma("GCC unroll 4") for (size_t p = 0; p < P; p++) {
        x[p] = patch + (p < pixels ? p : 0) * stride;
        even[p] = odd[p] = _mm256_setzero_si256();
    }
    for (; k + 2 <= pairs; k += 2) {
        const __m256i first = widen(weights + k * pair, form), second = widen(weights + (k + 1) * pair, form);
        _Pragma("GCC unroll 4") for (size_t p = 0; p < P; p++) {
            even[p] = _mm256_dpwssd_epi32(even[p], first, pair_at(x[p] + 2 * k));
            odd[p] = _mm256_dpwssd_epi32(odd[p], second, pair_at(x[p] + 2 * k + 2));
        }
    }
    if (k < pairs) {
        const __m256i last = widen(weights + k * pair, form);
        _Pragma("GCC unroll 4") for (size_t p = 0; p < P; p++) even[p] = _mm256_dpwssd_epi32(even[p], last, pair_at(x[p] + 2 * k));
    }
    _Pragma("GCC unroll 4") for (size_t p = 0; p < P; p++) {
        if (p < pixels) _mm256_storeu_si256((__m256i *)(void *)(acc + p * acc_stride), _mm256_add_epi32(even[p], odd[p]));
    }
}

#define BLOCK(P, form) block(P, weights, form, pairs, patch, patch_stride, pixels, acc, acc_stride)

QD_AVX512_TARGET void qd_conv_small_avx512(const uint8_t *weights, qd_small_form form, size_t pairs, const int16_t *patch,
                                           size_t patch_stride, size_t pixels, int32_t *acc, size_t acc_stride) {
    QD_EACH_SMALL(pixels, form, BLOCK);
}

#else
typedef int qd_conv_small_avx512_is_for_x86_64;
#endif
