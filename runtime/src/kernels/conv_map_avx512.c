/*
 * Whole convolutions with AVX-512, binary (VPOPCNTDQ) and of 8-bit pixels (VNNI): activations are read where they lie in the map.
 *
 * Per group of up to 32 output channels the weights are brought into words of four bytes per channel, on the stack; then six
 * output pixels at a time, a word of each pixel is copied to all lanes and counted or multiplied against two vectors of weights.
 * A kernel row is a stretch of the map of any length: its last word is the one that ends with it, and the bytes that this word
 * has already seen are masked out (binary) or meet weights of 0 (8-bit). Rows and columns of output pixels that have the same
 * taps inside the map come as bands; where taps are not whole words, the words are made anew for each band of columns.
 *
 * 8-bit: sum (u - z) w = sum u w - sum z w over the taps inside. The second sum is the same for all pixels of two bands, and where
 * the accumulators begin. VPDPBUSD adds four products u w, each below 2^15, without saturating; sums stay in int32 by verification.
 */
#if defined(__x86_64__)

#include "words_avx512.h"

enum { BUFFER = 36864, TILE = 6, FEWEST = 4, MAX_WORDS = BUFFER / 64 };

typedef struct group {
    const qd_map *map;
    size_t first;       /* output channel */
    size_t piece;       /* bytes of a tap that hold channels, if its last word does not; else 0: a kernel row is one stretch */
    size_t row_words;   /* words of a kernel row in the buffer */
    const __m512i *words;
    const uint32_t *zero; /* 8-bit: zero points of a kernel row, as words */
} group;

/* Output pixels of one band of rows and one of columns, or a part of them. */
typedef struct patch {
    size_t stretches, bytes; /* of the map, read one after the other; bytes of one */
    size_t pieces;           /* stretches of a kernel row */
    size_t next, next_row;   /* bytes from a stretch to the next one of its kernel row, and to the first of the next row */
    const __m512i *words;
    size_t skip;             /* vectors between the words of two kernel rows */
    size_t last;             /* where a kernel row's last word begins, if it is not whole */
    __m512i fresh;           /* binary: the bits of that word that are new */
    __m512i start[2];        /* 8-bit: where accumulators begin */
    __m512i limit[2];        /* binary: more mismatches than this give 1; 8-bit: less than this does */
    int32_t bits;
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
QD_AVX512_INLINE void make_words(const int BITS, const int Q, const group *g, size_t from, size_t to, __m512i *words) {
    const qd_map *m = g->map;
    const size_t taps = g->piece ? to - from : 1, n = g->piece ? g->piece : (to - from) * m->pixel, whole = n / 4;
    const size_t height = m->kernel_h, row = m->kernel_w * m->pixel, pixel = m->pixel, pairs = (height * row + 1) / 2;
    const size_t lanes = Q > 1 || m->out_channels > 16 ? 32 : 16; /* of a block of bits */
    const uint8_t *block = m->weights + g->first * (BITS ? height * row : 2 * pairs);
    const size_t eights = m->out_channels - g->first > 8 * 2 * (size_t)Q ? 2 * (size_t)Q : (m->out_channels - g->first + 7) / 8;
    unsigned fresh;
    const size_t last = word_at(whole, n, &fresh);
    for (size_t i = 0; i < height * taps; i++) {
        const size_t k = i / taps * row + (from + i % taps) * pixel;
        for (size_t j = 0; j <= whole; j++) {
            if (j == whole && n % 4 == 0) break;
            if (BITS && j < whole) {
                qd_words_of_bits(Q, block + (k + 4 * j) * lanes, lanes, 15, words);
            } else if (BITS) {
                qd_words_of_bits(Q, block + (k + last) * lanes, lanes, fresh, words);
            } else {
                const size_t at = k + (j < whole ? 4 * j : last);
                for (size_t h = 0; h < 2 * (size_t)Q; h++) {
                    __m256i eight = _mm256_setzero_si256();
                    if (h < eights) {
                        eight = qd_words_of_int8((const int8_t *)block + h * 16 * pairs, pairs, at, j < whole ? 15 : fresh);
                    }
                    _mm256_storeu_si256((__m256i *)(void *)((uint8_t *)words + 32 * h), eight);
                }
            }
            words += Q;
        }
    }
}

/* One word of activations x against the weights of Q vectors. fresh: null, or the bits of the word that count. */
QD_AVX512_INLINE __m512i multiply(const int BITS, __m512i acc, __m512i x, __m512i w, const __m512i *fresh) {
    if (!BITS) return _mm512_dpbusd_epi32(acc, x, w);
    x = fresh ? _mm512_ternarylogic_epi32(x, w, *fresh, 0x28) : _mm512_xor_si512(x, w); /* (x ^ w) & fresh */
    return _mm512_add_epi32(acc, _mm512_popcnt_epi32(x));
}

/* Bits of one pixel, 16 channels a vector. */
QD_AVX512_INLINE void store_bits(const int BITS, const int Q, const qd_map *m, const patch *t, size_t first, const __m512i *v,
                                 size_t pixel) {
    uint8_t *to = m->out + pixel * m->out_pixel + first / 8;
    _Pragma("GCC unroll 2") for (int q = 0; q < Q; q++) {
        const __mmask16 ones = BITS ? _mm512_cmpgt_epi32_mask(v[q], t->limit[q]) : _mm512_cmplt_epi32_mask(v[q], t->limit[q]);
        const uint16_t both = (uint16_t)ones;
        if (Q == 1 && m->out_pixel == 1) to[0] = (uint8_t)both;
        else memcpy(to + 2 * q, &both, 2);
    }
}

/* Accumulators or a stream of n pixels. */
QD_AVX512_INLINE void store_values(const int BITS, const int Q, const qd_map *m, const patch *t, size_t first, size_t n,
                                   const int32_t (*acc)[32], const size_t *pixel) {
    for (size_t p = 0; p < n; p++) {
        for (size_t q = 0; q < (size_t)Q; q++) {
            const size_t c = first + 16 * q, at = pixel[p] * m->out_channels + c;
            const __mmask16 lanes = c < m->out_channels ? qd_lanes(m->out_channels - c) : 0;
            __m512i v = _mm512_loadu_si512(acc[p] + 16 * q);
            if (BITS) v = _mm512_sub_epi32(_mm512_set1_epi32(t->bits), _mm512_slli_epi32(v, 1));
            if (m->steps) {
                const __m512 f = qd_stream16(m->steps, c, lanes, _mm512_cvtepi32_ps(v), m->add ? m->add + at : NULL);
                _mm512_mask_storeu_ps((float *)(void *)m->out + at, lanes, f);
            } else {
                _mm512_mask_storeu_epi32((int32_t *)(void *)m->out + at, lanes, v);
            }
        }
    }
}

/* n <= P pixels; the last one stands in for those missing. */
QD_AVX512_INLINE void tile(const int BITS, const int P, const int Q, const qd_map *m, const patch *t, size_t first, size_t n,
                           const uint8_t *const *in, const size_t *pixel) {
    const __m512i *w = t->words;
    const uint8_t *x[TILE];
    const size_t whole = t->bytes / 4, rest = t->bytes % 4;
    __m512i acc[TILE][2];
    _Pragma("GCC unroll 6") for (int p = 0; p < P; p++) {
        x[p] = in[p];
        acc[p][0] = t->start[0];
        acc[p][1] = t->start[1];
    }
    for (size_t r = 0, piece = 0; r < t->stretches; r++) {
        size_t step = t->next;
        for (size_t j = 0; j < whole; j++, w += Q) {
            _Pragma("GCC unroll 6") for (int p = 0; p < P; p++) {
                const __m512i v = _mm512_set1_epi32((int)qd_word(x[p] + 4 * j));
                _Pragma("GCC unroll 2") for (int q = 0; q < Q; q++) acc[p][q] = multiply(BITS, acc[p][q], v, w[q], NULL);
            }
        }
        if (rest) {
            _Pragma("GCC unroll 6") for (int p = 0; p < P; p++) {
                const uint32_t word = whole ? qd_word(x[p] + t->last) : qd_short_word(x[p], rest);
                const __m512i v = _mm512_set1_epi32((int)word);
                _Pragma("GCC unroll 2") for (int q = 0; q < Q; q++) acc[p][q] = multiply(BITS, acc[p][q], v, w[q], &t->fresh);
            }
            w += Q;
        }
        if (++piece == t->pieces) {
            piece = 0;
            step = t->next_row;
            w += t->skip;
        }
        _Pragma("GCC unroll 6") for (int p = 0; p < P; p++) x[p] += step;
    }
    if (m->thresholds) {
        _Pragma("GCC unroll 6") for (int p = 0; p < P; p++) store_bits(BITS, Q, m, t, first, acc[p], pixel[p]);
    } else {
        int32_t values[TILE][32];
        _Pragma("GCC unroll 6") for (int p = 0; p < P; p++) {
            _Pragma("GCC unroll 2") for (int q = 0; q < Q; q++) _mm512_storeu_si512(values[p] + 16 * q, acc[p][q]);
        }
        store_values(BITS, Q, m, t, first, n, (const int32_t(*)[32])values, pixel);
    }
}

/* What is the same for all pixels of two bands. */
QD_AVX512_INLINE void prepare(const int BITS, const int Q, const group *g, qd_band rows, qd_band columns, size_t column_words,
                              patch *t) {
    const qd_map *m = g->map;
    const size_t inside = rows.to - rows.from, across = columns.to - columns.from;
    unsigned fresh;
    t->pieces = g->piece ? across : 1;
    t->stretches = inside * t->pieces;
    t->bytes = g->piece ? g->piece : across * m->pixel;
    t->next = m->pixel;
    t->next_row = m->w * m->pixel - (t->pieces - 1) * m->pixel;
    t->words = g->words + (rows.from * g->row_words + column_words) * (size_t)Q;
    t->skip = (g->row_words - t->pieces * words_of(t->bytes)) * (size_t)Q;
    t->last = word_at(t->bytes / 4, t->bytes, &fresh);
    t->fresh = _mm512_maskz_set1_epi8(0x1111111111111111u * fresh, -1);
    t->bits = (int32_t)(inside * across * m->channels);
    t->start[0] = t->start[1] = t->limit[0] = t->limit[1] = _mm512_setzero_si512();
    if (!BITS) {
        for (int q = 0; q < Q; q++) {
            __m512i sum = _mm512_setzero_si512();
            for (size_t r = 0; r < inside; r++) {
                const __m512i *w = t->words + r * g->row_words * (size_t)Q;
                for (size_t j = 0; j < words_of(t->bytes); j++) {
                    sum = _mm512_dpbusd_epi32(sum, _mm512_set1_epi32((int)g->zero[j]), w[j * (size_t)Q + (size_t)q]);
                }
            }
            t->start[q] = _mm512_sub_epi32(_mm512_setzero_si512(), sum);
        }
    }
    for (size_t q = 0; m->thresholds && q < (size_t)Q; q++) {
        const size_t c = g->first + 16 * q;
        const __mmask16 lanes = c < m->out_channels ? qd_lanes(m->out_channels - c) : 0;
        __m512i limit = _mm512_maskz_loadu_epi32(lanes, m->thresholds + c);
        if (BITS) { /* bits - 2 n < limit, where |bits - 2 n| <= 65535: the clamp changes no answer and keeps the difference small */
            limit = _mm512_max_epi32(_mm512_min_epi32(limit, _mm512_set1_epi32(70000)), _mm512_set1_epi32(-70000));
            limit = _mm512_srai_epi32(_mm512_sub_epi32(_mm512_set1_epi32(t->bits), limit), 1);
            limit = _mm512_mask_mov_epi32(_mm512_set1_epi32(INT32_MAX), lanes, limit);
        } else {
            limit = _mm512_mask_mov_epi32(_mm512_set1_epi32(INT32_MIN), lanes, limit);
        }
        t->limit[q] = limit;
    }
}

QD_AVX512_INLINE void run_bands(const int BITS, const int Q, const group *g, qd_band rows, qd_band columns, size_t column_words) {
    const qd_map *m = g->map;
    const size_t n = (size_t)(rows.end - rows.begin) * (columns.end - columns.begin);
    const size_t step = m->stride_w * m->pixel, left = columns.from * m->pixel;
    size_t y = rows.begin, x = columns.begin;
    patch t;
    prepare(BITS, Q, g, rows, columns, column_words, &t);
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
        if (take == 1) tile(BITS, 1, Q, m, &t, g->first, 1, in, pixel);
        else tile(BITS, TILE, Q, m, &t, g->first, take, in, pixel);
        i += take;
    }
}

/* The zero points of n bytes of a kernel row, as words laid out like the weights'. */
static void make_zero(const qd_map *m, size_t n, uint32_t *zero) {
    for (size_t j = 0; j < words_of(n); j++) {
        unsigned fresh;
        const size_t at = word_at(j, n, &fresh);
        zero[j] = 0;
        for (size_t i = 0; i < 4; i++) zero[j] |= (uint32_t)(uint8_t)m->zero[(at + i) % m->channels] << (8 * i);
    }
}

/* Channels [from, to) in groups of 16 Q. */
QD_AVX512_INLINE void run_groups(const int BITS, const int Q, const qd_map *m, size_t from, size_t to) {
    __m512i words[BUFFER / 64];
    uint32_t zero[MAX_WORDS];
    const int aligned = m->pixel % 4 == 0;
    const size_t used = (m->channels + 31) / 32 * 4;
    group g;
    g.map = m;
    g.words = words;
    g.zero = zero;
    g.piece = BITS && aligned && used < m->pixel ? used : 0;
    for (g.first = from; g.first < to; g.first += 16 * (size_t)Q) {
        for (size_t c = 0; c < m->n_columns; c++) {
            const qd_band columns = m->columns[c];
            const size_t left = aligned ? 0 : columns.from, right = aligned ? m->kernel_w : columns.to;
            if (c == 0 || !aligned) {
                g.row_words = g.piece ? m->kernel_w * used / 4 : words_of((right - left) * m->pixel);
                make_words(BITS, Q, &g, left, right, words);
                if (!BITS) make_zero(m, (right - left) * m->pixel, zero);
            }
            for (size_t r = 0; r < m->n_rows; r++) {
                run_bands(BITS, Q, &g, m->rows[r], columns, aligned ? columns.from * (g.piece ? used : m->pixel) / 4 : 0);
            }
        }
    }
}

#define INSTANCE(name, bits, vectors)                                                                           \
    __attribute__((noinline)) QD_AVX512_TARGET static void name(const qd_map *m, size_t from, size_t to) {      \
        run_groups(bits, vectors, m, from, to);                                                                 \
    }
INSTANCE(bits_16, 1, 1)
INSTANCE(bits_32, 1, 2)
INSTANCE(pixels_16, 0, 1)
INSTANCE(pixels_32, 0, 2)

QD_AVX512_TARGET int qd_conv_map_avx512(const qd_map *m) {
    const size_t words = m->kernel_h * words_of(m->kernel_w * m->pixel), o = m->out_channels;
    const size_t pairs_of_16 = o % 32 > 16 ? (o + 31) / 32 * 32 : o / 32 * 32; /* channels that go by 32, the others by 16 */
    const size_t used = (o + 15) / 16 * 2;
    size_t rows = 0;
    for (size_t r = 0; r < m->n_rows; r++) rows += m->rows[r].end - m->rows[r].begin;
    if (rows * m->out_w < FEWEST || words * (pairs_of_16 ? 2 : 1) > BUFFER / 64) return 0;
    if (m->zero) {
        if (pairs_of_16) pixels_32(m, 0, pairs_of_16);
        if (pairs_of_16 < o) pixels_16(m, pairs_of_16, o);
    } else {
        if (pairs_of_16) bits_32(m, 0, pairs_of_16);
        if (pairs_of_16 < o) bits_16(m, pairs_of_16, o);
    }
    if (m->thresholds && m->out_pixel > used) {
        for (size_t r = 0; r < m->n_rows; r++) {
            for (size_t y = m->rows[r].begin; y < m->rows[r].end; y++) {
                for (size_t x = 0; x < m->out_w; x++) memset(m->out + (y * m->out_w + x) * m->out_pixel + used, 0, m->out_pixel - used);
            }
        }
    }
    return 1;
}

#else
typedef int qd_conv_map_avx512_is_for_x86_64;
#endif
