/*
 * Whole convolutions of ternary maps with AVX-512 (VPOPCNTDQ), by weights of bits or trits: a strip of the map is copied with its margins, signs
 * and masks apart, so that the taps of a kernel row lie side by side in both. Words of them, of some output pixels, go to all lanes and meet the
 * weights of 32 channels. A tap outside the map is 0, as its mask is.
 *
 * By trits: sum = products that are not 0, less two for each that is -1; both are counted. By bits the first number is the same for all channels
 * of an output pixel.
 * Bits by trits are conv_map_avx512.c's.
 */
#if defined(__x86_64__)

#include "finish_avx512.h"
#include "words_avx512.h"

/* Vectors of weights; bytes of one plane of a copy, and what is read past it; fewest output pixels. */
enum { MOST_VECTORS = 400, MOST_BYTES = 5120, SPARE = 64, FEWEST = 4 };

/* Output pixels at a time, by trits and by bits. */
#define TILE(W) 4

typedef struct layer {
    const qd_map *map;
    size_t plane;        /* bytes of a pixel of one plane */
    size_t words;        /* of a kernel row */
    uint32_t last;       /* the bits of a row's last word that are its own */
    size_t line;         /* bytes of a row of the copy */
    size_t next;         /* bytes from an output pixel to the one beside it */
    const uint8_t *signs, *masks;
    const uint16_t *some; /* by bits: products that are not 0, of each output pixel of the strip */
} layer;

/* Weights of Q vectors of channels from `first` on: [row][word][plane][Q]. */
QD_AVX512_INLINE void make_words(const int Q, const int W, const layer *g, size_t first, __m512i *words) {
    const qd_map *m = g->map;
    const size_t row = m->kernel_w * g->plane, lanes = m->out_channels > 16 ? 32 : 16;
    const uint8_t *block = m->weights + first / lanes * lanes * m->kernel_h * row * (size_t)W + first % lanes;
    for (size_t r = 0; r < m->kernel_h; r++) {
        for (size_t j = 0; j < g->words; j++) {
            const unsigned valid = row - 4 * j < 4 ? (1u << (row - 4 * j)) - 1 : 15u;
            for (size_t plane = 0; plane < (size_t)W; plane++, words += Q) {
                qd_words_of_bits(Q, block + ((r * row + 4 * j) * (size_t)W + plane) * lanes, lanes, lanes * (size_t)W, valid, words);
            }
        }
    }
}

/* The j-th words of P output pixels against their weights w. */
QD_AVX512_INLINE void count(const int P, const int Q, const int W, const uint8_t *signs, const uint8_t *masks, size_t next, const __m512i *own, const __m512i *w,
                            __m512i (*all)[QD_MOST_VECTORS], __m512i (*minus)[QD_MOST_VECTORS]) {
    _Pragma("GCC unroll 6") for (int p = 0; p < P; p++) {
        const __m512i s = _mm512_set1_epi32((int)qd_word(signs + (size_t)p * next));
        __m512i k = _mm512_set1_epi32((int)qd_word(masks + (size_t)p * next));
        if (own) k = _mm512_and_si512(k, *own);
        _Pragma("GCC unroll 2") for (int q = 0; q < Q; q++) {
            const __m512i both = W == 2 ? _mm512_and_si512(k, w[Q + q]) : k;
            if (W == 2) all[p][q] = _mm512_add_epi32(all[p][q], _mm512_popcnt_epi32(both));
            minus[p][q] = _mm512_add_epi32(minus[p][q], _mm512_popcnt_epi32(_mm512_ternarylogic_epi32(s, w[q], both, 0x28)));
        }
    }
}

/* 16 Q channels from `first` on of P output pixels side by side, the first one number i of the strip, whose windows begin at byte `at` of the copy. */
QD_AVX512_INLINE void tile(const int P, const int Q, const int W, const layer *g, const __m512i *w, size_t first, size_t at, size_t i, size_t pixel) {
    const qd_map *m = g->map;
    const __m512i own = _mm512_set1_epi32((int)g->last);
    const size_t partly = W == 1 && g->last != ~0u; /* by trits the weights' masks are 0 there */
    size_t pixels[QD_MOST_PIXELS];
    __m512i all[QD_MOST_PIXELS][QD_MOST_VECTORS], minus[QD_MOST_PIXELS][QD_MOST_VECTORS];
    _Pragma("GCC unroll 6") for (int p = 0; p < P; p++) {
        pixels[p] = pixel + (size_t)p;
        all[p][0] = all[p][1] = minus[p][0] = minus[p][1] = _mm512_setzero_si512();
    }
    for (size_t r = 0; r < m->kernel_h; r++, at += g->line) {
        const uint8_t *signs = g->signs + at, *masks = g->masks + at;
        for (size_t j = partly; j < g->words; j++, signs += 4, masks += 4, w += Q * W) count(P, Q, W, signs, masks, g->next, NULL, w, all, minus);
        if (partly) {
            count(P, Q, W, signs, masks, g->next, &own, w, all, minus);
            w += Q * W;
        }
    }
    _Pragma("GCC unroll 6") for (int p = 0; p < P; p++) {
        _Pragma("GCC unroll 2") for (int q = 0; q < Q; q++) {
            if (W == 1) all[p][q] = _mm512_set1_epi32(g->some[i + (size_t)p]);
            all[p][q] = _mm512_sub_epi32(all[p][q], _mm512_slli_epi32(minus[p][q], 1));
        }
    }
    if (m->thresholds) qd_finish_bits(P, Q, m, first, (const __m512i(*)[QD_MOST_VECTORS])all, pixels);
    else qd_finish_values(P, Q, m, first, (const __m512i(*)[QD_MOST_VECTORS])all, pixels);
}

/* Masks under each of n output pixels side by side. */
QD_AVX512_INLINE void count_masks(const layer *g, const uint8_t *masks, size_t n, uint16_t *some) {
    const size_t row = g->map->kernel_w * g->plane;
    for (size_t i = 0; i < n; i++) {
        const uint8_t *at = masks + i * g->next;
        int64_t sum = 0;
        for (size_t r = 0; r < g->map->kernel_h; r++, at += g->line) {
            for (size_t j = 0; j < row; j += 8) {
                uint64_t word;
                memcpy(&word, at + j, 8);
                sum += _mm_popcnt_u64(row - j < 8 ? word << (8 - (row - j)) * 8 : word);
            }
        }
        some[i] = (uint16_t)sum;
    }
}

/* The same of n output pixels; where n is no multiple of the tile some are computed twice. */
QD_AVX512_INLINE void stretch(const int Q, const int W, const layer *g, const __m512i *words, size_t first, size_t at, size_t n, size_t i, size_t pixel) {
    for (size_t x = 0, take; x < n; x += take) {
        const size_t left = n - x, size = left > 3 && n >= TILE(W) ? TILE(W) : n >= 3 ? 3 : 1, from = left < size ? n - size : x;
        const size_t byte = at + from * g->next;
        if (size == TILE(W)) tile(TILE(W), Q, W, g, words, first, byte, i + from, pixel + from);
        else if (size == 3) tile(3, Q, W, g, words, first, byte, i + from, pixel + from);
        else tile(1, Q, W, g, words, first, byte, i + from, pixel + from);
        take = size;
    }
}

/* Output rows [y, end) and n columns from x on, whose windows are in the copy. */
QD_AVX512_INLINE void strip(const int Q, const int W, const layer *g, size_t first, size_t y, size_t end, size_t x, size_t n) {
    const qd_map *m = g->map;
    __m512i words[MOST_VECTORS];
    make_words(Q, W, g, first, words);
    for (size_t i = 0; i < end - y; i++) stretch(Q, W, g, words, first, i * m->stride_h * g->line, n, i * n, (y + i) * m->out_w + x);
}

#define INSTANCE(name, Q, W)                                                                                                                 \
    __attribute__((noinline)) QD_AVX512_TARGET static void name(const layer *g, size_t first, size_t y, size_t end, size_t x, size_t n) { \
        strip(Q, W, g, first, y, end, x, n);                                                                                                 \
    }
INSTANCE(bits_16, 1, 1)
INSTANCE(bits_32, 2, 1)
INSTANCE(trits_16, 1, 2)
INSTANCE(trits_32, 2, 2)

/* n bytes of each plane. */
QD_AVX512_INLINE void take_apart(const uint8_t *from, size_t n, uint8_t *signs, uint8_t *masks) {
    for (size_t i = 0; i < n; i += 32) {
        const __mmask32 some = n - i < 32 ? (1u << (n - i)) - 1 : ~0u;
        const __m512i v = _mm512_maskz_loadu_epi16(some, from + 2 * i);
        _mm256_mask_storeu_epi8(signs + i, some, _mm512_cvtepi16_epi8(v));
        _mm256_mask_storeu_epi8(masks + i, some, _mm512_cvtepi16_epi8(_mm512_srli_epi16(v, 8)));
    }
}

/* n columns of the padded map from x on of the row at `in`, or of a row outside. */
QD_AVX512_INLINE void copy_row(const layer *g, const uint8_t *in, size_t x, size_t n, uint8_t *signs, uint8_t *masks) {
    const qd_map *m = g->map;
    const size_t end = x + n, right = m->left + m->w;
    const size_t from = x < m->left ? (m->left < end ? m->left : end) : x, until = end < right ? end : right;
    memset(masks, 0, n * g->plane);
    memset(signs, 0, n * g->plane);
    if (in && from < until) take_apart(in + (from - m->left) * m->pixel, (until - from) * g->plane, signs + (from - x) * g->plane, masks + (from - x) * g->plane);
}

__attribute__((noinline)) QD_AVX512_TARGET static int run(const qd_map *m) {
    const size_t W = m->weight_planes, plane = m->pixel / 2, begin = m->rows[0].begin, end = m->rows[m->n_rows - 1].end;
    const size_t most = MOST_BYTES / (m->kernel_h * plane), used = (m->out_channels + 15) / 16 * 2; /* columns of a copy, if it is of one output row */
    uint8_t signs[MOST_BYTES + SPARE], masks[MOST_BYTES + SPARE];
    uint16_t some[MOST_BYTES / 2];
    size_t columns, rows, vectors;
    layer g;
    g.map = m;
    g.plane = plane;
    g.words = (m->kernel_w * plane + 3) / 4;
    g.last = ~0u >> (4 * g.words - m->kernel_w * plane) * 8;
    vectors = m->kernel_h * g.words * W; /* of 16 channels */
    if (vectors > MOST_VECTORS || most < m->kernel_w + 5 * m->stride_w || (end - begin) * m->out_w < FEWEST) return qd_conv_trit_map_avx2(m);
    columns = (most - m->kernel_w) / m->stride_w + 1;
    if (columns >= m->out_w) columns = m->out_w;
    g.line = ((columns - 1) * m->stride_w + m->kernel_w) * plane;
    g.next = m->stride_w * plane;
    g.signs = signs;
    g.masks = masks;
    g.some = some;
    rows = (MOST_BYTES / g.line - m->kernel_h) / m->stride_h + 1;
    for (size_t x = 0, n; x < m->out_w; x += n) {
        n = m->out_w - x < columns ? m->out_w - x : columns;
        for (size_t y = begin, until; y < end; y = until) {
            const size_t lines = (((until = end - y < rows ? end : y + rows) - y) - 1) * m->stride_h + m->kernel_h;
            for (size_t r = 0; r < lines; r++) {
                const size_t at = y * m->stride_h + r - m->top; /* wraps above the map */
                const uint8_t *in = at < m->h ? m->in + at * m->w * m->pixel : NULL;
                copy_row(&g, in, x * m->stride_w, (n - 1) * m->stride_w + m->kernel_w, signs + r * g.line, masks + r * g.line);
            }
            memset(signs + lines * g.line, 0, SPARE); /* is read, though for nothing */
            memset(masks + lines * g.line, 0, SPARE);
            for (size_t i = 0; W == 1 && i < until - y; i++) count_masks(&g, masks + i * m->stride_h * g.line, n, some + i * n);
            for (size_t first = 0; first < m->out_channels;) {
                const int two = m->out_channels - first > 16 && 2 * vectors <= MOST_VECTORS;
                if (two) (W == 2 ? trits_32 : bits_32)(&g, first, y, until, x, n);
                else (W == 2 ? trits_16 : bits_16)(&g, first, y, until, x, n);
                first += two ? 32 : 16;
            }
        }
    }
    qd_clear_spare_bits(m, used);
    qd_clear_spare_signs(m, used);
    return QD_MAP_SIGNED;
}

int qd_conv_trit_map_avx512(const qd_map *m) { return m->planes == 1 ? qd_conv_map_avx512(m) : run(m); }

#else
typedef int qd_conv_trit_map_avx512_is_for_x86_64;
#endif
