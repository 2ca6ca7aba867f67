/*
 * Whole convolutions of 8-bit pixels with AVX2: the rows under an output row are copied column by column, with their margins, so that the
 * taps of an output pixel lie side by side. Words of them, of four output pixels, go to all lanes and meet the weights of eight channels.
 *
 * Weights of a few units at most (binary and ternary ones): four taps a step, by MADDUBS into 16 bits. No pair of products leaves
 * 255 * 2 * |w|, nor a sum 255 * 2 * words * |w|, so nothing saturates while 2 * words * |w| <= 128. The copy holds pixels, and
 * zero points outside the map: sum (u - z) w = sum u w - sum z w, where the second sum is the same everywhere.
 * Other weights: two taps a step, by MADD of u - z, which is 0 outside, and of weights widened to 16 bits into 32.
 */
#if defined(__x86_64__)

#include "finish_avx2.h"

/* Vectors of weights; blocks of eight channels; bytes of a copy. */
enum { MOST_WORDS = 896, MOST_BLOCKS = 64, MOST_BYTES = 4096, SPARE = 16 };

typedef struct layer {
    const qd_map *map;
    size_t steps;            /* words of four bytes of the taps of an output pixel */
    size_t blocks;           /* of eight channels */
    size_t columns;          /* of a copy */
    __m256i *words;          /* [block][step] */
    int32_t *start;          /* of accumulators, per channel */
} layer;

/* Weights in the order of a copy: [column][row][channel]. */
QD_AVX2_INLINE void arrange(const int WORDS, const layer *g) {
    const qd_map *m = g->map;
    const size_t taps = WORDS ? 4 : 2, all = m->kernel_h * m->kernel_w * m->channels, pairs = (all + 1) / 2;
    memset(g->words, 0, g->blocks * g->steps * sizeof *g->words);
    memset(g->start, 0, 8 * g->blocks * sizeof *g->start);
    for (size_t k = 0; k < all; k++) {
        const size_t c = k % m->channels, tap = k / m->channels, i = (tap % m->kernel_w * m->kernel_h + tap / m->kernel_w) * m->channels + c;
        for (size_t b = 0; b < g->blocks; b++) {
            const int8_t *w = (const int8_t *)m->weights + (b * pairs + k / 2) * 16 + k % 2;
            int8_t *bytes = (int8_t *)(g->words + b * g->steps + i / taps) + i % 4;
            int16_t *halves = (int16_t *)(void *)(g->words + b * g->steps + i / taps) + i % 2;
            for (size_t l = 0; l < 8; l++) {
                if (WORDS) bytes[4 * l] = w[2 * l], g->start[8 * b + l] -= w[2 * l] * m->zero[c];
                else halves[2 * l] = w[2 * l];
            }
        }
    }
}

/* n columns of the padded map from x on of the row at `in`, or of a row outside: pixels, or pixels less their zero points. */
QD_AVX2_INLINE void copy_row(const int WORDS, const qd_map *m, const uint8_t *in, size_t x, size_t n, uint8_t *to) {
    const size_t end = x + n, right = m->left + m->w;
    const size_t from = in && x < right ? (x > m->left ? x : m->left) : end, until = in && end > from ? (end < right ? end : right) : end;
    const size_t first = (from - x) * m->channels, last = (until - x) * m->channels;
    const uint8_t *pixels = in && from < end ? in + (from - m->left) * m->channels : NULL;
    int16_t zero[2 * 8], *halves = (int16_t *)(void *)to;
    size_t i = first;
    if (WORDS) {
        for (size_t k = 0, c = 0; k < n * m->channels; k++) { /* the margins: columns are whole, so that channels begin anew behind the middle */
            if (k == first) k = last;
            if (k == n * m->channels) break;
            to[k] = (uint8_t)m->zero[c];
            if (++c == m->channels) c = 0;
        }
        if (pixels) memcpy(to + first, pixels, last - first);
        return;
    }
    memset(halves, 0, 2 * n * m->channels);
    for (size_t k = 0; k < 16; k++) zero[k] = m->zero[k % m->channels];
    for (; m->channels <= 8 && i + 8 <= last; i += 8) {
        const __m128i v = _mm_cvtepu8_epi16(_mm_loadl_epi64((const __m128i *)(const void *)(pixels + i - first)));
        _mm_storeu_si128((__m128i *)(void *)(halves + i), _mm_sub_epi16(v, _mm_loadu_si128((const __m128i *)(const void *)(zero + i % m->channels))));
    }
    for (; i < last; i++) halves[i] = (int16_t)(pixels[i - first] - m->zero[i % m->channels]);
}

/* n columns of the padded map from x on, of the rows under output row y. */
QD_AVX2_INLINE void copy_columns(const int WORDS, const layer *g, size_t y, size_t x, size_t n, uint8_t *to) {
    const qd_map *m = g->map;
    const size_t pixel = m->channels * (WORDS ? 1 : 2), line = n * pixel;
    uint8_t rows[MOST_BYTES + SPARE] __attribute__((aligned(16)));
    for (size_t r = 0; r < m->kernel_h; r++) {
        const size_t at = y * m->stride_h + r - m->top; /* wraps above the map */
        copy_row(WORDS, m, at < m->h ? m->in + at * m->w * m->pixel : NULL, x, n, rows + r * line);
    }
    for (size_t i = 0; i < line; i += pixel) {
        const uint8_t *from = rows + i, *const end = from + m->kernel_h * line;
        if (pixel <= 8) {
            for (; from < end; from += line, to += pixel) memcpy(to, from, 8); /* the next one's first bytes too, which are written next */
        } else {
            for (; from < end; from += line, to += pixel) memcpy(to, from, pixel);
        }
    }
}

/* Accumulators of Q blocks from `block` on of P output pixels, whose taps are `next` bytes apart. */
QD_AVX2_INLINE void multiply(const int WORDS, const int P, const int Q, const layer *g, size_t block, const uint8_t *at, size_t next,
                             __m256i (*acc)[2]) {
    const __m256i *w = g->words + block * g->steps, *end = w + g->steps, *other = Q > 1 ? end : w;
    _Pragma("GCC unroll 4") for (int p = 0; p < P; p++) acc[p][0] = acc[p][1] = _mm256_setzero_si256();
    for (; w < end; w++, other++, at += 4) {
        _Pragma("GCC unroll 4") for (int p = 0; p < P; p++) {
            int32_t terms;
            memcpy(&terms, at + (size_t)p * next, sizeof terms);
            const __m256i x = _mm256_set1_epi32(terms);
            _Pragma("GCC unroll 2") for (int q = 0; q < Q; q++) {
                const __m256i weights = q ? *other : *w;
                if (WORDS) acc[p][q] = _mm256_add_epi16(acc[p][q], _mm256_maddubs_epi16(x, weights));
                else acc[p][q] = _mm256_add_epi32(acc[p][q], _mm256_madd_epi16(x, weights));
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

QD_AVX2_INLINE void tile(const int WORDS, const int P, const layer *g, const uint8_t *at, size_t next, size_t pixel) {
    __m256i acc[4][2];
    size_t block = 0;
    for (; block + 2 <= g->blocks; block += 2) {
        multiply(WORDS, P, 2, g, block, at, next, acc);
        qd_finish(P, 2, g->map, block, (const __m256i(*)[2])acc, pixel);
    }
    if (block < g->blocks) {
        multiply(WORDS, P, 1, g, block, at, next, acc);
        qd_finish(P, 1, g->map, block, (const __m256i(*)[2])acc, pixel);
    }
}

QD_AVX2_INLINE void run(const int WORDS, const layer *g) {
    const qd_map *m = g->map;
    const size_t column = m->kernel_h * m->channels * (WORDS ? 1 : 2), next = m->stride_w * column, end = m->rows[m->n_rows - 1].end;
    const size_t most = (g->columns - m->kernel_w) / m->stride_w + 1; /* output pixels of a copy */
    uint8_t copy[MOST_BYTES + SPARE];
    arrange(WORDS, g);
    for (size_t y = m->rows[0].begin; y < end; y++) {
        for (size_t x = 0, n; x < m->out_w; x += n) {
            size_t wide;
            n = m->out_w - x < most ? m->out_w - x : most;
            wide = (n - 1) * m->stride_w + m->kernel_w; /* columns of the map */
            copy_columns(WORDS, g, y, x * m->stride_w, wide, copy);
            memset(copy + wide * column, 0, SPARE); /* meets weights of 0 */
            if (n < 4) {
                for (size_t i = 0; i < n; i++) tile(WORDS, 1, g, copy + i * next, next, y * m->out_w + x + i);
                continue;
            }
            for (size_t i = 0; i < n; i += 4) {
                const size_t from = n - i < 4 ? n - 4 : i; /* the last ones maybe once more */
                tile(WORDS, 4, g, copy + from * next, next, y * m->out_w + x + from);
            }
        }
    }
}

__attribute__((noinline)) QD_AVX2_TARGET static void run_words(const layer *g) { run(1, g); }
__attribute__((noinline)) QD_AVX2_TARGET static void run_pairs(const layer *g) { run(0, g); }

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
    const size_t taps = m->kernel_h * m->kernel_w * m->channels, blocks = (m->out_channels + 7) / 8;
    const int by_words = 2 * ((taps + 3) / 4) * largest((const int8_t *)m->weights, blocks * ((taps + 1) / 2) * 16) <= 128;
    const size_t column = m->kernel_h * m->channels * (by_words ? 1 : 2);
    __m256i words[MOST_WORDS];
    int32_t start[8 * MOST_BLOCKS];
    layer g;
    g.map = m;
    g.steps = by_words ? (taps + 3) / 4 : (taps + 1) / 2; /* what a word has behind the last tap meets weights of 0 */
    g.blocks = blocks;
    g.columns = MOST_BYTES / column;
    g.words = words;
    g.start = start;
    if (blocks > MOST_BLOCKS || blocks * g.steps > MOST_WORDS || g.columns < m->kernel_w + 3 * m->stride_w) return QD_MAP_NOT;
    if (by_words) run_words(&g);
    else run_pairs(&g);
    qd_clear_spare_bits(m, blocks);
    qd_clear_spare_signs(m, blocks);
    return QD_MAP_SIGNED;
}

#else
typedef int qd_conv_pixels_avx2_is_for_x86_64;
#endif
