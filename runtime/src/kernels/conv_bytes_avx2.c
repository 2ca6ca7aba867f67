/*
 * Whole convolutions of a map of int8 with AVX2: a strip of it is copied with its margins, so that the taps of a kernel row lie side by side.
 * Words of them, of four output pixels, go to all lanes and meet the weights of 16 channels.
 *
 * Weights of fewer than eight bits: four taps a step, by MADDUBS of x + 128, of which two products fit in 16 bits, and so do the sums of some
 * steps; sum w x = sum w (x + 128) - 128 sum w. They are widened once for every strip.
 * Weights of eight bits: two taps a step, by MADD of both widened to 16 bits into 32.
 */
#if defined(__x86_64__)

#include "finish_avx2.h"
#include "specialise.h"

/* Vectors of weights; bytes of a copy, and what is written past it. */
enum { MOST_WORDS = 1000, MOST_BYTES = 9216, SPARE = 32 };

typedef struct layer {
    const qd_map *map;
    size_t across, steps;  /* of a kernel row, of all */
    size_t at_once;        /* steps whose sums fit in 16 bits */
    size_t line;           /* bytes of a row of the copy */
    size_t next;           /* bytes from an output pixel to the one beside it */
    const __m256i *words;  /* [block of two][step], of four taps */
    int32_t start[16];     /* of accumulators, of both blocks */
} layer;

/* -1 in the bytes whose bit of `bits` is set: two pairs of taps of eight channels, [pair][channel][tap], to [channel][pair][tap]. */
QD_AVX2_INLINE __m256i spread(__m256i bits, int from, int pair) {
    const int first = from | from << 8 | (from + pair) << 16 | (from + pair) << 24;
    const __m256i bytes = _mm256_blend_epi32(_mm256_set1_epi32(first), _mm256_set1_epi32(first + 0x01010101), 0xF0);
    const __m256i place = _mm256_set1_epi64x((int64_t)UINT64_C(0x0804080402010201)); /* and 16 times that */
    const __m256i mask = _mm256_blend_epi32(place, _mm256_slli_epi16(place, 4), 0xCC);
    return _mm256_cmpeq_epi8(_mm256_and_si256(_mm256_shuffle_epi8(bits, bytes), mask), mask);
}

/* Four taps of eight channels as bytes, [channel][tap]. */
QD_AVX2_INLINE __m256i widen(const qd_small_form form, const uint8_t *w) {
    if (form == QD_SMALL_INT4) {
        const __m128i v = _mm_loadu_si128((const __m128i *)(const void *)w), half = _mm_set1_epi8(15), sign = _mm_set1_epi8(8);
        const __m128i even = _mm_and_si128(v, half), odd = _mm_and_si128(_mm_srli_epi16(v, 4), half);
        const __m128i first = _mm_unpacklo_epi8(even, odd), second = _mm_unpackhi_epi8(even, odd);
        const __m128i low = _mm_unpacklo_epi16(first, second), high = _mm_unpackhi_epi16(first, second);
        return _mm256_set_m128i(_mm_sub_epi8(_mm_xor_si128(high, sign), sign), _mm_sub_epi8(_mm_xor_si128(low, sign), sign));
    }
    if (form == QD_SMALL_TRITS) {
        int64_t bits;
        memcpy(&bits, w, sizeof bits);
        const __m256i v = _mm256_set1_epi64x(bits), minus = spread(v, 0, 4);
        return _mm256_sub_epi8(_mm256_add_epi8(minus, minus), spread(v, 2, 4)); /* -2 + 1, 0 + 1 or 0 */
    }
    int32_t bits;
    memcpy(&bits, w, sizeof bits);
    const __m256i set = spread(_mm256_set1_epi32(bits), 0, 2);
    return form == QD_SMALL_MASKS ? _mm256_abs_epi8(set) : _mm256_or_si256(set, _mm256_set1_epi8(1));
}

/* Weights of Q blocks, and what their accumulators begin with. */
QD_AVX2_INLINE void widen_all(const qd_small_form form, const int Q, layer *g, const uint8_t *w, __m256i *to) {
    const size_t step = 2 * qd_small_pair_bytes(form);
    for (int q = 0; q < Q; q++) {
        __m256i sum = _mm256_setzero_si256();
        for (size_t i = 0; i < g->steps; i++, w += step) {
            const __m256i taps = widen(form, w), pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), taps);
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(-128)));
            _mm256_store_si256(to++, taps);
        }
        _mm256_storeu_si256((__m256i *)(void *)(g->start + 8 * q), sum);
    }
}

/* n columns of the padded map from x on of the row at `in`, or of a row outside. */
QD_AVX2_INLINE void copy_row(const int WORDS, const qd_map *m, const uint8_t *in, size_t x, size_t n, uint8_t *to) {
    const size_t end = x + n, right = m->left + m->w;
    const size_t from = in && x < right ? (x > m->left ? x : m->left) : end, until = in && end > from ? (end < right ? end : right) : end;
    const size_t size = WORDS ? 1 : 2, first = (from - x) * m->channels * size, last = (until - x) * m->channels * size;
    const uint8_t *pixels = in && from < end ? in + (from - m->left) * m->channels : NULL;
    size_t i = first;
    memset(to, WORDS ? 0x80 : 0, first);
    for (; pixels && i + 32 <= last; i += 32, pixels += 32 / size) {
        __m256i v;
        if (WORDS) v = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(const void *)pixels), _mm256_set1_epi8((char)0x80));
        else v = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)pixels));
        _mm256_storeu_si256((__m256i *)(void *)(to + i), v);
    }
    for (; pixels && i < last; i += size, pixels++) {
        const int16_t value = (int8_t)*pixels;
        if (WORDS) to[i] = *pixels ^ 0x80;
        else memcpy(to + i, &value, 2);
    }
    memset(to + last, WORDS ? 0x80 : 0, n * m->channels * size - last);
}

/* Sums of 16 bits to accumulators. */
QD_AVX2_INLINE void add_up(const int P, const int Q, __m256i (*sums)[2], __m256i (*acc)[2]) {
    _Pragma("GCC unroll 4") for (int p = 0; p < P; p++) {
        _Pragma("GCC unroll 2") for (int q = 0; q < Q; q++) {
            acc[p][q] = _mm256_add_epi32(acc[p][q], _mm256_madd_epi16(sums[p][q], _mm256_set1_epi16(1)));
            sums[p][q] = _mm256_setzero_si256();
        }
    }
}

/* Accumulators of Q blocks from `block` on of P output pixels whose first taps begin at `at`. */
QD_AVX2_INLINE void multiply(const int WORDS, const int P, const int Q, const layer *g, size_t block, const uint8_t *at, __m256i (*acc)[2]) {
    const uint8_t *pairs = g->map->weights + 16 * g->steps * block;
    const __m256i *words = g->words;
    __m256i sums[4][2];
    size_t left = g->at_once;
    _Pragma("GCC unroll 4") for (int p = 0; p < P; p++) {
        _Pragma("GCC unroll 2") for (int q = 0; q < Q; q++) {
            acc[p][q] = WORDS ? _mm256_loadu_si256((const __m256i *)(const void *)(g->start + 8 * q)) : _mm256_setzero_si256();
            sums[p][q] = _mm256_setzero_si256();
        }
    }
    for (size_t ky = 0; ky < g->map->kernel_h; ky++) {
        const uint8_t *x = at + ky * g->line;
        for (size_t k = 0; k < g->across;) {
            size_t some = g->across - k < left || !WORDS ? g->across - k : left;
            k += some;
            left -= WORDS ? some : 0;
            for (; some > 0; some--, x += 4) {
                __m256i w[2];
                _Pragma("GCC unroll 2") for (int q = 0; q < Q; q++) {
                    if (WORDS) w[q] = words[(size_t)q * g->steps];
                    else w[q] = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(pairs + (size_t)q * 16 * g->steps)));
                }
                words++, pairs += 16;
                _Pragma("GCC unroll 4") for (int p = 0; p < P; p++) {
                    int32_t terms;
                    memcpy(&terms, x + (size_t)p * g->next, sizeof terms);
                    const __m256i taps = _mm256_set1_epi32(terms);
                    _Pragma("GCC unroll 2") for (int q = 0; q < Q; q++) {
                        if (WORDS) sums[p][q] = _mm256_add_epi16(sums[p][q], _mm256_maddubs_epi16(taps, w[q]));
                        else acc[p][q] = _mm256_add_epi32(acc[p][q], _mm256_madd_epi16(taps, w[q]));
                    }
                }
            }
            if (WORDS && left == 0) {
                add_up(P, Q, sums, acc);
                left = g->at_once;
            }
        }
    }
    if (WORDS) add_up(P, Q, sums, acc);
}

/* Q blocks of n output pixels side by side. */
QD_AVX2_INLINE void row(const int WORDS, const int Q, const layer *g, size_t block, const uint8_t *at, size_t n, size_t pixel) {
    __m256i acc[4][2];
    for (size_t x = 0; x < n && n < 4; x++) {
        multiply(WORDS, 1, Q, g, block, at + x * g->next, acc);
        qd_finish(1, Q, g->map, block, (const __m256i(*)[2])acc, pixel + x);
    }
    for (size_t x = 0; x < n && n >= 4; x += 4) {
        const size_t from = n - x < 4 ? n - 4 : x; /* the last ones maybe once more */
        multiply(WORDS, 4, Q, g, block, at + from * g->next, acc);
        qd_finish(4, Q, g->map, block, (const __m256i(*)[2])acc, pixel + from);
    }
}

#define WIDEN_ALL(Q, form) widen_all(form, Q, &g, m->weights + block * g.steps * 2 * qd_small_pair_bytes(form), words)

/* Q blocks from `block` on of rows [y, end) and n columns from x on of the output, whose windows are in the copy. */
QD_AVX2_INLINE void strip(const int WORDS, const int Q, const layer *g, size_t block, const uint8_t *copy, size_t y, size_t end, size_t x, size_t n) {
    const qd_map *m = g->map;
    for (; y < end; y++, copy += m->stride_h * g->line) row(WORDS, Q, g, block, copy, n, y * m->out_w + x);
}

__attribute__((noinline)) QD_AVX2_TARGET static void strip_of_words(const layer *g, size_t block, size_t blocks, const uint8_t *copy, size_t y, size_t end,
                                                                    size_t x, size_t n) {
    if (blocks == 2) strip(1, 2, g, block, copy, y, end, x, n);
    else strip(1, 1, g, block, copy, y, end, x, n);
}

__attribute__((noinline)) QD_AVX2_TARGET static void strip_of_pairs(const layer *g, size_t block, size_t blocks, const uint8_t *copy, size_t y, size_t end,
                                                                    size_t x, size_t n) {
    if (blocks == 2) strip(0, 2, g, block, copy, y, end, x, n);
    else strip(0, 1, g, block, copy, y, end, x, n);
}

QD_AVX2_TARGET int qd_conv_bytes_avx2(const qd_map *m) {
    const int by_words = m->form != 0;
    const size_t taps = m->kernel_h * m->kernel_w * m->channels, blocks = (m->out_channels + 7) / 8;
    const size_t pixel = m->channels * (by_words ? 1 : 2), end = m->rows[m->n_rows - 1].end;
    const size_t most = MOST_BYTES / (m->kernel_h * pixel); /* columns of a copy, if it is of one output row */
    size_t columns, rows;
    uint8_t copy[MOST_BYTES + SPARE];
    __m256i words[MOST_WORDS];
    layer g;
    if (m->channels % (by_words ? 4 : 2) || most < m->kernel_w + 3 * m->stride_w || (by_words && taps / 4 > MOST_WORDS)) return QD_MAP_NOT;
    columns = (most - m->kernel_w) / m->stride_w + 1; /* of the output */
    if (columns >= m->out_w) columns = m->out_w;
    else columns -= columns % 4;
    g.map = m;
    g.across = m->kernel_w * m->channels / (by_words ? 4 : 2);
    g.steps = m->kernel_h * g.across;
    g.at_once = m->form == QD_SMALL_INT4 ? 8 : 64;
    g.line = ((columns - 1) * m->stride_w + m->kernel_w) * pixel;
    g.next = m->stride_w * pixel;
    g.words = words;
    rows = (MOST_BYTES / g.line - m->kernel_h) / m->stride_h + 1;
    for (size_t x = 0, n; x < m->out_w; x += n) {
        n = m->out_w - x < columns ? m->out_w - x : columns;
        for (size_t y = m->rows[0].begin, until; y < end; y = until) {
            until = end - y < rows ? end : y + rows;
            for (size_t r = 0; r < (until - y - 1) * m->stride_h + m->kernel_h; r++) {
                const size_t at = y * m->stride_h + r - m->top; /* wraps above the map */
                const uint8_t *in = at < m->h ? m->in + at * m->w * m->pixel : NULL;
                const size_t wide = (n - 1) * m->stride_w + m->kernel_w;
                if (by_words) copy_row(1, m, in, x * m->stride_w, wide, copy + r * g.line);
                else copy_row(0, m, in, x * m->stride_w, wide, copy + r * g.line);
            }
            for (size_t block = 0, some; block < blocks; block += some) {
                some = blocks - block < 2 || (by_words && 2 * g.steps > MOST_WORDS) ? 1 : 2;
                if (by_words) {
                    if (some == 2) QD_EACH_SMALL_FORM(m->form, 2, WIDEN_ALL);
                    else QD_EACH_SMALL_FORM(m->form, 1, WIDEN_ALL);
                    strip_of_words(&g, block, some, copy, y, until, x, n);
                } else {
                    strip_of_pairs(&g, block, some, copy, y, until, x, n);
                }
            }
        }
    }
    qd_clear_spare_bits(m, blocks);
    qd_clear_spare_signs(m, blocks);
    return QD_MAP_SIGNED;
}

#else
typedef int qd_conv_bytes_avx2_is_for_x86_64;
#endif
