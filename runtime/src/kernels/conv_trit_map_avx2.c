/*
 * Whole convolutions with AVX2 where the map, the weights or both are ternary.
 *
 * Output channels lie in byte lanes and sums are looked up, as in conv_trits_avx2.c: four activations choose a row of a table, a half
 * byte of weights its element. Which rows a window chooses is found once per tile and for up to 64 channels; from there a window is
 * one stretch, so that bits and trits, and windows of any width, are counted alike. A tap outside the map is not counted.
 *
 * A step takes at most 8 from a lane or gives it 8. Bytes begin at 128, so that they hold 15 steps without a sign: 128 more a stretch
 * of so many steps, less the sum.
 */
#if defined(__x86_64__)

#include "lanes_avx2.h"
#include "trits_avx2.h"

enum { STEPS = 15, START = 128, MOST_GROUPS = 1152, AT_ONCE = 8 };

/* Of the lower halves of the bytes of a window, then of the upper: where their rows begin in the table. */
typedef uint16_t rows_of[2][MOST_GROUPS];

/* The eight groups at `in`, a byte of signs each and, with two planes, one of masks behind it. A row has 16 bytes. */
QD_AVX2_INLINE void choose8(const size_t planes, const uint8_t *in, uint16_t *low, uint16_t *high) {
    const __m128i signs = _mm_set1_epi16(0x00F0), masks = _mm_set1_epi16(0x0F00);
    __m128i v;
    if (planes == 2) v = _mm_loadu_si128((const __m128i *)(const void *)in);
    else v = _mm_or_si128(_mm_cvtepu8_epi16(_mm_loadl_epi64((const __m128i *)(const void *)in)), _mm_set1_epi16((short)0xFF00));
    const __m128i lower = _mm_or_si128(_mm_and_si128(_mm_slli_epi16(v, 4), signs), _mm_and_si128(v, masks));
    const __m128i upper = _mm_or_si128(_mm_and_si128(v, signs), _mm_and_si128(_mm_srli_epi16(v, 4), masks));
    _mm_storeu_si128((__m128i *)(void *)low, lower);
    _mm_storeu_si128((__m128i *)(void *)high, upper);
}

/* n groups side by side. */
QD_AVX2_INLINE void choose(const size_t planes, const uint8_t *in, size_t n, uint16_t *low, uint16_t *high) {
    size_t i = 0;
    if (n < AT_ONCE) {
        for (; i < n; i++) {
            const unsigned sign = in[planes * i], mask = planes == 2 ? in[2 * i + 1] : 0xFF;
            low[i] = (uint16_t)((mask & 15) << 8 | (sign & 15) << 4);
            high[i] = (uint16_t)((mask & 0xF0) << 4 | (sign & 0xF0));
        }
        return;
    }
    for (; i + AT_ONCE <= n; i += AT_ONCE) choose8(planes, in + planes * i, low + i, high + i);
    if (i < n) choose8(planes, in + planes * (n - AT_ONCE), low + n - AT_ONCE, high + n - AT_ONCE); /* some once more */
}

QD_AVX2_INLINE __m256i row_at(const int8_t (*table)[16], unsigned at) {
    return _mm256_broadcastsi128_si256(_mm_load_si128((const __m128i *)(const void *)((const int8_t *)table + at)));
}

/* Those of two pixels, one in each half. */
QD_AVX2_INLINE __m256i rows_at(const int8_t (*table)[16], unsigned x, unsigned y) {
    const __m128i lower = _mm_load_si128((const __m128i *)(const void *)((const int8_t *)table + x));
    return _mm256_inserti128_si256(_mm256_castsi128_si256(lower), _mm_load_si128((const __m128i *)(const void *)((const int8_t *)table + y)), 1);
}

QD_AVX2_INLINE __m256i twice(const uint8_t *p) { return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)p)); }

/* With `flip` every bit changed: the products with weights of the other sign. */
QD_AVX2_INLINE void halves(const int flip, __m256i bytes, __m256i *lower, __m256i *upper) {
    const __m256i half = _mm256_set1_epi8(15), shifted = _mm256_srli_epi16(bytes, 4);
    *lower = flip ? _mm256_andnot_si256(bytes, half) : _mm256_and_si256(bytes, half);
    *upper = flip ? _mm256_andnot_si256(shifted, half) : _mm256_and_si256(shifted, half);
}

/* A step of weights of W planes, at `w`, on P pixels whose rows are at [k]. */
QD_AVX2_INLINE void step(const int P, const int Q, const int W, const qd_lanes *t, const uint8_t *w, const rows_of *rows, size_t k,
                         __m256i *count) {
    const int8_t (*table)[16] = W == 2 ? qd_at_ones : qd_products;
    const int B = Q ? Q : 1, V = Q ? P : (P + 1) / 2; /* blocks; vectors of one */
    __m256i minus[2][2], plus[2][2]; /* [half][block] */
    _Pragma("GCC unroll 2") for (int q = 0; q < B; q++) {
        const uint8_t *at = w + (size_t)q * t->block;
        const __m256i signs = Q ? qd_load(at) : twice(at);
        halves(W == 1, signs, &minus[0][q], &minus[1][q]);
        if (W == 2) halves(0, _mm256_andnot_si256(signs, Q ? qd_load(at + 32) : twice(at + 16)), &plus[0][q], &plus[1][q]);
    }
    _Pragma("GCC unroll 4") for (int v = 0; v < V; v++) {
        _Pragma("GCC unroll 2") for (int h = 0; h < 2; h++) {
            const __m256i row = Q ? row_at(table, rows[v][h][k]) : rows_at(table, rows[2 * v][h][k], rows[P > 1 ? 2 * v + 1 : 0][h][k]);
            _Pragma("GCC unroll 2") for (int q = 0; q < B; q++) {
                __m256i *c = count + v * B + q;
                *c = _mm256_add_epi8(*c, _mm256_shuffle_epi8(row, minus[h][q]));
                if (W == 2) *c = _mm256_sub_epi8(*c, _mm256_shuffle_epi8(row, plus[h][q]));
            }
        }
    }
}

/* The counts of P pixels. Where this is used, P, Q and W are constants. */
QD_AVX2_INLINE void count_tile(const int P, const int Q, const int W, const qd_lanes *t, const rows_of *rows, __m256i *count,
                               __m256i (*wide)[2]) {
    const int V = Q ? P * Q : (P + 1) / 2;
    const size_t bytes = (Q ? 32 : 16) * (size_t)W;
    const __m256i start = _mm256_set1_epi8((char)START);
    const uint8_t *row = t->weights;
    size_t left = STEPS, from = 0;
    _Pragma("GCC unroll 8") for (int v = 0; v < V; v++) {
        count[v] = start;
        wide[v][0] = wide[v][1] = _mm256_setzero_si256();
    }
    for (size_t r = 0; r < t->rows; r++, row += t->row * bytes, from += t->bytes) {
        for (size_t k = 0; k < t->bytes;) {
            const size_t stop = t->bytes - k < left ? t->bytes : k + left;
            left -= stop - k;
            for (; k < stop; k++) step(P, Q, W, t, row + k * bytes, rows, from + k, count);
            if (left == 0 && !t->narrow) {
                _Pragma("GCC unroll 8") for (int v = 0; v < V; v++) {
                    qd_lanes_widen(wide[v], count[v]);
                    count[v] = start;
                }
                left = STEPS;
            }
        }
    }
    if (!t->narrow && left < STEPS) {
        _Pragma("GCC unroll 8") for (int v = 0; v < V; v++) qd_lanes_widen(wide[v], count[v]);
    }
}

QD_AVX2_INLINE void tile(const int P, const int Q, const int W, const qd_map *m, const qd_lanes *t, size_t n, const uint8_t *const *in,
                         const size_t *pixel) {
    rows_of rows[QD_TILE_PIXELS];
    __m256i count[8], wide[8][2];
    for (int p = 0; p < P; p++) {
        for (size_t r = 0; r < t->rows; r++) {
            const uint8_t *from = in[p] + r * t->next_row;
            uint16_t *low = rows[p][0] + r * t->bytes, *high = rows[p][1] + r * t->bytes;
            if (m->planes == 2) choose(2, from, t->bytes, low, high);
            else choose(1, from, t->bytes, low, high);
        }
    }
    count_tile(P, Q, W, t, rows, count, wide);
    qd_lanes_finish(P, Q, m, t, n, count, (const __m256i(*)[2])wide, pixel);
}

/* All pixels, channels [first, first + 32 Q), or the only ones, at most 16, if Q = 0. */
QD_AVX2_INLINE void run_group(const int Q, const int W, const qd_map *m, size_t first) {
    const size_t lanes = Q ? 32 : 16, groups = m->pixel / m->planes, bytes = lanes * (size_t)W;
    qd_lanes t;
    memset(&t, 0, sizeof t);
    t.row = m->kernel_w * groups;
    t.block = m->kernel_h * t.row * bytes;
    t.first = first;
    t.channels = m->out_channels - first < 32 * (size_t)Q ? m->out_channels - first : Q ? 32 * (size_t)Q : m->out_channels;
    t.next_row = m->w * m->pixel;
    for (size_t r = 0; r < m->n_rows; r++) {
        for (size_t c = 0; c < m->n_columns; c++) {
            qd_walk walk = {m, m->rows[r], m->columns[c], m->rows[r].begin, m->columns[c].begin};
            const uint8_t *in[QD_TILE_PIXELS];
            size_t pixel[QD_TILE_PIXELS], n, stretches;
            t.weights = m->weights + first / lanes * t.block + (walk.rows.from * t.row + walk.columns.from * groups) * bytes;
            t.rows = walk.rows.to - walk.rows.from;
            t.bytes = (walk.columns.to - walk.columns.from) * groups;
            stretches = (t.rows * t.bytes + STEPS - 1) / STEPS;
            t.narrow = stretches <= 1;
            t.most = START * (int32_t)(t.narrow ? 1 : stretches);
            if (m->thresholds) qd_lanes_limits(Q, m, &t);
            while ((n = qd_next_pixels(&walk, in, pixel)) > 0) {
                if (n == 1) tile(1, Q, W, m, &t, 1, in, pixel);
                else tile(QD_TILE_PIXELS, Q, W, m, &t, n, in, pixel);
            }
        }
    }
}

__attribute__((noinline)) QD_AVX2_TARGET static void run_64_bits(const qd_map *m, size_t first) { run_group(2, 1, m, first); }
__attribute__((noinline)) QD_AVX2_TARGET static void run_32_bits(const qd_map *m, size_t first) { run_group(1, 1, m, first); }
__attribute__((noinline)) QD_AVX2_TARGET static void run_16_bits(const qd_map *m, size_t first) { run_group(0, 1, m, first); }
__attribute__((noinline)) QD_AVX2_TARGET static void run_32_trits(const qd_map *m, size_t first) { run_group(1, 2, m, first); }
__attribute__((noinline)) QD_AVX2_TARGET static void run_16_trits(const qd_map *m, size_t first) { run_group(0, 2, m, first); }

QD_AVX2_TARGET int qd_conv_trit_map_avx2(const qd_map *m) {
    if (m->kernel_h * m->kernel_w * (m->pixel / m->planes) > MOST_GROUPS) return QD_MAP_NOT;
    return m->weight_planes == 2 ? qd_lanes_run(m, run_16_trits, run_32_trits, NULL) : qd_lanes_run(m, run_16_bits, run_32_bits, run_64_bits);
}

#else
typedef int qd_conv_trit_map_avx2_is_for_x86_64;
#endif
