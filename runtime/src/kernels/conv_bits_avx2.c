/*
 * Binary inner product with AVX2: output channels lie in byte lanes, mismatches are looked up.
 *
 * For a byte x of activations, qd_mismatches[x] holds the number of differing bits between each half of x and each of the 16 values
 * that a half of a weight byte can have. Two shuffles with the weights' halves as indices thus count x ^ w for 32 channels,
 * without computing it. Halves of weights are split once and used for four pixels.
 * A lane grows by at most 8 a step, so byte sums are widened to 16 bits every 31 steps; 16 bits hold the largest count, 65535.
 */
#if defined(__x86_64__)

#include <immintrin.h>

#include "nibbles_avx2.h"
#include "qd_kernel.h"

#define TARGET __attribute__((target("avx2")))
#define INLINE static inline __attribute__((always_inline, target("avx2")))

enum { STEPS = 31 };

/* Applies M to each of the first P pixels; P is a constant where this is used. */
#define EACH_PIXEL(M) \
    M(0);             \
    if (P > 1) {      \
        M(1);         \
    }                 \
    if (P > 2) {      \
        M(2);         \
    }                 \
    if (P > 3) {      \
        M(3);         \
    }

/* Adds the byte sums of pixel p to its 16-bit sums and clears them. */
#define FLUSH(p)                                                         \
    do {                                                                 \
        low##p = _mm256_add_epi16(low##p, _mm256_unpacklo_epi8(c##p, zero));   \
        high##p = _mm256_add_epi16(high##p, _mm256_unpackhi_epi8(c##p, zero)); \
        c##p = zero;                                                     \
    } while (0)

INLINE __m128i table_half(uint8_t x, size_t half) { return _mm_load_si128((const __m128i *)(const void *)(qd_mismatches[x] + half)); }

/* bits - 2 * counts, for 8 channels. */
INLINE void store_counts(int32_t *acc, __m128i counts, int32_t bits) {
    const __m256i wide = _mm256_slli_epi32(_mm256_cvtepu16_epi32(counts), 1);
    _mm256_storeu_si256((__m256i *)(void *)acc, _mm256_sub_epi32(_mm256_set1_epi32(bits), wide));
}

/* 32 channels. */
INLINE void block32(const int P, const uint8_t *weights, const uint8_t *patch, size_t stride, const qd_run_span *runs,
                    size_t n_runs, int32_t bits, int32_t *acc, size_t acc_stride) {
    const __m256i half = _mm256_set1_epi8(15), zero = _mm256_setzero_si256();
    const uint8_t *x0 = patch, *x1 = P > 1 ? x0 + stride : x0, *x2 = P > 2 ? x1 + stride : x0;
    const uint8_t *x3 = P > 3 ? x2 + stride : x0;
    __m256i c0 = zero, c1 = zero, c2 = zero, c3 = zero;
    __m256i low0 = zero, low1 = zero, low2 = zero, low3 = zero;
    __m256i high0 = zero, high1 = zero, high2 = zero, high3 = zero;
    size_t left = STEPS;
    for (size_t r = 0; r < n_runs; r++) {
        size_t k = runs[r].from;
        const size_t end = k + runs[r].length;
        while (k < end) {
            const size_t stop = end - k < left ? end : k + left;
            left -= stop - k;
            for (; k < stop; k++) {
                const __m256i w = _mm256_loadu_si256((const __m256i *)(const void *)(weights + k * 32));
                const __m256i w_low = _mm256_and_si256(w, half);
                const __m256i w_high = _mm256_and_si256(_mm256_srli_epi16(w, 4), half);
#define STEP32(p)                                                                          \
    do {                                                                                   \
        const __m256i t0 = _mm256_broadcastsi128_si256(table_half(x##p[k], 0));            \
        const __m256i t1 = _mm256_broadcastsi128_si256(table_half(x##p[k], 16));           \
        c##p = _mm256_add_epi8(c##p, _mm256_shuffle_epi8(t0, w_low));                      \
        c##p = _mm256_add_epi8(c##p, _mm256_shuffle_epi8(t1, w_high));                     \
    } while (0)
                EACH_PIXEL(STEP32)
            }
            if (left == 0) {
                EACH_PIXEL(FLUSH)
                left = STEPS;
            }
        }
    }
#define FINISH32(p)                                                                                \
    do {                                                                                           \
        int32_t *to = acc + (size_t)(p) * acc_stride;                                              \
        FLUSH(p);                                                                                  \
        store_counts(to, _mm256_castsi256_si128(low##p), bits);                                    \
        store_counts(to + 8, _mm256_castsi256_si128(high##p), bits);                               \
        store_counts(to + 16, _mm256_extracti128_si256(low##p, 1), bits);                          \
        store_counts(to + 24, _mm256_extracti128_si256(high##p, 1), bits);                         \
    } while (0)
    EACH_PIXEL(FINISH32)
}

/* 16 channels: two bytes of the patch a step, one in each half of the registers. */
INLINE void block16(const int P, const uint8_t *weights, const uint8_t *patch, size_t stride, const qd_run_span *runs,
                    size_t n_runs, int32_t bits, int32_t *acc, size_t acc_stride) {
    const __m256i half = _mm256_set1_epi8(15), zero = _mm256_setzero_si256();
    const uint8_t *x0 = patch, *x1 = P > 1 ? x0 + stride : x0, *x2 = P > 2 ? x1 + stride : x0;
    const uint8_t *x3 = P > 3 ? x2 + stride : x0;
    __m256i c0 = zero, c1 = zero, c2 = zero, c3 = zero;
    __m256i low0 = zero, low1 = zero, low2 = zero, low3 = zero;
    __m256i high0 = zero, high1 = zero, high2 = zero, high3 = zero;
    size_t left = STEPS;
    for (size_t r = 0; r < n_runs; r++) {
        size_t k = runs[r].from;
        const size_t end = k + runs[r].length;
        while (k < end) {
            if (end - k == 1) { /* the upper half adds nothing: its tables are 0 */
                const __m128i w = _mm_loadu_si128((const __m128i *)(const void *)(weights + k * 16));
                const __m128i w_low = _mm_and_si128(w, _mm256_castsi256_si128(half));
                const __m128i w_high = _mm_and_si128(_mm_srli_epi16(w, 4), _mm256_castsi256_si128(half));
#define STEP_ONE(p)                                                                                            \
    do {                                                                                                       \
        const __m128i n = _mm_add_epi8(_mm_shuffle_epi8(table_half(x##p[k], 0), w_low),                        \
                                       _mm_shuffle_epi8(table_half(x##p[k], 16), w_high));                     \
        c##p = _mm256_add_epi8(c##p, _mm256_inserti128_si256(zero, n, 0));                                     \
    } while (0)
                EACH_PIXEL(STEP_ONE)
                k++;
                left--;
            } else {
                const size_t pairs = (end - k) / 2, steps = pairs < left ? pairs : left;
                const size_t stop = k + 2 * steps;
                left -= steps;
                for (; k < stop; k += 2) {
                    const __m256i w = _mm256_loadu_si256((const __m256i *)(const void *)(weights + k * 16));
                    const __m256i w_low = _mm256_and_si256(w, half);
                    const __m256i w_high = _mm256_and_si256(_mm256_srli_epi16(w, 4), half);
#define STEP_TWO(p)                                                                                                      \
    do {                                                                                                                 \
        const uint8_t first = x##p[k], second = x##p[k + 1];                                                             \
        const __m256i t0 = _mm256_inserti128_si256(_mm256_castsi128_si256(table_half(first, 0)), table_half(second, 0), 1); \
        const __m256i t1 =                                                                                               \
            _mm256_inserti128_si256(_mm256_castsi128_si256(table_half(first, 16)), table_half(second, 16), 1);           \
        c##p = _mm256_add_epi8(c##p, _mm256_shuffle_epi8(t0, w_low));                                                    \
        c##p = _mm256_add_epi8(c##p, _mm256_shuffle_epi8(t1, w_high));                                                   \
    } while (0)
                    EACH_PIXEL(STEP_TWO)
                }
            }
            if (left == 0) {
                EACH_PIXEL(FLUSH)
                left = STEPS;
            }
        }
    }
#define FINISH16(p)                                                                                                        \
    do {                                                                                                                   \
        int32_t *to = acc + (size_t)(p) * acc_stride;                                                                      \
        FLUSH(p);                                                                                                          \
        store_counts(to, _mm_add_epi16(_mm256_castsi256_si128(low##p), _mm256_extracti128_si256(low##p, 1)), bits);        \
        store_counts(to + 8, _mm_add_epi16(_mm256_castsi256_si128(high##p), _mm256_extracti128_si256(high##p, 1)), bits);  \
    } while (0)
    EACH_PIXEL(FINISH16)
}

TARGET void qd_conv_bits_avx2(const uint8_t *weights, size_t lanes, const uint8_t *patch, size_t patch_stride,
                              size_t pixels, const qd_run_span *runs, size_t n_runs, int32_t bits, int32_t *acc,
                              size_t acc_stride) {
    if (lanes == 32) {
        switch (pixels) {
        case 1: block32(1, weights, patch, patch_stride, runs, n_runs, bits, acc, acc_stride); break;
        case 2: block32(2, weights, patch, patch_stride, runs, n_runs, bits, acc, acc_stride); break;
        case 3: block32(3, weights, patch, patch_stride, runs, n_runs, bits, acc, acc_stride); break;
        default: block32(4, weights, patch, patch_stride, runs, n_runs, bits, acc, acc_stride); break;
        }
    } else {
        switch (pixels) {
        case 1: block16(1, weights, patch, patch_stride, runs, n_runs, bits, acc, acc_stride); break;
        case 2: block16(2, weights, patch, patch_stride, runs, n_runs, bits, acc, acc_stride); break;
        case 3: block16(3, weights, patch, patch_stride, runs, n_runs, bits, acc, acc_stride); break;
        default: block16(4, weights, patch, patch_stride, runs, n_runs, bits, acc, acc_stride); break;
        }
    }
}

#else
typedef int qd_conv_bits_avx2_is_for_x86_64;
#endif
