/*
 * Whole binary convolutions with AVX2: activations are read where they lie in the map, weights where they lie in the file.
 *
 * Output channels lie in byte lanes and mismatches are looked up, as in conv_bits_avx2.c. Four output pixels at a time meet 64
 * channels, or 32, so that a look-up table that is fetched for a pixel serves two vectors; of 16 channels a vector holds two pixels.
 * Rows and columns of output pixels that have the same taps inside the map come as bands, so no tap is ever outside.
 *
 * Bytes hold the counts of 31 steps; a bit that differs takes 2 from the sum.
 */
#if defined(__x86_64__)

#include "lanes_avx2.h"
#include "nibbles_avx2.h"
#include "slide_avx2.h"

enum { STEPS = 31, MOST_BITS = 65534 };

/* The tables of a half of the byte x, in both halves of a vector. */
QD_AVX2_INLINE __m256i table(uint8_t x, size_t half) {
    return _mm256_broadcastsi128_si256(_mm_load_si128((const __m128i *)(const void *)(qd_mismatches[x] + half)));
}

/* Those of two pixels, one in each half. */
QD_AVX2_INLINE __m256i tables(uint8_t x, uint8_t y, size_t half) {
    const __m128i low = _mm_load_si128((const __m128i *)(const void *)(qd_mismatches[x] + half));
    return _mm256_inserti128_si256(_mm256_castsi128_si256(low), _mm_load_si128((const __m128i *)(const void *)(qd_mismatches[y] + half)), 1);
}

/*
 * The counts of P pixels: V vectors, of Q blocks of 32 channels per pixel, or (Q = 0) of 16 channels of two pixels. Where this
 * is used, P and Q are constants.
 */
QD_AVX2_INLINE void count_tile(const int P, const int Q, const qd_lanes *t, const uint8_t *const *in, __m256i *count, __m256i (*wide)[2]) {
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
                            const __m256i both = qd_load(w + k * 32 + (size_t)q * t->block);
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
                        qd_lanes_widen(wide[v], count[v]);
                        count[v] = zero;
                    }
                    left = STEPS;
                }
            }
        }
    }
    if (!t->narrow && left < STEPS) {
        _Pragma("GCC unroll 8") for (int v = 0; v < V; v++) qd_lanes_widen(wide[v], count[v]);
    }
}

QD_AVX2_INLINE void tile(const int P, const int Q, const qd_map *m, const qd_lanes *t, size_t n, const uint8_t *const *in,
                         const size_t *pixel) {
    __m256i count[8], wide[8][2];
    count_tile(P, Q, t, in, count, wide);
    qd_lanes_finish(P, Q, m, t, n, count, (const __m256i(*)[2])wide, pixel);
}

/* Up to 16 channels of bands whose windows are whole and side by side, four pixels or more. */
QD_AVX2_INLINE void slide(const qd_map *m, const qd_lanes *t, const qd_walk *walk) {
    const __m256i wide[2][2] = {{_mm256_setzero_si256()}}; /* not looked at: the counts stay in bytes */
    uint8_t w[QD_SLIDE_BYTES][2][32] __attribute__((aligned(32)));
    qd_slide_weights(m, t->weights, t->rows, w);
    for (size_t y = walk->rows.begin; y < walk->rows.end; y++) {
        const size_t row = ((y * m->stride_h + walk->rows.from - m->top) * m->w - m->left) * m->pixel; /* may lie before the map: at brings it back */
        for (size_t x = walk->columns.begin; x < walk->columns.end; x += 4) {
            const size_t at = walk->columns.end - x < 4 ? walk->columns.end - 4 : x; /* the last ones maybe once more */
            size_t pixel[4];
            __m256i count[2];
            if (m->pixel == 2 && m->kernel_w == 3) { /* 9 to 16 channels in, the size that networks have */
                qd_slide(2, 3, t->next_row, (const uint8_t(*)[2][32])w, t->rows, m->in + (row + 2 * at), count);
            } else {
                qd_slide(m->pixel, m->kernel_w, t->next_row, (const uint8_t(*)[2][32])w, t->rows, m->in + (row + at * m->pixel), count);
            }
            if (m->thresholds && m->out_pixel == 2) { /* the bits of two pixels are the lanes of a vector */
                const uint64_t bits = (uint64_t)qd_lanes_reached_bytes(count[1], t->limit[0][0]) << 32 | qd_lanes_reached_bytes(count[0], t->limit[0][0]);
                memcpy(m->out + 2 * (y * m->out_w + at), &bits, 8);
                continue;
            }
            for (size_t p = 0; p < 4; p++) pixel[p] = y * m->out_w + at + p;
            qd_lanes_finish(4, 0, m, t, 4, count, (const __m256i(*)[2])wide, pixel);
        }
    }
}

/* All pixels, channels [first, first + 32 Q), or the only ones, at most 16, if Q = 0. */
QD_AVX2_INLINE void run_group(const int Q, const qd_map *m, size_t first) {
    const size_t lanes = Q ? 32 : 16, used = (m->channels + 7) / 8, row = m->kernel_w * m->pixel;
    qd_lanes t;
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
            t.most = (int32_t)(t.rows * across * m->channels);
            t.shift = 1;
            t.narrow = t.rows * across * used <= STEPS;
            if (m->thresholds) qd_lanes_limits(Q, m, &t);
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
__attribute__((noinline)) QD_AVX2_TARGET static void run_16(const qd_map *m, size_t first) { run_group(0, m, first); }

QD_AVX2_TARGET int qd_conv_map_avx2(const qd_map *m) {
    if (m->kernel_h * m->kernel_w * m->channels > MOST_BITS) return QD_MAP_NOT;
    return qd_lanes_run(m, run_16, run_32, run_64);
}

#else
typedef int qd_conv_map_avx2_is_for_x86_64;
#endif
