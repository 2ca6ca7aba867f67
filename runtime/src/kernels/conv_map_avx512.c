/*
 * Whole convolutions of binary maps with AVX-512 (VPOPCNTDQ), by weights of bits or trits: activations are read where they lie in the map.
 *
 * Per group of up to 32 output channels the weights are brought into words of four bytes per channel, on the stack; then six
 * output pixels at a time, a word of each pixel is copied to all lanes and counted against two vectors of weights.
 * A kernel row is a stretch of the map of any length: its last word is the one that ends with it, and the bytes that this word
 * has already seen are masked out. Trits have a word of signs and one of masks, which are 0 there anyway. Rows and columns of output pixels that have the same
 * taps inside the map come as bands; where taps are not whole words, the words are made anew for each band of columns.
 */
#if defined(__x86_64__)

#include "finish_avx512.h"
#include "words_avx512.h"

enum { BUFFER = 36864, TILE = 6, FEWEST = 4, MOST_ROWS = 16 };

typedef struct group {
    const qd_map *map;
    size_t first;       /* output channel */
    size_t piece;       /* bytes of a tap that hold channels, if its last word does not; else 0: a kernel row is one stretch */
    size_t row_words;   /* words of a kernel row in the buffer */
    const __m512i *words;
    __m512i masks[MOST_ROWS][2]; /* trits: weights of each kernel row and one band of columns that are not 0 */
} group;

/* Output pixels of one band of rows and one of columns, or a part of them. */
typedef struct patch {
    size_t stretches, bytes; /* of the map, read one after the other; bytes of one */
    size_t pieces;           /* stretches of a kernel row */
    size_t next, next_row;   /* bytes from a stretch to the next one of its kernel row, and to the first of the next row */
    const __m512i *words;
    size_t skip;             /* vectors between the words of two kernel rows */
    size_t last;             /* where a kernel row's last word begins, if it is not whole */
    __m512i fresh;           /* the bits of that word that are new */
    __m512i bits[2];         /* products that are not 0 */
    __m512i limit[2];        /* more mismatches than this give 1 */
} patch;

/* How much a row of n bytes takes. */
static size_t words_of(size_t n) { return (n + 3) / 4; }

/* The j-th word of a row of n bytes: where it begins, and which of its bytes no earlier word has had. */
static size_t word_at(size_t j, size_t n, unsigned *fresh) {
    if (4 * j + 4 <= n) {
        *fresh = 15;
        return 4 * j;
    }
    *fresh = n < 4 ? (1u << n) - 1 : 15u & ~(15u >> n % 4); /* the upper n % 4 */
    return n < 4 ? 0 : n - 4;
}

/* Words of all kernel rows, columns [from, to) of the kernel. */
QD_AVX512_INLINE void make_words(const int Q, const int W, const group *g, size_t from, size_t to, __m512i *words) {
    const qd_map *m = g->map;
    const size_t taps = g->piece ? to - from : 1, n = g->piece ? g->piece : (to - from) * m->pixel, whole = n / 4;
    const size_t row = m->kernel_w * m->pixel;
    const size_t lanes = Q > 1 || m->out_channels > 16 ? 32 : 16; /* of a block of bits */
    const uint8_t *block = m->weights + g->first / lanes * lanes * m->kernel_h * row * (size_t)W + g->first % lanes;
    unsigned fresh;
    const size_t last = word_at(whole, n, &fresh);
    for (size_t i = 0; i < m->kernel_h * taps; i++) {
        const size_t k = i / taps * row + (from + i % taps) * m->pixel;
        for (size_t j = 0; j < words_of(n); j++) {
            _Pragma("GCC unroll 2") for (size_t plane = 0; plane < (size_t)W; plane++, words += Q) {
                const uint8_t *rows = block + ((k + (j < whole ? 4 * j : last)) * (size_t)W + plane) * lanes;
                qd_words_of_bits(Q, rows, lanes, lanes * (size_t)W, j < whole ? 15 : fresh, words);
            }
        }
    }
}

/* One word of activations x against weights w. only: null, or the bits that count. */
QD_AVX512_INLINE __m512i count(__m512i acc, __m512i x, __m512i w, const __m512i *only) {
    x = only ? _mm512_ternarylogic_epi32(x, w, *only, 0x28) : _mm512_xor_si512(x, w); /* (x ^ w) & only */
    return _mm512_add_epi32(acc, _mm512_popcnt_epi32(x));
}

QD_AVX512_INLINE void tile(const int P, const int Q, const int W, const qd_map *m, const patch *t, size_t first, const uint8_t *const *in, const size_t *pixel) {
    const __m512i *w = t->words;
    const uint8_t *x[TILE];
    const size_t whole = t->bytes / 4, rest = t->bytes % 4;
    __m512i acc[TILE][2];
    _Pragma("GCC unroll 6") for (int p = 0; p < P; p++) {
        x[p] = in[p];
        acc[p][0] = acc[p][1] = _mm512_setzero_si512();
    }
    for (size_t r = 0, piece = 0; r < t->stretches; r++) {
        size_t step = t->next;
        for (size_t j = 0; j < whole; j++, w += Q * W) {
            _Pragma("GCC unroll 6") for (int p = 0; p < P; p++) {
                const __m512i v = _mm512_set1_epi32((int)qd_word(x[p] + 4 * j));
                _Pragma("GCC unroll 2") for (int q = 0; q < Q; q++) acc[p][q] = count(acc[p][q], v, w[q], W == 2 ? &w[Q + q] : NULL);
            }
        }
        if (rest) {
            _Pragma("GCC unroll 6") for (int p = 0; p < P; p++) {
                const uint32_t word = whole ? qd_word(x[p] + t->last) : qd_short_word(x[p], rest);
                const __m512i v = _mm512_set1_epi32((int)word);
                _Pragma("GCC unroll 2") for (int q = 0; q < Q; q++) acc[p][q] = count(acc[p][q], v, w[q], W == 2 ? &w[Q + q] : &t->fresh);
            }
            w += Q * W;
        }
        if (++piece == t->pieces) {
            piece = 0;
            step = t->next_row;
            w += t->skip;
        }
        _Pragma("GCC unroll 6") for (int p = 0; p < P; p++) x[p] += step;
    }
    if (m->thresholds) {
        uint8_t *const out = m->out; /* copies: what is stored could be anything's */
        const size_t bytes = m->out_pixel;
        _Pragma("GCC unroll 6") for (int p = 0; p < P; p++) {
            __mmask16 ones[2];
            _Pragma("GCC unroll 2") for (int q = 0; q < Q; q++) ones[q] = _mm512_cmpgt_epi32_mask(acc[p][q], t->limit[q]);
            qd_store_ones(Q, ones, out + pixel[p] * bytes, bytes, first);
        }
    } else {
        _Pragma("GCC unroll 6") for (int p = 0; p < P; p++) {
            _Pragma("GCC unroll 2") for (int q = 0; q < Q; q++) {
                acc[p][q] = _mm512_sub_epi32(t->bits[q], _mm512_slli_epi32(acc[p][q], 1));
            }
        }
        qd_finish_values(P, Q, m, first, (const __m512i(*)[2])acc, pixel);
    }
}

/* What is the same for all pixels of two bands. */
QD_AVX512_INLINE void prepare(const int Q, const int W, const group *g, qd_band rows, qd_band columns, size_t column_words, patch *t) {
    const qd_map *m = g->map;
    const size_t inside = rows.to - rows.from, across = columns.to - columns.from;
    unsigned fresh;
    t->pieces = g->piece ? across : 1;
    t->stretches = inside * t->pieces;
    t->bytes = g->piece ? g->piece : across * m->pixel;
    t->next = m->pixel;
    t->next_row = m->w * m->pixel - (t->pieces - 1) * m->pixel;
    t->words = g->words + (rows.from * g->row_words + column_words) * (size_t)(Q * W);
    t->skip = (g->row_words - t->pieces * words_of(t->bytes)) * (size_t)(Q * W);
    t->last = word_at(t->bytes / 4, t->bytes, &fresh);
    t->fresh = _mm512_maskz_set1_epi8(0x1111111111111111u * fresh, -1);
    for (int q = 0; q < Q; q++) {
        t->bits[q] = _mm512_set1_epi32((int32_t)(inside * across * m->channels));
        if (W == 1) continue;
        t->bits[q] = _mm512_setzero_si512();
        for (size_t r = rows.from; r < rows.to; r++) t->bits[q] = _mm512_add_epi32(t->bits[q], g->masks[r][q]);
    }
    t->limit[0] = t->limit[1] = _mm512_setzero_si512();
    for (size_t q = 0; m->thresholds && q < (size_t)Q; q++) {
        const size_t c = g->first + 16 * q;
        const __mmask16 lanes = c < m->out_channels ? qd_lanes(m->out_channels - c) : 0;
        __m512i limit = _mm512_maskz_loadu_epi32(lanes, m->thresholds + c);
        /* bits - 2 n < limit, where |bits - 2 n| <= 65535: the clamp changes no answer and keeps the difference small */
        limit = _mm512_max_epi32(_mm512_min_epi32(limit, _mm512_set1_epi32(70000)), _mm512_set1_epi32(-70000));
        limit = _mm512_srai_epi32(_mm512_sub_epi32(t->bits[q], limit), 1);
        limit = _mm512_mask_mov_epi32(_mm512_set1_epi32(INT32_MAX), lanes, limit);
        t->limit[q] = limit;
    }
}

QD_AVX512_INLINE void run_bands(const int Q, const int W, const group *g, qd_band rows, qd_band columns, size_t column_words) {
    const qd_map *m = g->map;
    const size_t n = (size_t)(rows.end - rows.begin) * (columns.end - columns.begin);
    const size_t step = m->stride_w * m->pixel, left = columns.from * m->pixel;
    size_t y = rows.begin, x = columns.begin;
    patch t;
    prepare(Q, W, g, rows, columns, column_words, &t);
    for (size_t i = 0; i < n;) {
        /* An offset, not a pointer: what leads from a row to the next may go back, which only wraps. */
        size_t first = ((y * m->stride_h + rows.from - m->top) * m->w - m->left) * m->pixel + left + x * step;
        const uint8_t *in[TILE];
        size_t pixel[TILE], take = n - i < 3 ? 1 : n - i < TILE ? n - i : (size_t)TILE;
        if (columns.end - x >= TILE) { /* side by side, the most common */
            _Pragma("GCC unroll 6") for (size_t p = 0; p < TILE; p++) {
                in[p] = m->in + (first + p * step);
                pixel[p] = y * m->out_w + x + p;
            }
            x += take;
        } else {
            for (size_t p = 0; p < TILE; p++) {
                in[p] = m->in + first;
                pixel[p] = y * m->out_w + x;
                if (p + 1 >= take) continue; /* the last one again */
                first += step;
                if (++x == columns.end) {
                    x = columns.begin;
                    y++;
                    first += m->stride_h * m->w * m->pixel - (columns.end - columns.begin) * step;
                }
            }
            x++;
        }
        if (x == columns.end) {
            x = columns.begin;
            y++;
        }
        if (take == 1) tile(1, Q, W, m, &t, g->first, in, pixel);
        else tile(TILE, Q, W, m, &t, g->first, in, pixel); /* the last pixel stands in for those missing */
        i += take;
    }
}

/* Where the band's words begin in a kernel row: column_words. */
QD_AVX512_INLINE void count_masks(const int Q, group *g, qd_band columns, size_t column_words) {
    const size_t across = columns.to - columns.from, n = g->piece ? across * words_of(g->piece) : words_of(across * g->map->pixel);
    for (size_t r = 0; r < g->map->kernel_h; r++) {
        const __m512i *w = g->words + (r * g->row_words + column_words) * 2 * (size_t)Q + Q;
        for (int q = 0; q < Q; q++) {
            __m512i sum = _mm512_setzero_si512();
            for (size_t j = 0; j < n; j++) sum = _mm512_add_epi32(sum, _mm512_popcnt_epi32(w[j * 2 * (size_t)Q + (size_t)q]));
            g->masks[r][q] = sum;
        }
    }
}

/* Channels [from, to) in groups of 16 Q. */
QD_AVX512_INLINE void run_groups(const int Q, const int W, const qd_map *m, size_t from, size_t to) {
    __m512i words[BUFFER / 64];
    const int aligned = m->pixel % 4 == 0;
    const size_t used = (m->channels + 31) / 32 * 4;
    group g;
    g.map = m;
    g.words = words;
    g.piece = aligned && used < m->pixel ? used : 0;
    for (g.first = from; g.first < to; g.first += 16 * (size_t)Q) {
        for (size_t c = 0; c < m->n_columns; c++) {
            const qd_band columns = m->columns[c];
            const size_t left = aligned ? 0 : columns.from, right = aligned ? m->kernel_w : columns.to;
            if (c == 0 || !aligned) {
                g.row_words = g.piece ? m->kernel_w * used / 4 : words_of((right - left) * m->pixel);
                make_words(Q, W, &g, left, right, words);
            }
            if (W == 2) count_masks(Q, &g, columns, aligned ? columns.from * (g.piece ? used : m->pixel) / 4 : 0);
            for (size_t r = 0; r < m->n_rows; r++) {
                run_bands(Q, W, &g, m->rows[r], columns, aligned ? columns.from * (g.piece ? used : m->pixel) / 4 : 0);
            }
        }
    }
}

#define INSTANCE(name, Q, W) \
    __attribute__((noinline)) QD_AVX512_TARGET static void name(const qd_map *m, size_t from, size_t to) { run_groups(Q, W, m, from, to); }
INSTANCE(bits_16, 1, 1)
INSTANCE(bits_32, 2, 1)
INSTANCE(trits_16, 1, 2)
INSTANCE(trits_32, 2, 2)

QD_AVX512_TARGET int qd_conv_map_avx512(const qd_map *m) {
    const size_t words = m->kernel_h * words_of(m->kernel_w * m->pixel) * m->weight_planes, o = m->out_channels;
    const size_t pairs_of_16 = o % 32 > 16 ? (o + 31) / 32 * 32 : o / 32 * 32; /* channels that go by 32, the others by 16 */
    const size_t rows = m->rows[m->n_rows - 1].end - m->rows[0].begin, by_32 = 2 * words <= BUFFER / 64 ? pairs_of_16 : 0;
    void (*const run_16)(const qd_map *, size_t, size_t) = m->weight_planes == 1 ? bits_16 : trits_16;
    void (*const run_32)(const qd_map *, size_t, size_t) = m->weight_planes == 1 ? bits_32 : trits_32;
    if (rows * m->out_w < FEWEST || words > BUFFER / 64 || m->kernel_h > MOST_ROWS) return QD_MAP_NOT;
    if (by_32) run_32(m, 0, by_32);
    if (by_32 < o) run_16(m, by_32, o);
    qd_clear_spare_bits(m, (o + 15) / 16 * 2);
    qd_clear_spare_signs(m, (o + 15) / 16 * 2);
    return QD_MAP_SIGNED;
}

#else
typedef int qd_conv_map_avx512_is_for_x86_64;
#endif
