/*
 * Whole convolutions of 8-bit pixels u by weights -1, 0 and +1 with NEON, as first layers are.
 *
 * u ^ 255 is 255 - u: inverted where the weight is -1, pixels are only added up, in pairs to 16 bits, which hold 256 of them. With n weights of -1,
 * sum (u - z) w = sum u w - sum z w = S(u) - 255 n - (S(z) - 255 n), S being the sum with inversions: what the zero points z give is counted once, and
 * taps outside the map hold z. Per four output pixels the taps are gathered side by side; all weights have been brought into order before.
 */
#include "qd_kernel.h"

#if QD_NEON_KERNELS

#include "counts_neon.h"

enum { MOST_TERMS = 256, MOST_CHANNELS = 512, BUFFER = 36864, FEWEST = 4 };

typedef struct pixels {
    const qd_map *map;
    size_t terms, pairs;
    int masked;
    _Alignas(16) uint8_t zero[MOST_TERMS]; /* a patch of zero points, one byte of 0 behind it if their number is odd */
    uint8_t patch[4][MOST_TERMS];
    uint8_t weights[BUFFER];               /* [16 channels][pairs][2 or 4 vectors] */
    uint16_t centre[MOST_CHANNELS];        /* S(z) */
    uint16_t limit[MOST_CHANNELS];         /* less than this gives 1 */
} pixels;

/* n bytes; one of eight bytes and another that ends with the last, instead of a call. */
QD_NEON_INLINE void copy(const uint8_t *from, size_t n, uint8_t *to) {
    if (n >= 8) {
        for (size_t i = 0; i + 8 < n; i += 8) vst1_u8(to + i, vld1_u8(from + i));
        vst1_u8(to + n - 8, vld1_u8(from + n - 8));
    } else {
        for (size_t i = 0; i < n; i++) to[i] = from[i];
    }
}

/* The weights' signs, and masks if some are 0; 0 if one is of another kind. */
QD_NEON_TARGET static int make_weights(pixels *v) {
    const qd_map *m = v->map;
    const size_t blocks = (m->out_channels + 7) / 8, pairs = v->pairs, n = blocks * pairs;
    const int8_t *weights = (const int8_t *)m->weights;
    const int8x16_t one = vdupq_n_s8(1);
    v->masked = 0;
    for (size_t b = 0; b < blocks; b++) {
        const size_t channels = m->out_channels - 8 * b < 8 ? m->out_channels - 8 * b : 8;
        for (size_t i = 0; i < pairs; i++) {
            const int8_t *pair = weights + (b * pairs + i) * 16;
            if (qd_sum(vpaddlq_u8(vcgtq_u8(vreinterpretq_u8_s8(vabsq_s8(vld1q_s8(pair))), vreinterpretq_u8_s8(one))))) return 0;
            for (size_t j = 0; j < 2 * channels && !v->masked; j++) v->masked = pair[j] == 0 && 2 * i + j % 2 < v->terms;
        }
    }
    if ((blocks + 1) / 2 * pairs * (v->masked ? 64 : 32) > BUFFER) return 0;
    for (size_t i = 0; i < (blocks + 1) / 2 * 2 * pairs; i++) {
        const size_t b = i / pairs;
        const int8x16_t w = i < n ? vld1q_s8(weights + i * 16) : vdupq_n_s8(0);
        uint8_t *to = v->weights + (b / 2 * pairs + i % pairs) * (v->masked ? 64 : 32) + b % 2 * 16;
        vst1q_u8(to, vcltq_s8(w, vdupq_n_s8(0)));
        if (v->masked) vst1q_u8(to + 32, vtstq_s8(w, w));
    }
    return 1;
}

/* S of four patches and 16 channels: sums[2 * pixel + half]. */
QD_NEON_INLINE void add(const pixels *v, const qd_walk *walk, size_t c, uint16x8_t *sums) {
    const uint8_t *weights = v->weights + c * v->pairs * (v->masked ? 4 : 2);
    if (v->masked) qd_add_masked_4(walk, weights, sums);
    else qd_add_plain_4(walk, weights, sums);
}

QD_NEON_TARGET static void prepare(pixels *v) {
    const qd_map *m = v->map;
    const qd_walk walk = {{v->zero, v->zero, v->zero, v->zero}, 1, v->pairs, 0, 0};
    for (size_t i = 0; i < v->terms; i++) v->zero[i] = (uint8_t)m->zero[i % m->channels];
    for (size_t i = v->terms; i < 2 * v->pairs; i++) v->zero[i] = 0;
    for (size_t c = 0; c < m->out_channels; c += 16) {
        uint16x8_t sums[8];
        add(v, &walk, c, sums);
        vst1q_u16(v->centre + c, sums[0]);
        vst1q_u16(v->centre + c + 8, sums[1]);
        for (size_t i = c; i < c + 16; i++) { /* S(u) - S(z) < threshold; never for channels that are not there */
            const int64_t limit = m->thresholds && i < m->out_channels ? (int64_t)m->thresholds[i] + v->centre[i] : 0;
            v->limit[i] = (uint16_t)(limit < 0 ? 0 : limit > UINT16_MAX ? UINT16_MAX : limit);
        }
    }
}

/* The taps of output pixel (y, x), those inside the map being rows x columns. */
QD_NEON_INLINE void gather(const pixels *v, size_t y, size_t x, qd_band rows, qd_band columns, uint8_t *to) {
    const qd_map *m = v->map;
    const size_t n = (columns.to - columns.from) * m->pixel;
    size_t in = ((y * m->stride_h + rows.from - m->top) * m->w + x * m->stride_w + columns.from - m->left) * m->pixel;
    if (rows.to - rows.from != m->kernel_h || columns.to - columns.from != m->kernel_w) memcpy(to, v->zero, 2 * v->pairs);
    to += (rows.from * m->kernel_w + columns.from) * m->pixel;
    for (size_t r = rows.from; r < rows.to; r++, in += m->w * m->pixel, to += m->kernel_w * m->pixel) copy(m->in + in, n, to);
}

QD_NEON_INLINE void tile(const pixels *v, const qd_walk *walk, const size_t *pixel) {
    const qd_map *m = v->map;
    uint8_t *out[4];
    for (size_t p = 0; p < 4; p++) out[p] = m->out + pixel[p] * m->out_pixel;
    for (size_t c = 0; c < m->out_channels; c += 16) {
        uint16x8_t sums[8];
        add(v, walk, c, sums);
        if (m->thresholds) {
            const uint16x8_t low = vld1q_u16(v->limit + c), high = vld1q_u16(v->limit + c + 8);
            _Pragma("GCC unroll 8") for (size_t i = 0; i < 8; i++) sums[i] = vcgtq_u16(i % 2 ? high : low, sums[i]);
            qd_neon_store_bits(out, m->out_pixel, c, qd_pack_masks(4, sums));
        } else {
            for (size_t p = 0; p < 4; p++) {
                int32_t acc[16];
                for (size_t i = 0; i < 2; i++) {
                    const uint16x8_t s = sums[2 * p + i], z = vld1q_u16(v->centre + c + 8 * i);
                    vst1q_s32(acc + 8 * i, vreinterpretq_s32_u32(vsubl_u16(vget_low_u16(s), vget_low_u16(z))));
                    vst1q_s32(acc + 8 * i + 4, vreinterpretq_s32_u32(vsubl_u16(vget_high_u16(s), vget_high_u16(z))));
                }
                qd_neon_store_values(m, c, acc, pixel[p]);
            }
        }
    }
}

QD_NEON_TARGET static void run_bands(pixels *v, qd_band rows, qd_band columns) {
    const qd_walk walk = {{v->patch[0], v->patch[1], v->patch[2], v->patch[3]}, 1, v->pairs, 0, 0};
    size_t pixel[4], n = 0;
    for (size_t p = 0; p < 4; p++) v->patch[p][v->terms] = 0; /* behind an odd number of them; where it is even, a byte of the gap */
    for (size_t y = rows.begin; y < rows.end; y++) {
        for (size_t x = columns.begin; x < columns.end; x++) {
            gather(v, y, x, rows, columns, v->patch[n]);
            pixel[n++] = y * v->map->out_w + x;
            if (y + 1 == rows.end && x + 1 == columns.end) { /* the last one again, where there are fewer than four */
                for (; n < 4; n++) {
                    memcpy(v->patch[n], v->patch[n - 1], 2 * v->pairs);
                    pixel[n] = pixel[n - 1];
                }
            }
            if (n == 4) {
                tile(v, &walk, pixel);
                n = 0;
            }
        }
    }
}

QD_NEON_TARGET int qd_conv_pixels_neon(const qd_map *m) {
    pixels v;
    v.map = m;
    v.terms = m->kernel_h * m->kernel_w * m->channels;
    v.pairs = (v.terms + 1) / 2;
    if (v.terms >= MOST_TERMS || m->out_channels > MOST_CHANNELS || qd_map_pixels(m) < FEWEST || !make_weights(&v)) return QD_MAP_NOT;
    prepare(&v);
    for (size_t c = 0; c < m->n_columns; c++) {
        for (size_t r = 0; r < m->n_rows; r++) run_bands(&v, m->rows[r], m->columns[c]);
    }
    qd_clear_spare_bits(m, (m->out_channels + 15) / 16 * 2);
    return QD_MAP_DONE;
}

#endif
