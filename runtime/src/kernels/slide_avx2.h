/*
 * Up to 16 output channels, side by side: a vector holds two neighbouring output pixels, and as their windows overlap, a byte of the
 * map is looked up once for both. Its row of weights is laid out for that: over the columns of both windows, the first pixel's
 * weights in the lower half, the second one's, a pixel further on, in the upper; where a window has no column an index of 0x80 adds 0.
 */
#ifndef QD_SLIDE_AVX2_H
#define QD_SLIDE_AVX2_H

#include "avx2.h"
#include "nibbles_avx2.h"

enum { QD_SLIDE_BYTES = 96 }; /* of all kernel rows, each a pixel longer than it is */

/* [byte of a row of two windows][lower halves of bytes, upper halves][lane]: whole kernel rows from `weights` on, 16 lanes. */
static inline void qd_slide_weights(const qd_map *m, const uint8_t *weights, size_t rows, uint8_t (*to)[2][32]) {
    const size_t row = m->kernel_w * m->pixel;
    memset(to, 0x80, rows * (row + m->pixel) * sizeof *to);
    for (size_t r = 0; r < rows; r++, to += row + m->pixel) {
        for (size_t k = 0; k < row; k++, weights += 16) {
            for (size_t l = 0; l < 16; l++) {
                to[k][0][l] = to[k + m->pixel][0][16 + l] = weights[l] & 15;
                to[k][1][l] = to[k + m->pixel][1][16 + l] = weights[l] >> 4;
            }
        }
    }
}

QD_AVX2_INLINE __m256i qd_looked_up(__m256i count, const uint8_t *mismatches, const uint8_t (*w)[32]) {
    const __m256i low = _mm256_broadcastsi128_si256(_mm_load_si128((const __m128i *)(const void *)mismatches));
    const __m256i high = _mm256_broadcastsi128_si256(_mm_load_si128((const __m128i *)(const void *)(mismatches + 16)));
    count = _mm256_add_epi8(count, _mm256_shuffle_epi8(low, _mm256_load_si256((const __m256i *)(const void *)w[0])));
    return _mm256_add_epi8(count, _mm256_shuffle_epi8(high, _mm256_load_si256((const __m256i *)(const void *)w[1])));
}

/*
 * Counts, at most 255, of four pixels of a row whose first window begins at `in`: two a vector. row: bytes of a row of the map.
 * pixel and kernel_w may be constants where this is used.
 */
QD_AVX2_INLINE void qd_slide(const size_t pixel, const size_t kernel_w, size_t row, const uint8_t (*w)[2][32], size_t rows,
                             const uint8_t *in, __m256i *count) {
    const size_t window = (kernel_w + 1) * pixel, next = 2 * pixel;
    __m256i first = _mm256_setzero_si256(), second = first;
    for (size_t r = 0; r < rows; r++, w += window, in += row) {
        _Pragma("GCC unroll 4") for (size_t j = 0; j < next; j++) first = qd_looked_up(first, qd_mismatches[in[j]], w[j]);
        _Pragma("GCC unroll 4") for (size_t j = next; j < window; j++) {
            first = qd_looked_up(first, qd_mismatches[in[j]], w[j]);
            second = qd_looked_up(second, qd_mismatches[in[j]], w[j - next]);
        }
        _Pragma("GCC unroll 4") for (size_t j = window; j < window + next; j++) {
            second = qd_looked_up(second, qd_mismatches[in[j]], w[j - next]);
        }
    }
    count[0] = first;
    count[1] = second;
}

#endif
