/*
 * Whole convolutions of 8-bit pixels with AVX2: patches of four output pixels are gathered on the stack, then meet all weights.
 *
 * Weights of a few units at most (binary and ternary ones): four taps a step, by MADDUBS into 16 bits. No pair of products leaves
 * 255 * 2 * |w|, nor a sum 255 * 2 * words * |w|, so nothing saturates while 2 * words * |w| <= 128. The patch holds pixels, and
 * zero points outside the map: sum (u - z) w = sum u w - sum z w, where the second sum is the same everywhere.
 * Other weights: two taps a step, by MADD of u - z, which is 0 outside, and of weights widened to 16 bits into 32.
 */
#if defined(__x86_64__)

#include "avx2.h"

enum { MOST_TERMS = 1024, MOST_WORDS = 512 }; /* of a patch; vectors of words of all channels */

typedef struct layer {
    const qd_map *map;
    size_t row, steps;        /* elements of a kernel row; of four bytes of a patch */
    size_t blocks;            /* of eight channels */
    const __m256i *words;     /* [block][step], or null: weights are taken from the file */
    int32_t *start;           /* of accumulators, per channel */
    uint8_t *blank;           /* a patch outside the map */
    int16_t *zero;            /* of the elements of a kernel row */
} layer;

/* n pixels' channels to a patch, as they are or less their zero points. */
QD_AVX2_INLINE void copy(const int WORDS, const layer *g, const uint8_t *in, size_t n, uint8_t *to) {
    const size_t last = n >= 8 ? n - 8 : 0;
    if (n < 8) {
        for (size_t i = 0; i < n; i++) {
            if (WORDS) to[i] = in[i];
            else ((int16_t *)(void *)to)[i] = (int16_t)(in[i] - g->zero[i]);
        }
        return;
    }
    for (size_t i = 0;; i = i + 8 < last ? i + 8 : last) { /* the last eight maybe once more */
        if (WORDS) {
            memcpy(to + i, in + i, 8);
        } else {
            const __m128i zero = _mm_loadu_si128((const __m128i *)(const void *)(g->zero + i));
            const __m128i x = _mm_cvtepu8_epi16(_mm_loadl_epi64((const __m128i *)(const void *)(in + i)));
            _mm_storeu_si128((__m128i *)(void *)(to + 2 * i), _mm_sub_epi16(x, zero));
        }
        if (i == last) break;
    }
}

/* in: the first tap inside. */
QD_AVX2_INLINE void gather(const int WORDS, const layer *g, const qd_walk *walk, const uint8_t *in, uint8_t *to) {
    const qd_map *m = g->map;
    const size_t element = WORDS ? 1 : 2, rows = walk->rows.to - walk->rows.from, across = walk->columns.to - walk->columns.from;
    if (rows < m->kernel_h || across < m->kernel_w) memcpy(to, g->blank, 4 * g->steps);
    if (across == 0) return;
    to += (walk->rows.from * m->kernel_w + walk->columns.from) * m->channels * element;
    for (size_t r = 0; r < rows; r++, in += m->w * m->pixel, to += g->row * element) copy(WORDS, g, in, across * m->channels, to);
}

/* Accumulators of Q blocks of P patches. */
QD_AVX2_INLINE void multiply(const int WORDS, const int P, const int Q, const layer *g, size_t block, const uint8_t *patch, size_t stride,
                             __m256i (*acc)[2]) {
    const int8_t *weights = (const int8_t *)g->map->weights + block * g->steps * 16;
    const __m256i *words = WORDS ? g->words + block * g->steps : NULL;
    _Pragma("GCC unroll 4") for (int p = 0; p < P; p++) acc[p][0] = acc[p][1] = _mm256_setzero_si256();
    for (size_t k = 0; k < g->steps; k++) {
        __m256i w[2];
        _Pragma("GCC unroll 2") for (int q = 0; q < Q; q++) {
            if (WORDS) w[q] = words[(size_t)q * g->steps + k];
            else w[q] = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(weights + ((size_t)q * g->steps + k) * 16)));
        }
        _Pragma("GCC unroll 4") for (int p = 0; p < P; p++) {
            int32_t terms;
            memcpy(&terms, patch + (size_t)p * stride + 4 * k, sizeof terms);
            const __m256i x = _mm256_set1_epi32(terms);
            _Pragma("GCC unroll 2") for (int q = 0; q < Q; q++) {
                if (WORDS) acc[p][q] = _mm256_add_epi16(acc[p][q], _mm256_maddubs_epi16(x, w[q]));
                else acc[p][q] = _mm256_add_epi32(acc[p][q], _mm256_madd_epi16(x, w[q]));
            }
        }
    }
    _Pragma("GCC unroll 4") for (int p = 0; p < P; p++) {
        _Pragma("GCC unroll 2") for (int q = 0; q < Q; q++) {
            const __m256i start = _mm256_loadu_si256((const __m256i *)(const void *)(g->start + 8 * (block + (size_t)q)));
            if (WORDS) acc[p][q] = _mm256_add_epi32(_mm256_madd_epi16(acc[p][q], _mm256_set1_epi16(1)), start);
        }
    }
}

/* Bits of eight channels. */
QD_AVX2_INLINE unsigned bits_of(const int32_t *thresholds, __m256i acc) {
    const __m256i limit = _mm256_loadu_si256((const __m256i *)(const void *)thresholds);
    return (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(limit, acc)));
}

/* Blocks [block, block + Q) of n <= P patches. */
QD_AVX2_INLINE void blocks(const int WORDS, const int P, const int Q, const layer *g, size_t block, const uint8_t *patch, size_t stride,
                           size_t n, const size_t *pixel) {
    const qd_map *m = g->map;
    __m256i acc[4][2];
    const size_t left = m->out_channels - 8 * block;
    multiply(WORDS, P, Q, g, block, patch, stride, acc);
    if (m->thresholds && left >= 8 * (size_t)Q) { /* a pixel that stands in for another one gives the same bits again */
        const int32_t *thresholds = m->thresholds + 8 * block;
        _Pragma("GCC unroll 4") for (int p = 0; p < P; p++) {
            uint8_t *to = m->out + pixel[p] * m->out_pixel + block;
            const uint16_t both = (uint16_t)(bits_of(thresholds, acc[p][0]) | (Q > 1 ? bits_of(thresholds + 8, acc[p][1]) << 8 : 0));
            if (Q > 1) memcpy(to, &both, 2);
            else to[0] = (uint8_t)both;
        }
    } else {
        int32_t values[4][16];
        const size_t channels = left < 8 * (size_t)Q ? left : 8 * (size_t)Q;
        _Pragma("GCC unroll 4") for (int p = 0; p < P; p++) {
            _Pragma("GCC unroll 2") for (int q = 0; q < Q; q++) _mm256_storeu_si256((__m256i *)(void *)(values[p] + 8 * q), acc[p][q]);
        }
        for (size_t p = 0; p < n; p++) {
            if (m->thresholds) qd_pack_ref(values[p], m->thresholds + 8 * block, channels, m->out + pixel[p] * m->out_pixel + block);
            else qd_store_values(m, 8 * block, channels, values[p], pixel[p]);
        }
    }
}

QD_AVX2_INLINE void all_blocks(const int WORDS, const int P, const layer *g, const uint8_t *patch, size_t stride, size_t n,
                               const size_t *pixel) {
    size_t block = 0;
    for (; block + 2 <= g->blocks; block += 2) blocks(WORDS, P, 2, g, block, patch, stride, n, pixel);
    if (block < g->blocks) blocks(WORDS, P, 1, g, block, patch, stride, n, pixel);
}

QD_AVX2_INLINE void run(const int WORDS, const layer *g) {
    uint8_t patch[QD_TILE_PIXELS][2 * MOST_TERMS] __attribute__((aligned(32)));
    const qd_map *m = g->map;
    memset(patch, 0, sizeof patch); /* behind the last tap, where weights are 0 */
    for (size_t r = 0; r < m->n_rows; r++) {
        for (size_t c = 0; c < m->n_columns; c++) {
            qd_walk walk = {m, m->rows[r], m->columns[c], m->rows[r].begin, m->columns[c].begin};
            const uint8_t *in[QD_TILE_PIXELS];
            size_t pixel[QD_TILE_PIXELS], n;
            while ((n = qd_next_pixels(&walk, in, pixel)) > 0) {
                for (size_t p = 0; p < (n == 1 ? 1 : QD_TILE_PIXELS); p++) gather(WORDS, g, &walk, in[p], patch[p]);
                if (n == 1) all_blocks(WORDS, 1, g, patch[0], sizeof patch[0], 1, pixel);
                else all_blocks(WORDS, QD_TILE_PIXELS, g, patch[0], sizeof patch[0], n, pixel);
            }
        }
    }
}

__attribute__((noinline)) QD_AVX2_TARGET static void run_words(layer *g, size_t pairs, __m256i *words) {
    const int8_t *w = (const int8_t *)g->map->weights;
    for (size_t b = 0; b < g->blocks; b++, w += pairs * 16) {
        for (size_t k = 0; k < g->steps; k++) {
            const __m128i even = _mm_loadu_si128((const __m128i *)(const void *)(w + 2 * k * 16));
            const __m128i odd = 2 * k + 1 < pairs ? _mm_loadu_si128((const __m128i *)(const void *)(w + (2 * k + 1) * 16)) : _mm_setzero_si128();
            words[b * g->steps + k] = _mm256_set_m128i(_mm_unpackhi_epi16(even, odd), _mm_unpacklo_epi16(even, odd));
        }
    }
    g->words = words;
    memset(g->start, 0, 32 * g->blocks);
    for (size_t b = 0; b < g->blocks; b++) {
        __m256i acc[4][2];
        multiply(1, 1, 1, g, b, g->blank, 0, acc);
        _mm256_storeu_si256((__m256i *)(void *)(g->start + 8 * b), _mm256_sub_epi32(_mm256_setzero_si256(), acc[0][0]));
    }
    run(1, g);
}

__attribute__((noinline)) QD_AVX2_TARGET static void run_pairs(layer *g) { run(0, g); }

/* The largest magnitude of n weights, n a multiple of 16. */
QD_AVX2_INLINE unsigned largest(const int8_t *w, size_t n) {
    __m128i most = _mm_setzero_si128();
    uint8_t lanes[16];
    unsigned result = 0;
    for (size_t i = 0; i < n; i += 16) most = _mm_max_epu8(most, _mm_abs_epi8(_mm_loadu_si128((const __m128i *)(const void *)(w + i))));
    _mm_storeu_si128((__m128i *)(void *)lanes, most);
    for (size_t i = 0; i < 16; i++) result = lanes[i] > result ? lanes[i] : result;
    return result;
}

QD_AVX2_TARGET int qd_conv_pixels_avx2(const qd_map *m) {
    const size_t row = m->kernel_w * m->channels, k = m->kernel_h * row, pairs = (k + 1) / 2, n_words = (k + 3) / 4;
    uint8_t blank[2 * MOST_TERMS] __attribute__((aligned(32)));
    __m256i words[MOST_WORDS];
    int32_t start[8 * MOST_WORDS];
    int16_t zero[MOST_TERMS];
    layer g = {m, row, pairs, (m->out_channels + 7) / 8, NULL, start, blank, zero};
    if (k > MOST_TERMS - 2 || g.blocks > MOST_WORDS) return QD_MAP_NOT;
    for (size_t i = 0; i < row; i++) zero[i] = m->zero[i % m->channels];
    memset(blank, 0, sizeof blank);
    if (g.blocks * n_words <= MOST_WORDS && 2 * n_words * largest((const int8_t *)m->weights, g.blocks * pairs * 16) <= 128) {
        for (size_t i = 0; i < k; i++) blank[i] = (uint8_t)m->zero[i % m->channels];
        g.steps = n_words;
        run_words(&g, pairs, words);
    } else {
        run_pairs(&g);
    }
    if (m->thresholds) qd_clear_spare(m, m->out, m->out_pixel, g.blocks);
    qd_clear_spare(m, m->signs, m->sign_pixel, g.blocks);
    return QD_MAP_SIGNED;
}

#else
typedef int qd_conv_pixels_avx2_is_for_x86_64;
#endif
