/*
 * Whole convolutions of 8-bit maps with AVX-512 VNNI: a strip of the map is copied with its margins, as unsigned bytes, so that the taps of
 * a kernel row lie side by side. Words of them, of eight output pixels, go to all lanes and meet the weights of 32 channels by VPDPBUSD, which
 * does not saturate; sums stay in int32 by verification.
 *
 * With u = x + 128 of int8, and u = x of pixels, z the byte of a tap outside the map: sum (u - z) w = sum u w - sum z w, where the second
 * sum is the same everywhere, and where accumulators begin.
 *
 * Of few channels kernel rows are no whole words. Then the bytes of 16 output pixels are first brought together by VPERMI2B, words of four
 * taps in the order of the weights, the last one filled up.
 */
#if defined(__x86_64__)

#include "finish_avx512.h"
#include "words_avx512.h"

/* Vectors of weights; bytes of a copy, and what is read past it; permutations of 16 output pixels; fewest output pixels. */
enum { MOST_VECTORS = 360, MOST_BYTES = 8192, SPARE = 128, MOST_MOVES = 44, FEWEST = 4 };

/* Bytes of one kernel row in one word of 16 output pixels. */
typedef struct move {
    __m512i index;
    __mmask64 bytes;
    size_t row;
    int last; /* of its word */
} move;

/* From [pair][channel] to [channel][pair], in each half. */
static const uint16_t CHANNELS_FIRST[32] = {0,  8,  1,  9,  2,  10, 3,  11, 4,  12, 5,  13, 6,  14, 7,  15,
                                            16, 24, 17, 25, 18, 26, 19, 27, 20, 28, 21, 29, 22, 30, 23, 31};

typedef struct layer {
    const qd_map *map;
    size_t rows, across, steps;  /* of a window: stretches of words, words of one, of all */
    size_t valid;                /* bytes of a stretch's last word that are taps */
    size_t step, line;           /* bytes from a word to the next one, and from a stretch to the next one */
    size_t next;                 /* bytes from an output pixel to the one beside it */
    uint32_t zero[MOST_VECTORS]; /* what each word is outside the map */
} layer;

/* A bit for each byte [channel][pair][tap] of two blocks, from those of two pairs, [pair][channel][tap], in bytes `from` and `from + pair` of each. */
QD_AVX512_INLINE __mmask64 spread(__m512i bits, int from, int pair) {
    const int first = from | from << 8 | (from + pair) << 16 | (from + pair) << 24;
    const __m512i bytes = _mm512_mask_blend_epi32(0xF0F0, _mm512_set1_epi32(first), _mm512_set1_epi32(first + 0x01010101));
    const __m512i place = _mm512_set1_epi64((int64_t)UINT64_C(0x0804080402010201)); /* and 16 times that */
    return _mm512_test_epi8_mask(_mm512_shuffle_epi8(bits, bytes), _mm512_mask_blend_epi32(0xCCCC, place, _mm512_slli_epi16(place, 4)));
}

/* Four taps of sixteen channels as bytes, [channel][tap], from two blocks; the second one may be null. */
QD_AVX512_INLINE __m512i four_taps(const int form, const uint8_t *low, const uint8_t *high) {
    const __m512i one = _mm512_set1_epi8(1), minus = _mm512_set1_epi8(-1);
    __m256i both[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    const uint8_t *const blocks[2] = {low, high};
    __m512i v;
    for (int h = 0; h < 2; h++) {
        if (!blocks[h]) {
            continue;
        } else if (form == QD_SMALL_INT4) {
            const __m256i pairs = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)blocks[h]));
            const __m256i nibbles = _mm256_and_si256(_mm256_or_si256(pairs, _mm256_slli_epi16(pairs, 4)), _mm256_set1_epi8(15));
            both[h] = _mm256_sub_epi8(_mm256_xor_si256(nibbles, _mm256_set1_epi8(8)), _mm256_set1_epi8(8));
        } else if (form == 0) {
            both[h] = _mm256_loadu_si256((const __m256i *)(const void *)blocks[h]);
        } else {
            int64_t bits = 0;
            memcpy(&bits, blocks[h], form == QD_SMALL_TRITS ? 8 : 4);
            both[h] = _mm256_set1_epi64x(bits);
        }
    }
    v = _mm512_inserti64x4(_mm512_castsi256_si512(both[0]), both[1], 1);
    if (form == QD_SMALL_BITS) return _mm512_mask_mov_epi8(one, spread(v, 0, 2), minus);
    if (form == QD_SMALL_MASKS) return _mm512_maskz_mov_epi8(spread(v, 0, 2), one);
    if (form == QD_SMALL_TRITS) return _mm512_mask_mov_epi8(_mm512_maskz_mov_epi8(spread(v, 2, 4), one), spread(v, 0, 4), minus);
    return _mm512_permutexvar_epi16(_mm512_loadu_si512(CHANNELS_FIRST), v);
}

/* Vector q of Q of the weights of channels from `first` on, behind where their accumulators begin: [1 + step][Q]. */
QD_AVX512_INLINE void widen(const int form, const layer *g, size_t first, size_t q, size_t Q, __m512i *words) {
    const qd_map *m = g->map;
    const size_t taps = m->kernel_h * m->kernel_w * m->channels, pairs = (taps + 1) / 2, row = taps / g->rows, b = first / 8 + 2 * q;
    const size_t bytes = form ? qd_small_pair_bytes((qd_small_form)form) : 16;
    const uint8_t *low = m->weights + b * pairs * bytes, *high = b + 1 < (m->out_channels + 7) / 8 ? low + pairs * bytes : NULL;
    __m512i sum = _mm512_setzero_si512(), *to = words + Q + q;
    for (size_t r = 0, i = 0; r < g->rows; r++) {
        for (size_t k = r * row, left = g->across; left > 0; left--, i++, k += 4, to += Q) {
            const unsigned valid = left == 1 ? (1u << g->valid) - 1 : 15u;
            if (form || (valid == 15 && k % 2 == 0 && k / 2 + 2 <= pairs)) {
                *to = four_taps(form, low + k / 2 * bytes, high ? high + k / 2 * bytes : NULL);
            } else {
                const __m256i beside = high ? qd_words_of_int8((const int8_t *)high, pairs, k, valid) : _mm256_setzero_si256();
                *to = _mm512_inserti64x4(_mm512_castsi256_si512(qd_words_of_int8((const int8_t *)low, pairs, k, valid)), beside, 1);
            }
            sum = _mm512_dpbusd_epi32(sum, _mm512_set1_epi32((int)g->zero[i]), *to);
        }
    }
    words[q] = _mm512_sub_epi32(_mm512_setzero_si512(), sum);
}

__attribute__((noinline)) QD_AVX512_TARGET static void widen_all(const layer *g, size_t first, size_t Q, __m512i *words) {
    for (size_t q = 0; q < Q; q++) {
        switch (g->map->form) {
        case QD_SMALL_BITS: widen(QD_SMALL_BITS, g, first, q, Q, words); break;
        case QD_SMALL_TRITS: widen(QD_SMALL_TRITS, g, first, q, Q, words); break;
        case QD_SMALL_MASKS: widen(QD_SMALL_MASKS, g, first, q, Q, words); break;
        case QD_SMALL_INT4: widen(QD_SMALL_INT4, g, first, q, Q, words); break;
        default: widen(0, g, first, q, Q, words); break;
        }
    }
}

/* 16 Q channels from `first` on of P output pixels side by side, whose first taps begin at `at`. */
QD_AVX512_INLINE void tile(const int P, const int Q, const layer *g, const __m512i *words, size_t first, const uint8_t *at, size_t pixel) {
    const __m512i *w = words + Q;
    size_t pixels[QD_MOST_PIXELS];
    __m512i acc[QD_MOST_PIXELS][QD_MOST_VECTORS];
    _Pragma("GCC unroll 8") for (int p = 0; p < P; p++) {
        pixels[p] = pixel + (size_t)p;
        _Pragma("GCC unroll 2") for (int q = 0; q < Q; q++) acc[p][q] = words[q];
    }
    for (size_t r = 0; r < g->rows; r++, at += g->line) {
        const uint8_t *x = at;
        for (size_t k = 0; k < g->across; k++, x += g->step, w += Q) {
            _Pragma("GCC unroll 8") for (int p = 0; p < P; p++) {
                const __m512i taps = _mm512_set1_epi32((int)qd_word(x + (size_t)p * g->next));
                _Pragma("GCC unroll 2") for (int q = 0; q < Q; q++) acc[p][q] = _mm512_dpbusd_epi32(acc[p][q], taps, w[q]);
            }
        }
    }
    if (g->map->thresholds) qd_finish_bits(P, Q, g->map, first, (const __m512i(*)[QD_MOST_VECTORS])acc, pixels);
    else qd_finish_values(P, Q, g->map, first, (const __m512i(*)[QD_MOST_VECTORS])acc, pixels);
}

/* The same of n output pixels; where n is no multiple of the tile the last ones are computed twice. */
QD_AVX512_INLINE void stretch(const int Q, const layer *g, const __m512i *words, size_t first, const uint8_t *at, size_t n, size_t pixel) {
    const size_t most = n >= 8 ? 8 : n >= 4 ? 4 : 1;
    for (size_t x = 0; x < n; x += most) {
        const size_t from = n - x < most ? n - most : x;
        if (most == 8) tile(8, Q, g, words, first, at + from * g->next, pixel + from);
        else if (most == 4) tile(4, Q, g, words, first, at + from * g->next, pixel + from);
        else tile(1, Q, g, words, first, at + from * g->next, pixel + from);
    }
}

__attribute__((noinline)) QD_AVX512_TARGET static void by_16(const layer *g, const __m512i *words, size_t first, const uint8_t *at, size_t n, size_t pixel) {
    stretch(1, g, words, first, at, n, pixel);
}

__attribute__((noinline)) QD_AVX512_TARGET static void by_32(const layer *g, const __m512i *words, size_t first, const uint8_t *at, size_t n, size_t pixel) {
    stretch(2, g, words, first, at, n, pixel);
}

/* The permutations that gather 16 output pixels, in the order of their words; 0 if they are too many, or reach too far. */
QD_AVX512_INLINE size_t make_moves(const qd_map *m, move *moves) {
    const size_t row = m->kernel_w * m->channels, taps = m->kernel_h * row, pixel = m->stride_w * m->channels;
    const __m512i lane = _mm512_set4_epi32(0x0F0E0D0C, 0x0B0A0908, 0x07060504, 0x03020100); /* in each quarter */
    const __m512i tap = _mm512_and_si512(lane, _mm512_set1_epi8(3));
    const __m512i numbers = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i from = _mm512_add_epi8(_mm512_mullo_epi32(numbers, _mm512_set1_epi32((int)(0x01010101 * pixel))), tap);
    size_t n = 0;
    if (15 * pixel + row > 128 || taps > 252) return 0;
    for (size_t k = 0; k < taps; k += 4) {
        for (size_t r = k / row; r < m->kernel_h && r * row < k + 4; r++, n++) {
            const __m512i offset = _mm512_set1_epi8((char)(k - r * row)); /* may wrap, into what is in no row */
            if (n == MOST_MOVES) return 0;
            moves[n].bytes = _mm512_cmplt_epu8_mask(_mm512_add_epi8(tap, offset), _mm512_set1_epi8((char)row));
            moves[n].index = _mm512_add_epi8(from, offset);
            moves[n].row = r;
            moves[n].last = r + 1 == m->kernel_h || (r + 1) * row >= k + 4;
        }
    }
    return n;
}

/* The words of 16 output pixels whose windows begin at `at`: [step][16]. far: some bytes are more than 64 behind the first one. */
QD_AVX512_INLINE void gather(const int far, const move *moves, size_t n, size_t line, const uint8_t *at, __m512i *to) {
    __m512i word = _mm512_setzero_si512(), low = word, high = word;
    size_t row = SIZE_MAX;
    for (const move *v = moves; v < moves + n; v++) {
        if (v->row != row) {
            row = v->row;
            low = _mm512_loadu_si512(at + row * line);
            if (far) high = _mm512_loadu_si512(at + row * line + 64);
        }
        word = _mm512_or_si512(word, far ? _mm512_maskz_permutex2var_epi8(v->bytes, low, v->index, high) : _mm512_maskz_permutexvar_epi8(v->bytes, v->index, low));
        if (!v->last) continue;
        *to++ = word;
        word = _mm512_setzero_si512();
    }
}

/* A strip of the map in the copy: n output columns from x on of rows [y, end). */
typedef struct strip {
    uint8_t *copy;
    size_t line, rows; /* bytes of a row, rows that there is room for */
    size_t x, n, y, end;
} strip;

/* Bytes of a row outside the map. */
static void fill(const qd_map *m, size_t bytes, uint8_t *to) {
    size_t done = bytes < m->channels ? bytes : m->channels;
    for (size_t c = 0; c < done; c++) to[c] = m->zero ? (uint8_t)m->zero[c] : 0x80;
    for (size_t some; done < bytes; done += some) {
        some = bytes - done < done ? bytes - done : done;
        memcpy(to + done, to, some);
    }
}

/* The rows under a strip; its margins at the left and right are there already. */
QD_AVX512_INLINE void copy_rows(const qd_map *m, const strip *s) {
    const __m512i flip = _mm512_set1_epi8(m->zero ? 0 : (char)0x80);
    const size_t x = s->x * m->stride_w, wide = (s->n - 1) * m->stride_w + m->kernel_w, end = m->left + m->w; /* in the padded map */
    const size_t from = x < m->left ? m->left : x, until = x + wide < end ? x + wide : end, bytes = from < until ? (until - from) * m->channels : 0;
    const size_t n = (s->end - s->y - 1) * m->stride_h + m->kernel_h;
    for (size_t r = 0; r < n; r++) {
        const size_t at = s->y * m->stride_h + r - m->top; /* wraps above the map */
        uint8_t *to = s->copy + r * s->line;
        if (at >= m->h) {
            fill(m, wide * m->channels, to);
            continue;
        }
        for (size_t i = 0; i < bytes; i += 64) {
            const __mmask64 some = bytes - i < 64 ? ((uint64_t)1 << (bytes - i)) - 1 : ~(uint64_t)0;
            const __m512i v = _mm512_maskz_loadu_epi8(some, m->in + (at * m->w + from - m->left) * m->channels + i);
            _mm512_mask_storeu_epi8(to + (from - x) * m->channels + i, some, _mm512_xor_si512(v, flip));
        }
    }
    memset(s->copy + n * s->line, 0, SPARE); /* is read, though for nothing */
}

/* Vectors of the group of channels from `first` on. */
static size_t group_of(const layer *g, size_t first) { return g->map->out_channels - first > 16 && 2 * (g->steps + 1) <= MOST_VECTORS ? 2 : 1; }

static void run(const layer *g, size_t vectors, const __m512i *words, size_t first, const uint8_t *at, size_t n, size_t pixel) {
    if (vectors == 2) by_32(g, words, first, at, n, pixel);
    else by_16(g, words, first, at, n, pixel);
}

/* Windows are read where they lie in the copy. ready: words of all channels, else null. */
QD_AVX512_INLINE void run_in_place(const layer *g, const strip *s, const __m512i *ready, __m512i *words) {
    const qd_map *m = g->map;
    for (size_t first = 0, vectors; first < m->out_channels; first += 16 * vectors) {
        vectors = group_of(g, first);
        if (!ready) widen_all(g, first, vectors, words);
        for (size_t y = s->y; y < s->end; y++) {
            run(g, vectors, ready ? ready : words, first, s->copy + (y - s->y) * m->stride_h * s->line, s->n, y * m->out_w + s->x);
        }
        if (ready) ready += vectors * (g->steps + 1);
    }
}

/* Windows are gathered, 16 at a time. */
QD_AVX512_INLINE void run_gathered(const layer *g, const strip *s, const __m512i *ready, const move *moves, size_t n_moves) {
    const qd_map *m = g->map;
    const int far = (15 * m->stride_w + m->kernel_w) * m->channels > 64;
    __m512i patches[MOST_MOVES];
    for (size_t y = s->y; y < s->end; y++) {
        for (size_t x = 0; x < s->n; x += 16) {
            const __m512i *words = ready;
            const size_t n = s->n - x < 16 ? s->n - x : 16;
            const uint8_t *at = s->copy + (y - s->y) * m->stride_h * s->line + x * m->stride_w * m->channels;
            if (far) gather(1, moves, n_moves, s->line, at, patches);
            else gather(0, moves, n_moves, s->line, at, patches);
            for (size_t first = 0, vectors; first < m->out_channels; first += 16 * vectors) {
                vectors = group_of(g, first);
                run(g, vectors, words, first, (const uint8_t *)(const void *)patches, n, y * m->out_w + s->x + x);
                words += vectors * (g->steps + 1);
            }
        }
    }
}

QD_AVX512_TARGET int qd_conv_bytes_avx512(const qd_map *m) {
    const size_t row = m->kernel_w * m->channels, taps = m->kernel_h * row, vectors = (m->out_channels + 15) / 16, used = 2 * vectors;
    const size_t begin = m->rows[0].begin, end = m->rows[m->n_rows - 1].end, most = MOST_BYTES / (m->kernel_h * m->channels);
    uint8_t copy[MOST_BYTES + SPARE];
    __m512i words[MOST_VECTORS];
    move moves[MOST_MOVES];
    size_t n_moves = 0, columns, total = 0;
    layer g;
    strip s;
    if (m->channels % 4 && !m->form && vectors * ((taps + 3) / 4 + 1) <= MOST_VECTORS) n_moves = make_moves(m, moves);
    g.map = m;
    g.rows = n_moves ? 1 : m->kernel_h;
    g.across = ((n_moves ? taps : row) + 3) / 4;
    g.steps = g.rows * g.across;
    g.valid = n_moves ? 4 : (row - 1) % 4 + 1;
    if ((m->form && m->channels % 4) || g.steps + 1 > MOST_VECTORS || most < m->kernel_w + 7 * m->stride_w || (end - begin) * m->out_w < FEWEST) {
        return m->zero ? qd_conv_pixels_avx2(m) : qd_conv_bytes_avx2(m);
    }
    columns = (most - m->kernel_w) / m->stride_w + 1; /* of the output */
    if (columns >= m->out_w) columns = m->out_w;
    else if (columns > 16) columns -= columns % 16;
    s.copy = copy;
    s.line = ((columns - 1) * m->stride_w + m->kernel_w) * m->channels;
    s.rows = (MOST_BYTES / s.line - m->kernel_h) / m->stride_h + 1; /* of the output */
    g.line = s.line;
    g.step = n_moves ? 64 : 4;
    g.next = n_moves ? 4 : m->stride_w * m->channels;
    fill(m, 4 * g.across, (uint8_t *)g.zero);
    for (size_t r = 1; r < g.rows; r++) memcpy(g.zero + r * g.across, g.zero, 4 * g.across);
    if (vectors * (g.steps + 1) <= MOST_VECTORS) {
        for (size_t first = 0, some; first < m->out_channels; first += 16 * some, total += some * (g.steps + 1)) {
            some = group_of(&g, first);
            widen_all(&g, first, some, words + total);
        }
    }
    for (s.x = 0; s.x < m->out_w; s.x += s.n) {
        s.n = m->out_w - s.x < columns ? m->out_w - s.x : columns;
        fill(m, s.line, copy);
        for (size_t r = 1; r < MOST_BYTES / s.line && r < (end - begin) * m->stride_h + m->kernel_h; r++) memcpy(copy + r * s.line, copy, s.line);
        for (s.y = begin; s.y < end; s.y = s.end) {
            s.end = end - s.y < s.rows ? end : s.y + s.rows;
            copy_rows(m, &s);
            if (n_moves) run_gathered(&g, &s, words, moves, n_moves);
            else run_in_place(&g, &s, total ? words : NULL, words);
        }
    }
    qd_clear_spare_bits(m, used);
    qd_clear_spare_signs(m, used);
    return QD_MAP_SIGNED;
}

#else
typedef int qd_conv_bytes_avx512_is_for_x86_64;
#endif
