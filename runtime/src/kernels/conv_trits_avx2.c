/*
 * Inner product with ternary digits with AVX2: output channels lie in byte lanes, sums are looked up.
 *
 * Four terms of activations, a half byte of signs and one of masks, choose a row of a table. With weights of +1 and -1 the row
 * holds, for each half byte of weight signs, the sum of the four products. With ternary weights it holds the sum of the
 * activations at the ones of a half byte: looked up for the weights that are +1, less those that are -1.
 * A lane changes by at most 8 a step, so byte sums are widened to 16 bits every 15 steps; 16 bits hold the largest sum, 32767.
 */
#if defined(__x86_64__)

#include <immintrin.h>

#include "trits_avx2.h"

#define TARGET __attribute__((target("avx2")))
#define INLINE static inline __attribute__((always_inline, target("avx2")))

enum { STEPS = 15 };

INLINE __m256i row_of(const int8_t (*table)[16], unsigned row) {
    return _mm256_broadcastsi128_si256(_mm_load_si128((const __m128i *)(const void *)table[row]));
}

INLINE __m256i lanes_of(const uint8_t *weights, size_t lanes) {
    if (lanes == 32) return _mm256_loadu_si256((const __m256i *)(const void *)weights);
    return _mm256_inserti128_si256(_mm256_setzero_si256(), _mm_loadu_si128((const __m128i *)(const void *)weights), 0);
}

INLINE void store16(int32_t *acc, __m256i sums) {
    _mm256_storeu_si256((__m256i *)(void *)acc, _mm256_cvtepi16_epi32(_mm256_castsi256_si128(sums)));
    _mm256_storeu_si256((__m256i *)(void *)(acc + 8), _mm256_cvtepi16_epi32(_mm256_extracti128_si256(sums, 1)));
}

/* Where this is used, P (1 or 4 pixels computed), planes and lanes are constants. */
INLINE void block(const size_t P, const uint8_t *weights, const size_t weight_planes, const size_t lanes, const uint8_t *patch,
                  const size_t patch_planes, size_t stride, size_t pixels, const qd_run_span *runs, size_t n_runs, int32_t *acc,
                  size_t acc_stride) {
    const __m256i half = _mm256_set1_epi8(15), zero = _mm256_setzero_si256();
    __m256i c[4] = {zero, zero, zero, zero}, low[4] = {zero, zero, zero, zero}, high[4] = {zero, zero, zero, zero};
    const uint8_t *x[4];
    size_t left = STEPS;
    for (size_t p = 0; p < P; p++) x[p] = patch + (p < pixels ? p : 0) * stride;
    for (size_t r = 0; r < n_runs; r++) {
        size_t k = runs[r].from;
        const size_t end = k + runs[r].length;
        while (k < end) {
            const size_t stop = end - k < left ? end : k + left;
            left -= stop - k;
            for (; k < stop; k++) {
                const uint8_t *at = weights + k * weight_planes * lanes;
                const __m256i minus = lanes_of(at, lanes);
                const __m256i plus = weight_planes == 2 ? _mm256_andnot_si256(minus, lanes_of(at + lanes, lanes)) : minus;
                const __m256i plus_low = _mm256_and_si256(plus, half);
                const __m256i plus_high = _mm256_and_si256(_mm256_srli_epi16(plus, 4), half);
                const __m256i minus_low = _mm256_and_si256(minus, half);
                const __m256i minus_high = _mm256_and_si256(_mm256_srli_epi16(minus, 4), half);
                for (size_t p = 0; p < P; p++) {
                    const unsigned sign = x[p][patch_planes * k], mask = patch_planes == 2 ? x[p][2 * k + 1] : 0xFFu;
                    const int8_t (*table)[16] = weight_planes == 2 ? qd_at_ones : qd_products;
                    const __m256i first = row_of(table, (mask & 15) << 4 | (sign & 15));
                    const __m256i second = row_of(table, (mask & 0xF0) | sign >> 4);
                    c[p] = _mm256_add_epi8(c[p], _mm256_shuffle_epi8(first, plus_low));
                    c[p] = _mm256_add_epi8(c[p], _mm256_shuffle_epi8(second, plus_high));
                    if (weight_planes == 2) {
                        c[p] = _mm256_sub_epi8(c[p], _mm256_shuffle_epi8(first, minus_low));
                        c[p] = _mm256_sub_epi8(c[p], _mm256_shuffle_epi8(second, minus_high));
                    }
                }
            }
            if (left == 0 || (k == end && r + 1 == n_runs)) {
                for (size_t p = 0; p < P; p++) {
                    low[p] = _mm256_add_epi16(low[p], _mm256_cvtepi8_epi16(_mm256_castsi256_si128(c[p])));
                    if (lanes == 32) high[p] = _mm256_add_epi16(high[p], _mm256_cvtepi8_epi16(_mm256_extracti128_si256(c[p], 1)));
                    c[p] = zero;
                }
                left = STEPS;
            }
        }
    }
    for (size_t p = 0; p < P && p < pixels; p++) {
        store16(acc + p * acc_stride, low[p]);
        if (lanes == 32) store16(acc + p * acc_stride + 16, high[p]);
    }
}

#define BLOCK(P, weight_planes, lanes, patch_planes) \
    block(P, weights, weight_planes, lanes, patch, patch_planes, patch_stride, pixels, runs, n_runs, acc, acc_stride)
#define PLANES(P, lanes)                                    \
    do {                                                    \
        if (weight_planes == 1) BLOCK(P, 1, lanes, 2);      \
        else if (patch_planes == 1) BLOCK(P, 2, lanes, 1);  \
        else BLOCK(P, 2, lanes, 2);                         \
    } while (0)

TARGET void qd_conv_trits_avx2(const uint8_t *weights, size_t weight_planes, size_t lanes, const uint8_t *patch,
                               size_t patch_planes, size_t patch_stride, size_t pixels, const qd_run_span *runs, size_t n_runs,
                               int32_t *acc, size_t acc_stride) {
    if (lanes == 32) {
        if (pixels == 1) PLANES(1, 32);
        else PLANES(4, 32);
    } else {
        if (pixels == 1) PLANES(1, 16);
        else PLANES(4, 16);
    }
}

#else
typedef int qd_conv_trits_avx2_is_for_x86_64;
#endif
