/*
 * Whole convolutions of a map of bits with AVX2, output pixels in byte lanes.
 *
 * The map is taken apart (planes_avx2.h); weights choose the rows of a table and four activations look up in them. No lane is idle,
 * however few the channels are. A row of bits serves two output channels, whose mismatches are the halves of a byte: three look-ups and six
 * more operations for 768 products, where channels in lanes (conv_map_avx2.c) take 38 for 2048. The planes must fit in the first-level cache,
 * so that many channels are not for this kernel.
 *
 * Bits by bits count mismatches, and half of what lies outside as well: acc = most - 2 n. A sum with trits is taken from 128 a stretch
 * of steps, acc = most - n. Counts are in bytes, or go on in 16 bits as in lanes_avx2.h.
 */
#if defined(__x86_64__)

#include "nibbles_avx2.h"
#include "planes_avx2.h"
#include "trits_avx2.h"

enum { LANES = 32, GROUP = 8, VECTORS = 4, TILE = 32 * VECTORS };
/* Columns of a kernel, bytes of one of its rows, rows of the table that a block of channels chooses. */
enum { MOST_COLUMNS = 7, MOST_ACROSS = 48, MOST_ROWS = 10240 };

/* [first weights, second ones << 4]: mismatches of four activations with both, those with the second ones << 4. */
#define QD_BOTH(r, i) (QD_ONES(((r) & 15) ^ (i)) | QD_ONES((r) >> 4 ^ (i)) << 4)
static const int8_t qd_pairs[256][16] __attribute__((aligned(16))) = QD_ALL_ROWS(QD_BOTH);

/* What the tiles of a convolution share. */
typedef struct layer {
    qd_planes apart;
    size_t lanes;            /* of a block: 16 or 32 */
    size_t stretch;          /* steps whose counts fit in bytes, of three half bytes, or of one of trits */
    int32_t most;
    int narrow;              /* all counts fit in bytes */
    uint16_t limit[LANES];   /* of a block: the lowest count that gives a 1 */
} layer;

/* Taps outside the map, times half the channels, of vector v of output pixels: as bytes, or as a start of wide counts. */
QD_AVX2_INLINE void outside(const layer *g, const uint8_t *at, size_t v, __m256i *start) {
    const qd_map *m = g->apart.map;
    const size_t column = g->apart.nibbles * g->apart.plane;
    const __m256i half = _mm256_set1_epi16((short)(m->channels / 2));
    __m256i taps = _mm256_setzero_si256();
    for (size_t ky = 0; ky < m->kernel_h; ky++) {
        const uint8_t *row = at + ky % m->stride_h * m->kernel_w * column + ky / m->stride_h * m->out_w + 32 * v;
        for (size_t kx = 0; kx < m->kernel_w; kx++, row += column) {
            taps = _mm256_sub_epi8(taps, _mm256_cmpgt_epi8(_mm256_setzero_si256(), qd_load(row)));
        }
    }
    start[1] = _mm256_mullo_epi16(_mm256_srli_epi16(taps, 8), half);
    taps = _mm256_mullo_epi16(_mm256_and_si256(taps, _mm256_set1_epi16(0xFF)), half);
    start[0] = _mm256_add_epi16(taps, _mm256_slli_epi16(start[1], 8));
}

QD_AVX2_INLINE __m256i row_of(const int8_t (*table)[16], size_t at) {
    return _mm256_broadcastsi128_si256(_mm_load_si128((const __m128i *)(const void *)((const uint8_t *)table + at)));
}

/* Counts of a channel: of vectors of output pixels, [][0] in bytes, or in 16 bits as in lanes_avx2.h. */
typedef __m256i vectors[VECTORS][2];

/*
 * Counts of pair `pair` of a group at V vectors of output pixels. Where this is used, V and W, the planes of weights, are constants.
 *
 * A row of bits holds the mismatches of both channels, in the halves of a byte. Three of them are added before the upper ones are
 * counted apart: all = first + 16 second, in bytes that may overflow.
 */
QD_AVX2_INLINE void count_pair(const int V, const int W, const layer *g, const uint8_t *at, const uint16_t *w, const __m256i (*start)[2],
                               __m256i (*first)[2], __m256i (*second)[2]) {
    const qd_map *m = g->apart.map;
    const size_t plane = g->apart.plane, steps = m->kernel_w * g->apart.nibbles, phase = steps * plane, at_once = W == 2 ? 1 : 3;
    const __m256i half = _mm256_set1_epi8(15), begin = W == 2 ? _mm256_set1_epi8((char)0x80) : _mm256_setzero_si256();
    __m256i all[4], upper[4];
    size_t left = g->stretch;
    _Pragma("GCC unroll 4") for (int v = 0; v < V; v++) {
        all[v] = upper[v] = begin;
        if (g->narrow && W == 1) {
            upper[v] = start[v][0];
            all[v] = _mm256_add_epi8(upper[v], _mm256_andnot_si256(half, _mm256_slli_epi16(upper[v], 4)));
        } else if (!g->narrow) {
            for (int k = 0; k < 2; k++) first[v][k] = second[v][k] = start[v][k];
        }
    }
    for (size_t ky = 0, turn = 0; ky < m->kernel_h; ky++) {
        const uint8_t *x = at;
        for (size_t k = 0; k < steps;) {
            size_t some = (steps - k) / at_once < left ? (steps - k) / at_once : left;
            if (some == 0) { /* the last one or two */
                const __m256i row = row_of(qd_pairs, w[0]);
                _Pragma("GCC unroll 4") for (int v = 0; v < V; v++) {
                    const __m256i sum = _mm256_shuffle_epi8(row, qd_load(x + 32 * v));
                    all[v] = _mm256_add_epi8(all[v], sum);
                    upper[v] = _mm256_add_epi8(upper[v], _mm256_and_si256(_mm256_srli_epi16(sum, 4), half));
                }
                k++, left--, w += GROUP, x += plane;
            }
            k += some * at_once;
            left -= some;
            for (; some > 0; some--) {
                if (W == 2) {
                    const __m256i one = row_of(qd_products, w[0]), other = row_of(qd_products, w[GROUP]);
                    _Pragma("GCC unroll 4") for (int v = 0; v < V; v++) {
                        const __m256i bits = qd_load(x + 32 * v);
                        all[v] = _mm256_sub_epi8(all[v], _mm256_shuffle_epi8(one, bits));
                        upper[v] = _mm256_sub_epi8(upper[v], _mm256_shuffle_epi8(other, bits));
                    }
                    w += 2 * GROUP, x += plane;
                } else {
                    const __m256i row0 = row_of(qd_pairs, w[0]), row1 = row_of(qd_pairs, w[GROUP]), row2 = row_of(qd_pairs, w[2 * GROUP]);
                    _Pragma("GCC unroll 4") for (int v = 0; v < V; v++) {
                        __m256i sum = _mm256_add_epi8(_mm256_shuffle_epi8(row0, qd_load(x + 32 * v)), _mm256_shuffle_epi8(row1, qd_load(x + plane + 32 * v)));
                        sum = _mm256_add_epi8(sum, _mm256_shuffle_epi8(row2, qd_load(x + 2 * plane + 32 * v)));
                        all[v] = _mm256_add_epi8(all[v], sum);
                        upper[v] = _mm256_add_epi8(upper[v], _mm256_and_si256(_mm256_srli_epi16(sum, 4), half));
                    }
                    w += 3 * GROUP, x += 3 * plane;
                }
            }
            if (left == 0 || (k == steps && ky + 1 == m->kernel_h)) {
                _Pragma("GCC unroll 4") for (int v = 0; v < V; v++) {
                    if (W == 1) all[v] = _mm256_sub_epi8(all[v], _mm256_andnot_si256(half, _mm256_slli_epi16(upper[v], 4)));
                    if (g->narrow) {
                        first[v][0] = all[v];
                        second[v][0] = upper[v];
                    } else {
                        qd_lanes_widen(first[v], all[v]);
                        qd_lanes_widen(second[v], upper[v]);
                    }
                    all[v] = upper[v] = begin;
                }
                left = g->stretch;
            }
        }
        if (++turn < m->stride_h) at += phase;
        else at = at - (turn - 1) * phase + m->out_w, turn = 0;
    }
}

typedef void count_fn(const layer *g, const uint8_t *at, const uint16_t *w, const __m256i (*start)[2], __m256i (*first)[2], __m256i (*second)[2]);

#define COUNT(V, W)                                                                                                                       \
    QD_AVX2_TARGET static void count_##V##_##W(const layer *g, const uint8_t *at, const uint16_t *w, const __m256i (*start)[2],           \
                                               __m256i (*first)[2], __m256i (*second)[2]) {                                              \
        count_pair(V, W, g, at, w, start, first, second);                                                                                 \
    }
COUNT(1, 1)
COUNT(2, 1)
COUNT(3, 1)
COUNT(4, 1)
COUNT(2, 2)
COUNT(4, 2)

static count_fn *counter_of(size_t vectors_at_once, size_t weight_planes) {
    if (weight_planes == 2) return vectors_at_once > 2 ? count_4_2 : count_2_2;
    return vectors_at_once == 1 ? count_1_1 : vectors_at_once == 2 ? count_2_1 : vectors_at_once == 3 ? count_3_1 : count_4_1;
}

/* Counts in 16 bits, of even output pixels and of odd ones. */
QD_AVX2_INLINE void pixels_of(const layer *g, const __m256i *count, __m256i *even, __m256i *odd) {
    *odd = g->narrow ? _mm256_srli_epi16(count[0], 8) : count[1];
    *even = _mm256_sub_epi16(count[0], _mm256_slli_epi16(*odd, 8));
}

/* A byte for every output pixel: a 1 where the count of a channel reaches its limit. */
QD_AVX2_INLINE __m256i bits_of(const layer *g, const uint16_t *limit, const vectors *count, size_t v) {
    __m256i bits = _mm256_setzero_si256();
    if (g->narrow) {
        _Pragma("GCC unroll 8") for (int o = 0; o < GROUP; o++) {
            const __m256i n = count[o][v][0], yes = _mm256_cmpeq_epi8(_mm256_max_epu8(n, _mm256_set1_epi8((char)limit[o])), n);
            bits = _mm256_or_si256(bits, _mm256_and_si256(yes, _mm256_set1_epi8((char)(1u << o))));
        }
        return bits;
    }
    for (int o = 0; o < GROUP; o++) {
        const __m256i least = _mm256_set1_epi16((short)limit[o]);
        __m256i even, odd;
        pixels_of(g, count[o][v], &even, &odd);
        even = _mm256_cmpeq_epi16(_mm256_max_epu16(even, least), even);
        odd = _mm256_cmpeq_epi16(_mm256_max_epu16(odd, least), odd);
        const __m256i yes = _mm256_blendv_epi8(even, odd, _mm256_set1_epi16((short)0xFF00));
        bits = _mm256_or_si256(bits, _mm256_and_si256(yes, _mm256_set1_epi8((char)(1u << o))));
    }
    return bits;
}

/* Eight channels of 16 pixels, to every second pixel of `to`. */
QD_AVX2_INLINE void transpose(const __m256i *from, uint16_t (*to)[GROUP]) {
    __m256i a[8], b[8];
    _Pragma("GCC unroll 4") for (int i = 0; i < 4; i++) {
        a[2 * i] = _mm256_unpacklo_epi16(from[2 * i], from[2 * i + 1]);
        a[2 * i + 1] = _mm256_unpackhi_epi16(from[2 * i], from[2 * i + 1]);
    }
    _Pragma("GCC unroll 2") for (int i = 0; i < 2; i++) { /* pixels 0, 1; 2, 3; 4, 5; 6, 7 of four channels, and those 8 further on */
        b[4 * i] = _mm256_unpacklo_epi32(a[4 * i], a[4 * i + 2]);
        b[4 * i + 1] = _mm256_unpackhi_epi32(a[4 * i], a[4 * i + 2]);
        b[4 * i + 2] = _mm256_unpacklo_epi32(a[4 * i + 1], a[4 * i + 3]);
        b[4 * i + 3] = _mm256_unpackhi_epi32(a[4 * i + 1], a[4 * i + 3]);
    }
    _Pragma("GCC unroll 4") for (int i = 0; i < 4; i++) {
        const __m256i even = _mm256_unpacklo_epi64(b[i], b[4 + i]), odd = _mm256_unpackhi_epi64(b[i], b[4 + i]);
        _mm_store_si128((__m128i *)(void *)to[4 * i], _mm256_castsi256_si128(even));
        _mm_store_si128((__m128i *)(void *)to[4 * i + 2], _mm256_castsi256_si128(odd));
        _mm_store_si128((__m128i *)(void *)to[4 * i + 16], _mm256_extracti128_si256(even, 1));
        _mm_store_si128((__m128i *)(void *)to[4 * i + 18], _mm256_extracti128_si256(odd, 1));
    }
}

/* Eight channels of n output pixels from their counts through all steps. */
QD_AVX2_INLINE void stream(const int further, const layer *g, const qd_steps8 *s, size_t c, const uint16_t (*from)[GROUP], size_t n, size_t pixel) {
    const qd_map *m = g->apart.map;
    const __m256i most = _mm256_set1_epi32(g->most);
    const __m128i shift = _mm_cvtsi32_si128(m->weight_planes == 1);
    const float none[8] = {-0.0f, -0.0f, -0.0f, -0.0f, -0.0f, -0.0f, -0.0f, -0.0f}, *add = m->add ? m->add + pixel * m->out_channels + c : none;
    const size_t next = m->add ? m->out_channels : 0, next_signs = m->signs ? m->sign_pixel : 0;
    float *out = (float *)(void *)m->out + pixel * m->out_channels + c;
    uint8_t nowhere, *signs = m->signs ? m->signs + pixel * m->sign_pixel + c / 8 : &nowhere;
    for (size_t i = 0; i < n; i++, out += m->out_channels, add += next, signs += next_signs) {
        const __m256i count = _mm256_sll_epi32(_mm256_cvtepu16_epi32(_mm_load_si128((const __m128i *)(const void *)from[i])), shift);
        const __m256 v = qd_apply8(further, s, _mm256_sub_epi32(most, count), _mm256_loadu_ps(add));
        _mm256_storeu_ps(out, v);
        *signs = qd_signs8(v);
    }
}

/* Values of channels [c, c + 8) at the n output pixels of vector v, from `pixel` on. */
__attribute__((noinline)) QD_AVX2_TARGET static void store_values(const layer *g, size_t c, const vectors *count, size_t v, size_t n, size_t pixel) {
    const qd_map *m = g->apart.map;
    const size_t used = m->out_channels - c < GROUP ? m->out_channels - c : GROUP;
    uint16_t by_pixel[32][GROUP] __attribute__((aligned(16)));
    __m256i half[2][GROUP];
    for (int o = 0; o < GROUP; o++) pixels_of(g, count[o][v], &half[0][o], &half[1][o]);
    transpose(half[0], by_pixel);
    transpose(half[1], by_pixel + 1);
    if (m->steps && used == GROUP) {
        const qd_steps8 s = qd_steps_from(m->steps, c);
        if (s.further) stream(1, g, &s, c, (const uint16_t(*)[GROUP])by_pixel, n, pixel);
        else stream(0, g, &s, c, (const uint16_t(*)[GROUP])by_pixel, n, pixel);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        int32_t acc[GROUP];
        for (size_t o = 0; o < GROUP; o++) acc[o] = g->most - (by_pixel[i][o] << (m->weight_planes == 1));
        qd_store_values(m, c, used, acc, pixel + i);
    }
}

/* The bits of up to 32 channels from c on at `valid` output pixels from `pixel` on; bits: [byte][TILE], four of them. */
QD_AVX2_INLINE void store_bits(const qd_map *m, size_t c, const uint8_t *bits, size_t valid, size_t pixel) {
    const size_t bytes = m->out_pixel < 4 ? m->out_pixel : 4;
    uint8_t space[2][4 * TILE], *to = m->out + pixel * m->out_pixel + c / 8;
    size_t at = 0;
    for (size_t k = 1; k < bytes; k *= 2, bits = space[at], at = !at) qd_zip(bits, TILE * bytes, space[at]);
    if (bytes == m->out_pixel) memcpy(to, bits, valid * bytes);
    else for (size_t p = 0; p < valid; p++) memcpy(to + p * m->out_pixel, bits + 4 * p, 4);
}

/* A block of channels from `first` on, of which choose_rows has made `weights`, at n vectors of output pixels, the first `valid` of which are, from `pixel` on; at: in the planes. */
QD_AVX2_INLINE void tile(const layer *g, const uint16_t *weights, size_t first, const uint8_t *at, size_t n, size_t valid,
                         size_t pixel) {
    const qd_map *m = g->apart.map;
    const size_t channels = m->out_channels - first < g->lanes ? m->out_channels - first : g->lanes;
    const size_t group = m->weight_planes * GROUP * m->kernel_h * m->kernel_w * g->apart.nibbles;
    count_fn *const count_them = counter_of(n, m->weight_planes);
    uint8_t bits[4 * TILE];
    vectors start, count[2 * GROUP];
    memset(start, 0, sizeof start);
    for (size_t v = 0; v < n && m->weight_planes == 1; v++) outside(g, at, v, start[v]);
    memset(bits, 0, sizeof bits);
    for (size_t c = 0; c < channels; c += 2 * GROUP) {
        const uint16_t *w = weights + c / (2 * GROUP) * group;
        for (size_t o = 0; o < GROUP; o++) count_them(g, at, w + o, (const __m256i(*)[2])start, count[o], count[GROUP + o]);
        for (size_t o = 0; o < 2 * GROUP && c + o < channels; o += GROUP) {
            for (size_t v = 0; v < n; v++) {
                if (m->thresholds) {
                    _mm256_storeu_si256((__m256i *)(void *)(bits + (c + o) / 8 * TILE + 32 * v), bits_of(g, g->limit + c + o, (const vectors *)count + o, v));
                } else {
                    store_values(g, first + c + o, (const vectors *)count + o, v, valid - 32 * v < 32 ? valid - 32 * v : 32, pixel + 32 * v);
                }
            }
        }
    }
    if (m->thresholds) store_bits(m, first, bits, valid, pixel);
}

/* acc = most - 2 n (trits: most - n) < threshold: n >= (most - threshold) / 2 + 1, rounded down. */
static void set_limits(layer *g, size_t first) {
    const qd_map *m = g->apart.map;
    const int64_t most = g->most, highest = g->narrow ? 255 : 65535;
    for (size_t o = 0; o < g->lanes; o++) {
        const int64_t threshold = first + o < m->out_channels ? m->thresholds[first + o] : -most;
        const int64_t n = threshold > most ? 0 : ((most - threshold) >> (m->weight_planes == 1)) + 1;
        g->limit[o] = (uint16_t)(n > highest ? highest : n);
    }
}

/*
 * Where the rows of a block's weights begin in the table, [16 channels][half byte][pair]: the channels of a pair are eight apart. Of trits
 * [][half byte][first, second][pair].
 */
QD_AVX2_INLINE void choose_rows(const int W, const layer *g, const uint8_t *from, uint16_t *to) {
    const qd_map *m = g->apart.map;
    const size_t lanes = g->lanes * (size_t)W, taps = m->kernel_h * m->kernel_w;
    const __m128i half = _mm_set1_epi8(15);
    for (size_t l = 0; l < g->lanes; l += 16) {
        const uint8_t *byte = from + l;
        for (size_t b = 0, i = 0; i < taps; byte += lanes) {
            const __m128i w = _mm_loadu_si128((const __m128i *)(const void *)byte);
            const __m128i second = W == 2 ? _mm_loadu_si128((const __m128i *)(const void *)(byte + g->lanes)) : _mm_srli_si128(w, 8);
            const __m128i lower = _mm_or_si128(_mm_and_si128(w, half), _mm_andnot_si128(half, _mm_slli_epi16(second, 4)));
            const __m128i upper = _mm_or_si128(_mm_and_si128(_mm_srli_epi16(w, 4), half), _mm_andnot_si128(half, second));
            for (int k = 0; k < 2; k++, to += GROUP * W) {
                const __m256i rows = _mm256_slli_epi16(_mm256_cvtepu8_epi16(k ? upper : lower), 4);
                if (W == 2) _mm256_storeu_si256((__m256i *)(void *)to, rows);
                else _mm_storeu_si128((__m128i *)(void *)to, _mm256_castsi256_si128(rows));
            }
            if (++b == g->apart.used) b = 0, i++, byte += (m->pixel - g->apart.used) * lanes;
        }
    }
}

/* Output rows of the next strip, of `left` and at most `most`: those that fill vectors best. */
static size_t strip_of(size_t most, size_t left, size_t width) {
    size_t best = most;
    if (left <= most) return left;
    for (size_t n = most; n > most / 2; n--) {
        if ((n * width + 31) / 32 * best < (best * width + 31) / 32 * n) best = n;
    }
    return best;
}

/* By strips of at most `rows` output rows. */
__attribute__((noinline)) QD_AVX2_TARGET static void run(layer *g, size_t rows) {
    const qd_map *m = g->apart.map;
    const size_t block = m->kernel_h * m->kernel_w * m->pixel * m->weight_planes, end = m->rows[m->n_rows - 1].end;
    uint16_t chosen[MOST_ROWS];
    qd_beside beside[MOST_COLUMNS];
    QD_FOR_MSAN(beside);
    qd_find_beside(&g->apart, rows + m->kernel_h - 1, beside);
    for (size_t y = m->rows[0].begin, n; y < end; y += n) {
        n = strip_of(rows, end - y, m->out_w);
        g->apart.plane = ((n + (m->kernel_h - 1) / m->stride_h) * m->out_w + 63) / 64 * 64 + 32; /* no power of two */
        qd_take_apart(&g->apart, y, n, (const qd_beside *)beside);
        for (size_t first = 0; first < m->out_channels; first += g->lanes) {
            const size_t all = n * m->out_w;
            if (m->weight_planes == 2) choose_rows(2, g, m->weights + first * block, chosen);
            else choose_rows(1, g, m->weights + first * block, chosen);
            if (m->thresholds) set_limits(g, first);
            for (size_t p = 0, v; p < all; p += 32 * v) {
                v = (all - p + 31) / 32 < VECTORS ? (all - p + 31) / 32 : VECTORS;
                const size_t valid = all < 32 * v ? all : 32 * v, from = all - p < valid ? all - valid : p; /* some maybe once more */
                tile(g, chosen, first, g->apart.planes + from, v, valid, y * m->out_w + from);
            }
        }
    }
}

QD_AVX2_TARGET int qd_conv_planes_avx2(const qd_map *m) {
    const size_t taps = m->kernel_h * m->kernel_w, used = (m->channels + 7) / 8, lanes = m->out_channels <= 16 ? 16 : 32;
    const size_t phases = m->stride_h < m->kernel_h ? m->stride_h : m->kernel_h, more = (m->kernel_h - 1) / m->stride_h;
    const size_t planes = phases * m->kernel_w * 2 * used, slots = (QD_PLANES_BYTES / planes - 96) / m->out_w;
    const size_t pixels = (m->rows[m->n_rows - 1].end - m->rows[0].begin) * m->out_w;
    const int trits = m->weight_planes == 2;
    uint8_t space[QD_PLANES_BYTES + TILE] __attribute__((aligned(32)));
    size_t rows;
    layer g;
    if (m->planes != 1 || m->channels % 2 || taps > 255 || m->kernel_w > MOST_COLUMNS || m->kernel_w * used > MOST_ACROSS) return QD_MAP_NOT;
    if (taps * used * lanes * m->weight_planes > MOST_ROWS || planes > QD_PLANES_BYTES / 128 || slots < more + 1) return QD_MAP_NOT;
    if ((pixels + 31) / 32 * 32 * 4 > pixels * 5) return QD_MAP_NOT; /* too many lanes without a pixel */
    if (m->w > QD_STRIP_WIDTH || m->out_w > QD_STRIP_WIDTH || m->kernel_h * m->w > QD_STRIP_PIXELS) return QD_MAP_NOT;
    QD_FOR_MSAN(space);
    rows = (QD_STRIP_PIXELS / m->w - m->kernel_h) / m->stride_h + 1;
    if (rows > slots - more) rows = slots - more;
    g.apart.map = m;
    g.apart.used = used;
    g.apart.nibbles = 2 * used;
    g.apart.phases = phases;
    g.apart.planes = space;
    g.lanes = lanes;
    g.stretch = trits ? 31 : 20;
    g.narrow = taps * used <= (trits ? 15u : 30u) && m->kernel_w * used % 3 == 0;
    g.most = trits ? 128 * (int32_t)((taps * 2 * used + g.stretch - 1) / g.stretch) : (int32_t)(taps * m->channels);
    run(&g, rows);
    qd_clear_spare_bits(m, (m->out_channels + 31) / 32 * 4);
    qd_clear_spare_signs(m, (m->out_channels + 7) / 8);
    return QD_MAP_SIGNED;
}

#else
typedef int qd_conv_planes_avx2_is_for_x86_64;
#endif
