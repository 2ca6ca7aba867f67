/*
 * Whole binary convolutions with NEON: activations are read where they lie in the map.
 *
 * Per group of 16 output channels the weights are brought into the order in which counts_neon.h reads them, on the stack; then four output pixels
 * at a time are counted, and their thresholds compared in registers. A unit of a row is as many bytes as divide a pixel: 16 (on
 * 32-bit Arm 8), 4 or 2. Taps outside the map are left out: rows and columns of output pixels that have the same taps inside come as bands.
 */
#include "qd_kernel.h"

#if QD_NEON_KERNELS

#include "counts_neon.h"

#if defined(__aarch64__)
#define LONG 16
#else
#define LONG 8
#endif

enum { BUFFER = 36864, FEWEST = 4, MOST_BITS = 65534 };

struct patch;

typedef struct group {
    const qd_map *map;
    size_t unit, sixteens;  /* bytes; output channels by 16: 1 or 2 */
    const uint8_t *weights; /* in the order of the unit */
    size_t first;           /* output channel */
    size_t sixteen;         /* bytes of the weights of 16 channels */
    void (*four)(const struct group *g, struct patch *t, size_t *pixel, size_t n); /* n tiles of as many pixels */
    void (*one)(const struct group *g, struct patch *t, size_t *pixel, size_t n);
} group;

/* Output pixels of one band of rows and one of columns. */
typedef struct patch {
    qd_walk walk;        /* of all units, pixels left open */
    size_t x_row, w_row; /* bytes to the next kernel row */
    size_t x_tile;       /* bytes to the four pixels after these */
    size_t place;        /* from an output pixel to the next: bytes of bits, or 1 */
    const uint8_t *weights;
    int fits;            /* one pixel's mismatches of bytes do not overflow bytes */
    size_t whole;        /* kernel rows of which that is so; at least one, if only a part of it */
    int32_t bits;
    uint16x8_t limit[4]; /* at least so many mismatches give 1 */
} patch;

/* Four vectors of 16 channels, a byte of each, to 16 channels of four bytes: words. */
QD_NEON_INLINE void store_words(const uint8_t *from, size_t lanes, uint8_t *to) {
    const uint8x16x4_t v = {{vld1q_u8(from), vld1q_u8(from + lanes), vld1q_u8(from + 2 * lanes), vld1q_u8(from + 3 * lanes)}};
    vst4q_u8(to, v);
}

/* All rows of the weights of 16 channels, n bytes each. */
QD_NEON_TARGET static void make_weights(size_t unit, const uint8_t *from, size_t lanes, size_t n, uint8_t *to) {
    for (size_t k = 0; k < n; k += unit) {
        if (unit == 2) {
            const uint8x16x2_t v = {{vld1q_u8(from + k * lanes), vld1q_u8(from + (k + 1) * lanes)}};
            vst2q_u8(to + 16 * k, v);
        } else if (unit == 4) {
            store_words(from + k * lanes, lanes, to + 16 * k);
        } else if (LONG == 8) {
            uint32_t words[2][16];
            for (size_t j = 0; j < 2; j++) store_words(from + (k + 4 * j) * lanes, lanes, (uint8_t *)words[j]);
            for (size_t i = 0; i < 4; i++) { /* four channels of two words each */
                const uint32x4x2_t v = {{vld1q_u32(words[0] + 4 * i), vld1q_u32(words[1] + 4 * i)}};
                vst2q_u32((uint32_t *)(void *)(to + i / 2 * 8 * n + 8 * k + i % 2 * 32), v);
            }
        } else {
            uint32_t words[4][16];
            for (size_t j = 0; j < 4; j++) store_words(from + (k + 4 * j) * lanes, lanes, (uint8_t *)words[j]);
            for (size_t i = 0; i < 4; i++) { /* four channels of four words each */
                const uint32x4x4_t v = {{vld1q_u32(words[0] + 4 * i), vld1q_u32(words[1] + 4 * i), vld1q_u32(words[2] + 4 * i),
                                         vld1q_u32(words[3] + 4 * i)}};
                vst4q_u32((uint32_t *)(void *)(to + i / 2 * 8 * n + 8 * k + i % 2 * 64), v);
            }
        }
    }
}

/* What is the same for all pixels of two bands. */
QD_NEON_TARGET static void prepare(const group *g, qd_band rows, qd_band columns, patch *t) {
    const qd_map *m = g->map;
    const size_t inside = rows.to - rows.from, across = columns.to - columns.from, per_byte = g->unit == LONG ? 8 : 16;
    t->x_row = m->w * m->pixel;
    t->w_row = m->kernel_w * m->pixel * per_byte;
    t->x_tile = 4 * m->stride_w * m->pixel;
    t->place = m->thresholds ? m->out_pixel : 1;
    t->walk.stretches = across > 0 ? inside : 0;
    t->walk.steps = across * m->pixel / g->unit;
    t->walk.x_skip = t->x_row - across * m->pixel;
    t->walk.w_skip = t->w_row - across * m->pixel * per_byte;
    t->weights = g->weights + (rows.from * m->kernel_w + columns.from) * m->pixel * per_byte;
    t->bits = (int32_t)(inside * across * m->channels);
    t->whole = t->walk.steps > 0 && t->walk.steps < QD_STEPS ? QD_STEPS / t->walk.steps : 1;
    t->fits = t->walk.stretches * t->walk.steps <= QD_STEPS;
    for (size_t i = 0; m->thresholds && i < 2 * g->sixteens; i++) {
        uint16_t limit[8];
        QD_SMALL_LOOP for (size_t j = 0; j < 8; j++) { /* bits - 2 n < threshold; never for channels that are not there */
            const size_t c = g->first + 8 * i + j;
            const int64_t least = c < m->out_channels ? (((int64_t)t->bits - m->thresholds[c]) >> 1) + 1 : MOST_BITS + 1;
            limit[j] = (uint16_t)(least < 0 ? 0 : least > MOST_BITS + 1 ? MOST_BITS + 1 : least);
        }
        t->limit[i] = vld1q_u16(limit);
    }
}

#if defined(__aarch64__)

/* Byte sums of P = 1 or 4 pixels with 16 channels; how many vectors they take. */
QD_NEON_INLINE size_t count_copies(const size_t U, const size_t P, const qd_walk *walk, const uint8_t *weights, uint8x16_t *acc) {
    if (U == 2) qd_count_halves_4(walk, weights, acc);
    else if (P == 4) qd_count_words_4(walk, weights, acc);
    else qd_count_words_1(walk, weights, acc);
    return U == 2 ? 2 * P : 4 * P;
}

/* Sums of all pixels where bytes would overflow, in pieces that they hold. */
__attribute__((noinline)) QD_NEON_TARGET static void count_pieces(const size_t U, const patch *t, const uint8_t *weights, uint16x8_t *wide) {
    const size_t steps = t->walk.steps, whole = t->whole;
    QD_SMALL_LOOP for (size_t i = 0; i < 16; i++) wide[i] = vdupq_n_u16(0);
    for (size_t r = 0; r < t->walk.stretches; r += whole) {
        for (size_t k = 0; k < steps; k += QD_STEPS) {
            uint8x16_t acc[16];
            qd_walk walk = t->walk;
            size_t n;
            walk.stretches = walk.stretches - r < whole ? walk.stretches - r : whole;
            walk.steps = steps - k < QD_STEPS ? steps - k : QD_STEPS;
            walk.x_skip = t->x_row - walk.steps * U;
            walk.w_skip = t->w_row - walk.steps * U * 16;
            for (size_t p = 0; p < 4; p++) walk.x[p] += r * t->x_row + k * U;
            n = count_copies(U, 4, &walk, weights + r * t->w_row + k * U * 16, acc);
            QD_SMALL_LOOP for (size_t i = 0; i < n; i++) wide[i] = vpadalq_u8(wide[i], acc[i]);
        }
    }
}

/* sums[2 * pixel + half]: mismatches of P = 1 or 4 pixels with 16 channels. */
QD_NEON_INLINE void count(const size_t U, const size_t P, const group *g, const patch *t, const uint8_t *weights, uint16x8_t *sums) {
    if (t->walk.stretches == 0) {
        for (size_t i = 0; i < 2 * P; i++) sums[i] = vdupq_n_u16(0);
    } else if (U == 16) {
        _Pragma("GCC unroll 1") for (size_t i = 0; i < 2; i++) { /* once in the program: a block is a kilobyte */
            uint16x8_t eight[4];
            if (P == 4) qd_count_16_bytes_4(&t->walk, weights + i * (g->sixteen / 2), eight);
            else qd_count_16_bytes_1(&t->walk, weights + i * (g->sixteen / 2), eight);
            for (size_t p = 0; p < P; p++) sums[2 * p + i] = eight[p];
        }
    } else if (t->fits) {
        uint8x16_t acc[16];
        count_copies(U, P, &t->walk, weights, acc);
        _Pragma("GCC unroll 8") for (size_t i = 0; i < 2 * P; i++) {
            sums[i] = U == 2 ? vpaddlq_u8(acc[i]) : vpaddq_u16(vpaddlq_u8(acc[2 * i]), vpaddlq_u8(acc[2 * i + 1]));
        }
    } else {
        uint16x8_t wide[16];
        count_pieces(U, t, weights, wide);
        for (size_t i = 0; i < 2 * P; i++) sums[i] = U == 2 ? wide[i] : vpaddq_u16(wide[2 * i], wide[2 * i + 1]);
    }
}

#else

/* Sums of two pixels where bytes would overflow, in pieces that they hold. */
QD_NEON_INLINE void count_pieces(const size_t U, const patch *t, const uint8_t *const *pixels, const uint8_t *weights, uint16x8_t *wide) {
    const size_t steps = t->walk.steps, whole = t->whole;
    for (size_t i = 0; i < 2 * QD_VECTORS(U); i++) wide[i] = vdupq_n_u16(0);
    for (size_t r = 0; r < t->walk.stretches; r += whole) {
        for (size_t k = 0; k < steps; k += QD_STEPS) {
            const size_t at = r * t->x_row + k * U;
            const uint8_t *const x[2] = {pixels[0] + at, pixels[1] + at};
            uint8x16_t acc[8];
            qd_walk walk = t->walk;
            walk.stretches = walk.stretches - r < whole ? walk.stretches - r : whole;
            walk.steps = steps - k < QD_STEPS ? steps - k : QD_STEPS;
            walk.x_skip = t->x_row - walk.steps * U;
            walk.w_skip = t->w_row - walk.steps * 16 * QD_VECTORS(U);
            qd_count_2(U, &walk, x, weights + r * t->w_row + k * 16 * QD_VECTORS(U), acc);
            for (size_t i = 0; i < 2 * QD_VECTORS(U); i++) wide[i] = vpadalq_u8(wide[i], acc[i]);
        }
    }
}

/* sums[2 * pixel + half]: mismatches of P = 1 or 4 pixels with 16 channels, two pixels at a time. */
QD_NEON_INLINE void count(const size_t U, const size_t P, const group *g, const patch *t, const uint8_t *weights, uint16x8_t *sums) {
    const size_t V = QD_VECTORS(U), halves = U == 8 ? 2 : 1;
    for (size_t i = 0; i < 2 * P; i++) sums[i] = vdupq_n_u16(0);
    if (t->walk.stretches == 0) return;
    _Pragma("GCC unroll 1") for (size_t h = 0; h < halves; h++) { /* once in the program */
        _Pragma("GCC unroll 1") for (size_t first = 0; first < P; first += 2) {
            const uint8_t *const *x = t->walk.x + first;
            uint16x8_t wide[8];
            if (t->fits) {
                uint8x16_t acc[8];
                qd_count_2(U, &t->walk, x, weights + h * (g->sixteen / 2), acc);
                for (size_t i = 0; i < 2 * V; i++) wide[i] = vpaddlq_u8(acc[i]);
            } else {
                count_pieces(U, t, x, weights + h * (g->sixteen / 2), wide);
            }
            for (size_t p = 0; p < 2 && p < P; p++) {
                uint16x8_t *to = sums + 2 * (first + p), *v = wide + V * p;
                if (U == 8) to[h] = qd_pairs(qd_pairs(v[0], v[1]), qd_pairs(v[2], v[3]));
                else if (U == 4) to[0] = qd_pairs(v[0], v[1]), to[1] = qd_pairs(v[2], v[3]);
                else to[0] = v[0], to[1] = v[1];
            }
        }
    }
}

#endif

/* Bits of 16 channels of P pixels; pixel: their places in the output. */
QD_NEON_INLINE void store_bits(const size_t P, const group *g, size_t c, const uint16x8_t *limit, const uint16x8_t *sums, const size_t *pixel) {
    uint8_t *out = g->map->out + c / 8;
    uint16x8_t masks[8];
    uint16x4_t bits;
    _Pragma("GCC unroll 8") for (size_t i = 0; i < 2 * P; i++) masks[i] = vcgeq_u16(sums[i], limit[i % 2]);
    bits = qd_pack_masks(P, masks);
    if (g->map->out_pixel == 1) {
        uint16_t words[4];
        vst1_u16(words, bits);
        for (size_t p = 0; p < P; p++) out[pixel[p]] = (uint8_t)words[p];
    } else {
        vst1_lane_u16((uint16_t *)(void *)(out + pixel[0]), bits, 0);
        if (P == 1) return;
        vst1_lane_u16((uint16_t *)(void *)(out + pixel[1]), bits, 1);
        vst1_lane_u16((uint16_t *)(void *)(out + pixel[2]), bits, 2);
        vst1_lane_u16((uint16_t *)(void *)(out + pixel[3]), bits, 3);
    }
}

/* Accumulators or a stream of 16 channels from c on of n pixels. */
__attribute__((noinline)) QD_NEON_TARGET static void store_values(const group *g, const patch *t, size_t c, size_t n, const uint16x8_t *sums,
                                                                  const size_t *pixel) {
    const int32x4_t bits = vdupq_n_s32(t->bits);
    for (size_t p = 0; p < n; p++, sums += 2) {
        int32_t acc[16];
        for (size_t i = 0; i < 2; i++) {
            vst1q_s32(acc + 8 * i, vsubq_s32(bits, vreinterpretq_s32_u32(vshll_n_u16(vget_low_u16(sums[i]), 1))));
            vst1q_s32(acc + 8 * i + 4, vsubq_s32(bits, vreinterpretq_s32_u32(vshll_n_u16(vget_high_u16(sums[i]), 1))));
        }
        qd_neon_store_values(g->map, c, acc, pixel[p]);
    }
}

/* n tiles side by side; the last pixel of a tile may come more than once. A loop here saves what a call costs. */
QD_NEON_INLINE void tiles(const size_t U, const size_t P, const group *g, patch *t, size_t *pixel, size_t n) {
    for (;;) {
        for (size_t i = 0; i < g->sixteens; i++) {
            uint16x8_t sums[8], kept[8];
            count(U, P, g, t, t->weights + i * g->sixteen, sums);
            if (g->map->thresholds) {
                store_bits(P, g, g->first + 16 * i, t->limit + 2 * i, sums, pixel);
            } else { /* in memory here only: between counts and bits they stay in registers */
                for (size_t k = 0; k < 2 * P; k++) kept[k] = sums[k];
                store_values(g, t, g->first + 16 * i, P, kept, pixel);
            }
        }
        if (--n == 0) return;
        for (size_t p = 0; p < P; p++) {
            t->walk.x[p] += t->x_tile;
            pixel[p] += 4 * t->place;
        }
    }
}

#define TILES(name, U, P) \
    QD_NEON_TARGET static void name(const group *g, patch *t, size_t *pixel, size_t n) { tiles(U, P, g, t, pixel, n); }
TILES(vectors_4, LONG, 4)
TILES(vectors_1, LONG, 1)
TILES(words_4, 4, 4)
TILES(words_1, 4, 1)
TILES(halves_4, 2, 4)

QD_NEON_TARGET static void run_bands(const group *g, qd_band rows, qd_band columns) {
    const qd_map *m = g->map;
    const size_t n = (rows.end - rows.begin) * (columns.end - columns.begin), step = m->stride_w * m->pixel;
    size_t y = rows.begin, x = columns.begin;
    patch t;
    prepare(g, rows, columns, &t);
    for (size_t i = 0; i < n;) {
        size_t take = n - i >= 4 ? 4 : n - i == 3 || !g->one ? n - i : 1, side = 1;
        /* An offset, not a pointer: what leads from a row to the next may go back, which only wraps. */
        size_t in = ((y * m->stride_h + rows.from - m->top) * m->w + x * m->stride_w + columns.from - m->left) * m->pixel;
        size_t pixel[4];
        if (columns.end - x >= 4) { /* side by side, the most common */
            _Pragma("GCC unroll 4") for (size_t p = 0; p < 4; p++) {
                t.walk.x[p] = m->in + (in + p * step);
                pixel[p] = (y * m->out_w + x + p) * t.place;
            }
            side = (columns.end - x) / 4;
            take = 4 * side;
            x += take;
        } else {
            for (size_t p = 0; p < 4; p++) {
                t.walk.x[p] = m->in + in;
                pixel[p] = (y * m->out_w + x) * t.place;
                if (p + 1 >= take) continue; /* the last one again */
                in += step;
                if (++x == columns.end) {
                    x = columns.begin;
                    y++;
                    in += m->stride_h * t.x_row - (columns.end - columns.begin) * step;
                }
            }
            x++;
        }
        if (x == columns.end) {
            x = columns.begin;
            y++;
        }
        (take > 1 || !g->one ? g->four : g->one)(g, &t, pixel, side);
        i += take;
    }
}

/* Output channels from g->first on. */
QD_NEON_TARGET static void run_group(group *g) {
    const qd_map *m = g->map;
    const size_t lanes = m->out_channels > 16 ? 32 : 16, n = m->kernel_h * m->kernel_w * m->pixel;
    _Alignas(16) uint8_t weights[BUFFER];
    g->weights = weights;
    g->sixteen = 16 * n;
    for (size_t i = 0; i < g->sixteens; i++) {
        make_weights(g->unit, m->weights + g->first / lanes * n * lanes + g->first % lanes + 16 * i, lanes, n, weights + i * 16 * n);
    }
    for (size_t c = 0; c < m->n_columns; c++) {
        for (size_t r = 0; r < m->n_rows; r++) run_bands(g, m->rows[r], m->columns[c]);
    }
}

QD_NEON_TARGET int qd_conv_map_neon(const qd_map *m) {
    const size_t taps = m->kernel_h * m->kernel_w;
    group g = {m, 0, 0, NULL, 0, 0, NULL, NULL};
    if (m->pixel == 1 || taps * m->channels > MOST_BITS || taps * m->pixel * 16 > BUFFER || qd_map_pixels(m) < FEWEST) return QD_MAP_NOT;
    g.unit = m->pixel % LONG == 0 ? LONG : m->pixel % 4 == 0 ? 4 : 2;
    g.four = g.unit == LONG ? vectors_4 : g.unit == 4 ? words_4 : halves_4;
    g.one = g.unit == LONG ? vectors_1 : g.unit == 4 ? words_1 : NULL;
    for (; g.first < m->out_channels; g.first += 16 * g.sixteens) {
        g.sixteens = m->out_channels - g.first > 16 && taps * m->pixel * 32 <= BUFFER ? 2 : 1;
        run_group(&g);
    }
    qd_clear_spare_bits(m, (m->out_channels + 15) / 16 * 2);
    return QD_MAP_DONE;
}

#endif
