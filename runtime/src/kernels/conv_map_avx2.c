/*
 * Whole binary convolutions with AVX2: activations are read where they lie in the map, weights where they lie in the file.
 *
 * Output channels lie in byte lanes and mismatches are looked up, as in conv_bits_avx2.c. Four output pixels at a time meet 64
 * channels, or 32, so that a look-up table that is fetched for a pixel serves two vectors; of 16 channels a vector holds two pixels.
 * Rows and columns of output pixels that have the same taps inside the map come as bands, so no tap is ever outside.
 *
 * Bytes hold the counts of 31 steps. Longer sums go on in 16 bits, the even channels and the odd ones apart: `all` adds the bytes
 * in pairs, even + 256 odd, `odd` the upper ones, and even = all - 256 odd. A bit is 1 where acc = bits - 2 n < threshold, that is
 * n >= limit = floor((bits - threshold) / 2) + 1; a threshold that is cut to [-bits, bits + 1] has the same answers.
 */
#if defined(__x86_64__)

#include "avx2.h"
#include "nibbles_avx2.h"
#include "slide_avx2.h"

enum { STEPS = 31, MOST_BITS = 65534 };

/* What is the same for all output pixels of two bands and for up to 64 output channels. */
typedef struct patch {
    const uint8_t *weights;  /* of the first tap inside */
    size_t block;            /* bytes from a block of 32 channels to the next */
    size_t rows, pieces;     /* kernel rows inside; stretches of bytes of one */
    size_t bytes;            /* of a stretch */
    size_t next, next_row;   /* in the map, from a stretch to the next of its kernel row, and from a row to the next */
    size_t row;              /* bytes of a kernel row of weights, per lane */
    size_t first, channels;
    int32_t bits;
    int narrow;              /* all counts stay in bytes */
    __m256i limit[2][2];     /* of a block: of bytes, or of 16 bits of even and odd channels */
} patch;

QD_AVX2_INLINE __m256i load(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }

/* The tables of a half of the byte x, in both halves of a vector. */
QD_AVX2_INLINE __m256i table(uint8_t x, size_t half) {
    return _mm256_broadcastsi128_si256(_mm_load_si128((const __m128i *)(const void *)(qd_mismatches[x] + half)));
}

/* Those of two pixels, one in each half. */
QD_AVX2_INLINE __m256i tables(uint8_t x, uint8_t y, size_t half) {
    const __m128i low = _mm_load_si128((const __m128i *)(const void *)(qd_mismatches[x] + half));
    return _mm256_inserti128_si256(_mm256_castsi128_si256(low), _mm_load_si128((const __m128i *)(const void *)(qd_mismatches[y] + half)), 1);
}

QD_AVX2_INLINE void widen(__m256i *wide, __m256i count) {
    wide[0] = _mm256_add_epi16(wide[0], count);
    wide[1] = _mm256_add_epi16(wide[1], _mm256_srli_epi16(count, 8));
}

QD_AVX2_INLINE uint32_t reached_bytes(__m256i count, __m256i limit) {
    return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_max_epu8(count, limit), count));
}

/* A bit per byte lane: 1 where the count, in bytes or wide, is at least the limit. */
QD_AVX2_INLINE uint32_t reached(const patch *t, __m256i count, const __m256i *wide, const __m256i *limit) {
    if (t->narrow) return reached_bytes(count, limit[0]);
    const __m256i even = _mm256_sub_epi16(wide[0], _mm256_slli_epi16(wide[1], 8));
    const __m256i yes = _mm256_cmpeq_epi16(_mm256_max_epu16(even, limit[0]), even);
    const __m256i odd_yes = _mm256_cmpeq_epi16(_mm256_max_epu16(wide[1], limit[1]), wide[1]);
    return (uint32_t)_mm256_movemask_epi8(_mm256_or_si256(_mm256_srli_epi16(yes, 8), _mm256_slli_epi16(odd_yes, 8)));
}

QD_AVX2_INLINE void store8(int32_t *acc, __m128i counts, int32_t bits) {
    const __m256i twice = _mm256_slli_epi32(_mm256_cvtepu16_epi32(counts), 1);
    _mm256_storeu_si256((__m256i *)(void *)acc, _mm256_sub_epi32(_mm256_set1_epi32(bits), twice));
}

/* Accumulators of 32 byte lanes: those of the lower 16 and of the upper. */
QD_AVX2_INLINE void values(const patch *t, __m256i count, const __m256i *wide, int32_t *lower, int32_t *upper) {
    const __m256i odd = t->narrow ? _mm256_srli_epi16(count, 8) : wide[1];
    const __m256i even = _mm256_sub_epi16(t->narrow ? count : wide[0], _mm256_slli_epi16(odd, 8));
    const __m256i low = _mm256_unpacklo_epi16(even, odd), high = _mm256_unpackhi_epi16(even, odd);
    store8(lower, _mm256_castsi256_si128(low), t->bits);
    store8(lower + 8, _mm256_castsi256_si128(high), t->bits);
    store8(upper, _mm256_extracti128_si256(low, 1), t->bits);
    store8(upper + 8, _mm256_extracti128_si256(high, 1), t->bits);
}

/* Of the bits of a pixel as many bytes as belong to n blocks of 32 channels or one of 16, and the spare ones up to a multiple of 8. */
QD_AVX2_INLINE void store_bits(const qd_map *m, size_t first, uint64_t bits, size_t pixel) {
    uint8_t *to = m->out + pixel * m->out_pixel + first / 8;
    if (m->out_pixel >= 8) memcpy(to, &bits, 8);
    else if (m->out_pixel == 4) memcpy(to, &bits, 4);
    else if (m->out_pixel == 2) memcpy(to, &bits, 2);
    else to[0] = (uint8_t)bits;
}

/*
 * The counts of P pixels: V vectors, of Q blocks of 32 channels per pixel, or (Q = 0) of 16 channels of two pixels. Where this
 * is used, P and Q are constants.
 */
QD_AVX2_INLINE void count_tile(const int P, const int Q, const patch *t, const uint8_t *const *in, __m256i *count, __m256i (*wide)[2]) {
    const int V = Q ? P * Q : (P + 1) / 2;
    const size_t lanes = Q ? 32 : 16;
    const __m256i half = _mm256_set1_epi8(15), zero = _mm256_setzero_si256();
    const uint8_t *row = t->weights;
    size_t left = STEPS, from = 0;
    _Pragma("GCC unroll 8") for (int v = 0; v < V; v++) count[v] = wide[v][0] = wide[v][1] = zero;
    for (size_t r = 0; r < t->rows; r++, row += t->row * lanes, from += t->next_row) {
        const uint8_t *w = row;
        size_t at = from;
        for (size_t piece = 0; piece < t->pieces; piece++, at += t->next, w += t->next * lanes) {
            for (size_t k = 0; k < t->bytes;) {
                const size_t stop = t->bytes - k < left ? t->bytes : k + left;
                left -= stop - k;
                for (; k < stop; k++) {
                    if (Q) {
                        __m256i low[2], high[2];
                        _Pragma("GCC unroll 2") for (int q = 0; q < Q; q++) {
                            const __m256i both = load(w + k * 32 + (size_t)q * t->block);
                            low[q] = _mm256_and_si256(both, half);
                            high[q] = _mm256_and_si256(_mm256_srli_epi16(both, 4), half);
                        }
                        _Pragma("GCC unroll 4") for (int p = 0; p < P; p++) {
                            const __m256i first = table(in[p][at + k], 0), second = table(in[p][at + k], 16);
                            _Pragma("GCC unroll 2") for (int q = 0; q < Q; q++) {
                                __m256i *c = count + p * Q + q;
                                *c = _mm256_add_epi8(*c, _mm256_shuffle_epi8(first, low[q]));
                                *c = _mm256_add_epi8(*c, _mm256_shuffle_epi8(second, high[q]));
                            }
                        }
                    } else {
                        const __m256i both = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)(w + k * 16)));
                        const __m256i low = _mm256_and_si256(both, half), high = _mm256_and_si256(_mm256_srli_epi16(both, 4), half);
                        _Pragma("GCC unroll 4") for (int v = 0; v < V; v++) {
                            const uint8_t x = in[2 * v][at + k], y = in[P > 1 ? 2 * v + 1 : 0][at + k];
                            count[v] = _mm256_add_epi8(count[v], _mm256_shuffle_epi8(tables(x, y, 0), low));
                            count[v] = _mm256_add_epi8(count[v], _mm256_shuffle_epi8(tables(x, y, 16), high));
                        }
                    }
                }
                if (left == 0) {
                    _Pragma("GCC unroll 8") for (int v = 0; v < V; v++) {
                        widen(wide[v], count[v]);
                        count[v] = zero;
                    }
                    left = STEPS;
                }
            }
        }
    }
    if (!t->narrow && left < STEPS) {
        _Pragma("GCC unroll 8") for (int v = 0; v < V; v++) widen(wide[v], count[v]);
    }
}

/* n <= P pixels from their counts. */
QD_AVX2_INLINE void finish(const int P, const int Q, const qd_map *m, const patch *t, size_t n, const __m256i *count,
                           const __m256i (*wide)[2], const size_t *pixel) {
    if (m->thresholds) {
        _Pragma("GCC unroll 4") for (int p = 0; p < P; p++) {
            if (Q) {
                uint64_t bits = reached(t, count[p * Q], wide[p * Q], t->limit[0]);
                if (Q == 2) bits |= (uint64_t)reached(t, count[p * Q + 1], wide[p * Q + 1], t->limit[1]) << 32;
                store_bits(m, t->first, bits, pixel[p]);
            } else if (p % 2 == 0) {
                const uint32_t bits = reached(t, count[p / 2], wide[p / 2], t->limit[0]);
                store_bits(m, 0, bits & 0xFFFF, pixel[p]);
                if (p + 1 < P) store_bits(m, 0, bits >> 16, pixel[p + 1]);
            }
        }
    } else {
        int32_t acc[4][64];
        for (int p = 0; p < P; p++) {
            for (int q = 0; q < Q; q++) values(t, count[p * Q + q], wide[p * Q + q], acc[p] + 32 * q, acc[p] + 32 * q + 16);
            if (!Q && p % 2 == 0) values(t, count[p / 2], wide[p / 2], acc[p], acc[p + 1]);
        }
        for (size_t p = 0; p < n; p++) qd_store_values(m, t->first, t->channels, acc[p], pixel[p]);
    }
}

QD_AVX2_INLINE void tile(const int P, const int Q, const qd_map *m, const patch *t, size_t n, const uint8_t *const *in,
                         const size_t *pixel) {
    __m256i count[8], wide[8][2];
    count_tile(P, Q, t, in, count, wide);
    finish(P, Q, m, t, n, count, (const __m256i(*)[2])wide, pixel);
}

/* Up to 16 channels of bands whose windows are whole and side by side, four pixels or more. */
QD_AVX2_INLINE void slide(const qd_map *m, const patch *t, const qd_walk *walk) {
    const __m256i wide[2][2] = {{_mm256_setzero_si256()}}; /* not looked at: the counts stay in bytes */
    uint8_t w[QD_SLIDE_BYTES][2][32] __attribute__((aligned(32)));
    qd_slide_weights(m, t->weights, t->rows, w);
    for (size_t y = walk->rows.begin; y < walk->rows.end; y++) {
        const uint8_t *row = m->in + ((y * m->stride_h + walk->rows.from - m->top) * m->w - m->left) * m->pixel;
        for (size_t x = walk->columns.begin; x < walk->columns.end; x += 4) {
            const size_t at = walk->columns.end - x < 4 ? walk->columns.end - 4 : x; /* the last ones maybe once more */
            size_t pixel[4];
            __m256i count[2];
            if (m->pixel == 2 && m->kernel_w == 3) { /* 9 to 16 channels in, the size that networks have */
                qd_slide(2, 3, t->next_row, (const uint8_t(*)[2][32])w, t->rows, row + 2 * at, count);
            } else {
                qd_slide(m->pixel, m->kernel_w, t->next_row, (const uint8_t(*)[2][32])w, t->rows, row + at * m->pixel, count);
            }
            if (m->thresholds && m->out_pixel == 2) { /* the bits of two pixels are the lanes of a vector */
                const uint64_t bits = (uint64_t)reached_bytes(count[1], t->limit[0][0]) << 32 | reached_bytes(count[0], t->limit[0][0]);
                memcpy(m->out + 2 * (y * m->out_w + at), &bits, 8);
                continue;
            }
            for (size_t p = 0; p < 4; p++) pixel[p] = y * m->out_w + at + p;
            finish(4, 0, m, t, 4, count, (const __m256i(*)[2])wide, pixel);
        }
    }
}

/* Limits of 16 channels, 0..65535, in 16 bits, n of them in use. */
QD_AVX2_INLINE __m256i limits(const int32_t *thresholds, size_t n, int32_t bits) {
    const __m256i most = _mm256_set1_epi32(bits), least = _mm256_set1_epi32(-bits), one = _mm256_set1_epi32(1);
    __m256i part[2];
    for (size_t i = 0; i < 2; i++) {
        const __m256i used = _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n - 8 * (int)i), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
        __m256i v = n > 8 * i ? _mm256_maskload_epi32(thresholds + 8 * i, used) : least;
        v = _mm256_max_epi32(_mm256_min_epi32(v, _mm256_add_epi32(most, one)), least);
        v = _mm256_blendv_epi8(least, v, used); /* no count reaches the limit of a lane without a channel */
        part[i] = _mm256_add_epi32(_mm256_srai_epi32(_mm256_sub_epi32(most, v), 1), one);
    }
    return _mm256_permute4x64_epi64(_mm256_packus_epi32(part[0], part[1]), 0xD8);
}

QD_AVX2_INLINE void set_limits(const int Q, const qd_map *m, patch *t) {
    const __m256i lower = _mm256_set1_epi32(0xFFFF);
    for (size_t q = 0; q < (Q == 2 ? 2u : 1u); q++) {
        const size_t n = t->channels > 32 * q ? t->channels - 32 * q : 0;
        const int32_t *thresholds = m->thresholds + t->first + 32 * q;
        const __m256i x = limits(thresholds, n < 16 ? n : 16, t->bits);
        const __m256i y = Q ? limits(thresholds + (n < 16 ? 0 : 16), n < 16 ? 0 : n - 16 < 16 ? n - 16 : 16, t->bits) : x;
        if (t->narrow) {
            t->limit[q][0] = _mm256_permute4x64_epi64(_mm256_packus_epi16(x, y), 0xD8);
        } else {
            const __m256i even = _mm256_packus_epi32(_mm256_and_si256(x, lower), _mm256_and_si256(y, lower));
            const __m256i odd = _mm256_packus_epi32(_mm256_srli_epi32(x, 16), _mm256_srli_epi32(y, 16));
            t->limit[q][0] = _mm256_permute4x64_epi64(even, 0xD8);
            t->limit[q][1] = _mm256_permute4x64_epi64(odd, 0xD8);
        }
    }
}

/* All pixels, channels [first, first + 32 Q), or the only ones, at most 16, if Q = 0. */
QD_AVX2_INLINE void run_group(const int Q, const qd_map *m, size_t first) {
    const size_t lanes = Q ? 32 : 16, used = (m->channels + 7) / 8, row = m->kernel_w * m->pixel;
    patch t;
    memset(&t, 0, sizeof t);
    t.row = row;
    t.block = m->kernel_h * row * 32;
    t.first = first;
    t.channels = m->out_channels - first < 32 * (size_t)Q ? m->out_channels - first : Q ? 32 * (size_t)Q : m->out_channels;
    t.next = m->pixel;
    t.next_row = m->w * m->pixel;
    for (size_t r = 0; r < m->n_rows; r++) {
        for (size_t c = 0; c < m->n_columns; c++) {
            qd_walk walk = {m, m->rows[r], m->columns[c], m->rows[r].begin, m->columns[c].begin};
            const size_t across = walk.columns.to - walk.columns.from;
            const uint8_t *in[QD_TILE_PIXELS];
            size_t pixel[QD_TILE_PIXELS], n;
            t.weights = m->weights + first / lanes * t.block + (walk.rows.from * row + walk.columns.from * m->pixel) * lanes;
            t.rows = walk.rows.to - walk.rows.from;
            t.pieces = used < m->pixel ? across : 1;
            t.bytes = used < m->pixel ? used : across * m->pixel;
            t.bits = (int32_t)(t.rows * across * m->channels);
            t.narrow = t.rows * across * used <= STEPS;
            if (m->thresholds) set_limits(Q, m, &t);
            if (!Q && t.narrow && across == m->kernel_w && m->stride_w == 1 && walk.columns.end - walk.columns.begin >= 4 &&
                t.rows > 0 && t.rows * (row + m->pixel) <= QD_SLIDE_BYTES) {
                slide(m, &t, &walk);
                continue;
            }
            while ((n = qd_next_pixels(&walk, in, pixel)) > 0) {
                if (n == 1) tile(1, Q, m, &t, 1, in, pixel);
                else tile(QD_TILE_PIXELS, Q, m, &t, n, in, pixel);
            }
        }
    }
}

__attribute__((noinline)) QD_AVX2_TARGET static void run_64(const qd_map *m, size_t first) { run_group(2, m, first); }
__attribute__((noinline)) QD_AVX2_TARGET static void run_32(const qd_map *m, size_t first) { run_group(1, m, first); }
__attribute__((noinline)) QD_AVX2_TARGET static void run_16(const qd_map *m) { run_group(0, m, 0); }

QD_AVX2_TARGET int qd_conv_map_avx2(const qd_map *m) {
    size_t first = 0;
    if (m->kernel_h * m->kernel_w * m->channels > MOST_BITS) return 0;
    if (m->out_channels <= 16) {
        run_16(m);
    } else {
        for (; m->out_channels - first > 32; first += 64) {
            run_64(m, first);
            if (m->out_channels - first <= 64) break;
        }
        if (m->out_channels - first <= 32) run_32(m, first);
    }
    qd_clear_spare(m, m->signs, m->sign_pixel, (m->out_channels + 7) / 8);
    return QD_MAP_SIGNED;
}

#else
typedef int qd_conv_map_avx2_is_for_x86_64;
#endif
