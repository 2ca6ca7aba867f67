/*
 * Whole convolutions of 8-bit pixels u by int8 weights with dot products, as first layers are.
 *
 * u ^ 128 is u - 128 with a sign. With zero points z, sum (u - z) w = sum (u - 128) w - sum (z - 128) w, where the second sum is the same everywhere and
 * taps outside the map hold z. Per four output pixels the taps are gathered side by side; all weights have been brought into order before. Sums begin
 * with what makes their sign the output bit.
 */
#include "qd_kernel.h"

#if QD_DOTPROD_KERNELS

#include "dotprod.h"

enum { MOST_TERMS = 512, MOST_CHANNELS = 512, BUFFER = 32768, FEWEST = 4, LARGEST = 1 << 30 };

typedef struct layer {
    const qd_map *map;
    size_t terms, steps;                   /* of a patch; of four terms, at least four */
    _Alignas(16) int8_t zero[MOST_TERMS];  /* a patch of zero points, 0 behind it */
    int8_t patch[4][MOST_TERMS];
    int8_t weights[BUFFER];                /* [16 channels][step][16][4] */
    int32_t start[4 * MOST_CHANNELS];      /* of sums: [16 channels][pixel][16], for a load of each costs less than copies */
} layer;

typedef int32x4_t sums_of[4]; /* 16 channels */

/* One step of four pixels, the terms in a lane of x. */
#define STEP(lane)                                                                                                        \
    do {                                                                                                                  \
        const int8x16_t w0 = vld1q_s8(w), w1 = vld1q_s8(w + 16), w2 = vld1q_s8(w + 32), w3 = vld1q_s8(w + 48);             \
        _Pragma("GCC unroll 4") for (size_t p = 0; p < 4; p++) {                                                           \
            sums[p][0] = vdotq_laneq_s32(sums[p][0], w0, x[p], lane);                                                     \
            sums[p][1] = vdotq_laneq_s32(sums[p][1], w1, x[p], lane);                                                     \
            sums[p][2] = vdotq_laneq_s32(sums[p][2], w2, x[p], lane);                                                     \
            sums[p][3] = vdotq_laneq_s32(sums[p][3], w3, x[p], lane);                                                     \
        }                                                                                                                 \
        w += 64;                                                                                                          \
    } while (0)

/* The sums of patches, `next` bytes from one to the next, with 16 channels. */
QD_DOTPROD_INLINE void multiply(const layer *g, size_t c, const int8_t *patch, size_t next, sums_of *sums) {
    const int8_t *w = g->weights + 4 * c * g->steps;
    int8x16_t x[4];
    size_t left = g->steps;
    _Pragma("GCC unroll 4") for (size_t p = 0; p < 4; p++) {
        _Pragma("GCC unroll 4") for (size_t q = 0; q < 4; q++) sums[p][q] = vld1q_s32(g->start + 4 * c + 16 * p + 4 * q);
    }
    do {
        _Pragma("GCC unroll 4") for (size_t p = 0; p < 4; p++) x[p] = vld1q_s8(patch + p * next);
        STEP(0);
        STEP(1);
        STEP(2);
        STEP(3);
        patch += 16;
        left -= 4;
    } while (left >= 4);
    if (left == 0) return;
    _Pragma("GCC unroll 4") for (size_t p = 0; p < 4; p++) x[p] = vld1q_s8(patch + p * next);
    STEP(0);
    if (left > 1) STEP(1);
    if (left > 2) STEP(2);
}

/* The sign bits of 16 channels of four pixels. */
QD_NEON_INLINE uint16x4_t signs(const sums_of *sums) {
    static const uint8_t places[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    const uint8x16_t place = vld1q_u8(places);
    uint8x16_t v[4], two;
    _Pragma("GCC unroll 4") for (size_t p = 0; p < 4; p++) {
        const int16x8_t low = vuzp2q_s16(vreinterpretq_s16_s32(sums[p][0]), vreinterpretq_s16_s32(sums[p][1]));
        const int16x8_t high = vuzp2q_s16(vreinterpretq_s16_s32(sums[p][2]), vreinterpretq_s16_s32(sums[p][3]));
        v[p] = vandq_u8(vcltzq_s8(vuzp2q_s8(vreinterpretq_s8_s16(low), vreinterpretq_s8_s16(high))), place);
    }
    two = vpaddq_u8(vpaddq_u8(v[0], v[1]), vpaddq_u8(v[2], v[3]));
    return vreinterpret_u16_u8(vget_low_u8(vpaddq_u8(two, two)));
}

QD_DOTPROD_INLINE void tile(const layer *g, const size_t *pixel) {
    const qd_map *m = g->map;
    const size_t channels = m->out_channels, out_pixel = m->out_pixel;
    uint8_t *out[4];
    for (size_t p = 0; p < 4; p++) out[p] = m->out + pixel[p] * out_pixel;
    for (size_t c = 0; c < channels; c += 16) {
        sums_of sums[4];
        multiply(g, c, g->patch[0], sizeof g->patch[0], sums);
        if (m->thresholds) {
            qd_neon_store_bits(out, out_pixel, c, signs((const sums_of *)sums));
        } else {
            int32_t acc[4][16];
            _Pragma("GCC unroll 4") for (size_t p = 0; p < 4; p++) {
                for (size_t q = 0; q < 4; q++) vst1q_s32(acc[p] + 4 * q, sums[p][q]);
            }
            QD_SMALL_LOOP for (size_t p = 0; p < 4; p++) {
                qd_neon_store_values(m, c, acc[p], pixel[p]);
            }
        }
    }
}

static void make_weights(layer *g) {
    const qd_map *m = g->map;
    const size_t blocks = (m->out_channels + 7) / 8, pairs = (g->terms + 1) / 2;
    memset(g->weights, 0, (blocks + 1) / 2 * g->steps * 64); /* channels that are not there */
    for (size_t b = 0; b < blocks; b++) {
        const int8_t *from = (const int8_t *)m->weights + b * pairs * 16;
        for (size_t k = 0; k < g->steps; k++, from += 32) {
            int8_t *to = g->weights + (b / 2 * g->steps + k) * 64 + b % 2 * 32;
            int8x16_t four[2];
            const int8x16_t none = vdupq_n_s8(0);
            qd_four_terms(2 * k < pairs ? vld1q_s8(from) : none, 2 * k + 1 < pairs ? vld1q_s8(from + 16) : none, four);
            vst1q_s8(to, four[0]);
            vst1q_s8(to + 16, four[1]);
        }
    }
}

/* Sums begin with what zero points give, less the threshold. */
QD_DOTPROD_TARGET static void prepare(layer *g) {
    const qd_map *m = g->map;
    const size_t channels = (m->out_channels + 15) / 16 * 16;
    memset(g->zero, 0, sizeof g->zero);
    memset(g->patch, 0, sizeof g->patch);
    QD_SMALL_LOOP for (size_t i = 0; i < g->terms; i++) g->zero[i] = (int8_t)(m->zero[i % m->channels] - 128);
    memset(g->start, 0, 4 * channels * sizeof *g->start);
    for (size_t c = 0; c < channels; c += 16) {
        int32_t *start = g->start + 4 * c;
        sums_of sums[4];
        multiply(g, c, g->zero, 0, sums);
        for (size_t q = 0; q < 4; q++) vst1q_s32(start + 4 * q, vnegq_s32(sums[0][q]));
        QD_SMALL_LOOP for (size_t i = 0; m->thresholds && i < 16; i++) {
            const int32_t t = c + i < m->out_channels ? m->thresholds[c + i] : -LARGEST;
            start[i] -= t < -LARGEST ? -LARGEST : t > LARGEST ? LARGEST : t;
        }
        QD_SMALL_LOOP for (size_t p = 1; p < 4; p++) memcpy(start + 16 * p, start, 16 * sizeof *start);
    }
}

/* Eight pixels less 128. */
QD_NEON_INLINE void copy8(const uint8_t *from, int8_t *to) { vst1_s8(to, vreinterpret_s8_u8(veor_u8(vld1_u8(from), vdup_n_u8(128)))); }

/* Rows of n bytes, `down` bytes apart, of four patches. The last eight bytes of a row may come twice. */
QD_NEON_INLINE void gather(layer *g, const size_t *in, size_t rows, size_t n, size_t down, size_t first) {
    const uint8_t *from = g->map->in;
    const size_t next = g->map->kernel_w * g->map->pixel;
    int8_t *to = g->patch[0] + first;
    for (; rows > 0; rows--, from += down, to += next) {
        if (n >= 8 && n <= 16) {
            _Pragma("GCC unroll 4") for (size_t p = 0; p < 4; p++) {
                copy8(from + in[p], to + p * MOST_TERMS);
                copy8(from + in[p] + n - 8, to + p * MOST_TERMS + n - 8);
            }
            continue;
        }
        QD_SMALL_LOOP for (size_t p = 0; p < 4; p++) {
            QD_SMALL_LOOP for (size_t i = 0; n > 16 && i < n; i += 8) copy8(from + in[p] + (i + 8 < n ? i : n - 8), to + p * MOST_TERMS + (i + 8 < n ? i : n - 8));
            QD_SMALL_LOOP for (size_t i = 0; n < 8 && i < n; i++) to[p * MOST_TERMS + i] = (int8_t)(from[in[p] + i] - 128);
        }
    }
}

QD_DOTPROD_TARGET static void run_bands(layer *g, qd_band rows, qd_band columns) {
    const qd_map *m = g->map;
    const size_t n = (columns.to - columns.from) * m->pixel, row = m->w * m->pixel, step = m->stride_w * m->pixel;
    const size_t width = columns.end - columns.begin, pixels = (rows.end - rows.begin) * width, first = (rows.from * m->kernel_w + columns.from) * m->pixel;
    size_t in[4], pixel[4], left = width, at = rows.begin * m->out_w + columns.begin;
    size_t from = (rows.begin * m->stride_h + rows.from - m->top) * row + (columns.begin * m->stride_w + columns.from - m->left) * m->pixel;
    for (size_t p = 0; p < 4; p++) memcpy(g->patch[p], g->zero, 4 * g->steps);
    for (size_t i = 0; i < pixels; i += 4) {
        QD_SMALL_LOOP for (size_t p = 0; p < 4; p++) {
            in[p] = from;
            pixel[p] = at;
            if (i + p + 1 >= pixels) continue; /* the last one again */
            from += step;
            at++;
            if (--left == 0) {
                from += m->stride_h * row - width * step;
                at += m->out_w - width;
                left = width;
            }
        }
        gather(g, in, rows.to - rows.from, n, row, first);
        tile(g, pixel);
    }
}

int qd_conv_pixels_dotprod(const qd_map *m) {
    layer g;
    g.map = m;
    g.terms = m->kernel_h * m->kernel_w * m->channels;
    g.steps = g.terms > 16 ? (g.terms + 3) / 4 : 4;
    if (4 * g.steps > MOST_TERMS - 16 || m->out_channels > MOST_CHANNELS || qd_map_pixels(m) < FEWEST) return QD_MAP_NOT;
    if ((m->out_channels + 15) / 16 * g.steps * 64 > BUFFER) return QD_MAP_NOT;
    make_weights(&g);
    prepare(&g);
    for (size_t c = 0; c < m->n_columns; c++) {
        for (size_t r = 0; r < m->n_rows; r++) run_bands(&g, m->rows[r], m->columns[c]);
    }
    qd_clear_spare_bits(m, (m->out_channels + 15) / 16 * 2);
    return QD_MAP_DONE;
}

#else
typedef int qd_conv_pixels_dotprod_is_for_aarch64;
#endif
