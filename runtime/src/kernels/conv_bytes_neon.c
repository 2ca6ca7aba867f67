/*
 * Whole convolutions of a map of int8 with NEON: a strip of it is copied with its margins, so that the taps of a kernel row lie side by side. 16 taps
 * after 16 of four output pixels meet the weights of four channels, which have been widened to bytes; each pixel and channel has a vector of sums.
 * 16 products are
 *   with dot products one operation;
 *   with weights 0 and +1 an AND, then a sum of neighbours in 16 bits;
 *   with weights -1 and +1 an exclusive or instead: x ^ -1 = -x - 1, so that the number of -1 is missing;
 *   with others of fewer than eight bits two multiplications that add to 16 bits;
 *   with weights of eight bits two multiplications, whose products are added up in 32 bits.
 * Sums of 16 bits hold some steps.
 */
#include "qd_kernel.h"

#if defined(__aarch64__)

#include "counts_bytes_neon.h"
#include "dotprod.h"

/* Bytes of weights and of a copy together, and what is read past that. */
enum { BUFFER = 40960, SPARE = 16, FEWEST = 4 };

typedef struct layer {
    const qd_map *map;
    size_t across, steps; /* of a kernel row: taps; steps of 16 */
    size_t rows_at_once, at_once; /* kernel rows, or steps of one, whose sums fit in 16 bits */
    int8x16_t keep, set;  /* widened masks and bits are ((0 or -1) & keep) | set */
    int inverts;          /* weights of -1 by exclusive or */
    void (*multiply)(const struct layer *g, const uint8_t *const *pixels, size_t channels, int32_t (*acc)[16]);
    size_t line;     /* bytes of a row of the copy */
    uint8_t *weights; /* of 16 channels: [four channels][kernel row][step][4][16] */
    uint8_t *copy;
    int32_t start[16], limit[16]; /* sums begin with; less than this gives 1 */
} layer;

/* 16 taps of eight channels, from eight pairs of each. */
QD_NEON_INLINE void widen(const layer *g, const uint8_t *pairs, int8x16_t *to) {
    const qd_small_form form = g->map->form;
    if (form == QD_SMALL_INT4) {
        const uint8x16x4_t v = vld4q_u8(pairs); /* channels i and i + 4 of a pair, those of the next */
        _Pragma("GCC unroll 4") for (size_t i = 0; i < 4; i++) {
            const int8x16_t both = vreinterpretq_s8_u8(v.val[i]), low = vshrq_n_s8(vshlq_n_s8(both, 4), 4), high = vshrq_n_s8(both, 4);
            to[i] = vtrn1q_s8(low, high);
            to[i + 4] = vtrn2q_s8(low, high);
        }
    } else if (form == QD_SMALL_TRITS) {
        const uint16x8x2_t v = vld2q_u16((const uint16_t *)(const void *)pairs); /* signs and masks */
        const uint8x16_t signs = vreinterpretq_u8_u16(v.val[0]), masks = vreinterpretq_u8_u16(v.val[1]);
        const uint8x16_t sign[2] = {vtrn1q_u8(signs, signs), vtrn2q_u8(signs, signs)}, mask[2] = {vtrn1q_u8(masks, masks), vtrn2q_u8(masks, masks)};
        _Pragma("GCC unroll 8") for (size_t i = 0; i < 8; i++) {
            const uint8x16_t place = vreinterpretq_u8_u16(vdupq_n_u16((uint16_t)(0x0201 << i % 4 * 2)));
            const int8x16_t minus = vreinterpretq_s8_u8(vtstq_u8(sign[i / 4], place)), some = vreinterpretq_s8_u8(vtstq_u8(mask[i / 4], place));
            to[i] = vsubq_s8(vaddq_s8(minus, minus), some); /* -2 + 1, 0 + 1 or 0 */
        }
    } else if (form) {
        const uint8x16_t v = vld1q_u8(pairs), bits[2] = {vtrn1q_u8(v, v), vtrn2q_u8(v, v)};
        _Pragma("GCC unroll 8") for (size_t i = 0; i < 8; i++) {
            const uint8x16_t place = vreinterpretq_u8_u16(vdupq_n_u16((uint16_t)(0x0201 << i % 4 * 2)));
            to[i] = vorrq_s8(vandq_s8(vreinterpretq_s8_u8(vtstq_u8(bits[i / 4], place)), g->keep), g->set);
        }
    } else {
        const uint16x8x4_t a = vld4q_u16((const uint16_t *)(const void *)pairs), b = vld4q_u16((const uint16_t *)(const void *)(pairs + 64));
        _Pragma("GCC unroll 4") for (size_t i = 0; i < 4; i++) {
            to[i] = vreinterpretq_s8_u16(vuzp1q_u16(a.val[i], b.val[i]));
            to[i + 4] = vreinterpretq_s8_u16(vuzp2q_u16(a.val[i], b.val[i]));
        }
    }
}

/* The weights of eight channels, the first or last of 16, and what their sums begin with. */
static void widen_block(layer *g, size_t block) {
    const qd_map *m = g->map;
    const size_t pair = m->form ? qd_small_pair_bytes(m->form) : 16, all = m->kernel_h * g->steps;
    const uint8_t *from = m->weights + block * (m->kernel_h * g->across / 2) * pair;
    uint8_t *to = g->weights + block % 2 * all * 128;
    int32x4_t minus[8];
    for (size_t i = 0; i < 8; i++) minus[i] = vdupq_n_s32(0);
    for (size_t ky = 0; ky < m->kernel_h; ky++) {
        for (size_t left = g->across; left > 0; to += 64) {
            const size_t taps = left < 16 ? left : 16;
            int8x16_t v[8];
            if (taps == 16) {
                widen(g, from, v);
            } else {
                static const uint8_t numbers[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
                const uint8x16_t there = vcltq_u8(vld1q_u8(numbers), vdupq_n_u8((uint8_t)taps));
                uint8_t last[128] = {0};
                memcpy(last, from, taps / 2 * pair);
                widen(g, last, v);
                for (size_t i = 0; i < 8; i++) v[i] = vandq_s8(v[i], vreinterpretq_s8_u8(there));
            }
            _Pragma("GCC unroll 8") for (size_t i = 0; i < 8; i++) {
                vst1q_u8(to + i / 4 * all * 64 + i % 4 * 16, vreinterpretq_u8_s8(v[i]));
                if (g->inverts) minus[i] = vpadalq_s16(minus[i], vpaddlq_s8(v[i]));
            }
            from += taps / 2 * pair;
            left -= taps;
        }
    }
    for (size_t i = 0; i < 8; i++) g->start[block % 2 * 8 + i] = -vaddvq_s32(minus[i]);
}

/* The sums of four vectors' lanes. */
QD_NEON_INLINE int32x4_t add_up(const int halves, const int32x4_t *sums) {
    int32x4_t v[4];
    _Pragma("GCC unroll 4") for (size_t i = 0; i < 4; i++) v[i] = halves ? vpaddlq_s16(vreinterpretq_s16_s32(sums[i])) : sums[i];
    return vpaddq_s32(vpaddq_s32(v[0], v[1]), vpaddq_s32(v[2], v[3]));
}

/* Sums of four pixels, whose windows begin at `pixels`, with the channels, four at a time. HALVES: sums of pairs in 16 bits. */
#define MULTIPLY(name, TARGET, BLOCK, HALVES)                                                                                     \
    TARGET static void name(const layer *g, const uint8_t *const *pixels, size_t channels, int32_t (*acc)[16]) {                  \
        qd_walk walk;                                                                                                             \
        for (size_t r = 0; r < g->map->kernel_h; r += g->rows_at_once) {                                                          \
            walk.stretches = g->map->kernel_h - r < g->rows_at_once ? g->map->kernel_h - r : g->rows_at_once;                     \
            for (size_t k = 0; k < g->steps; k += g->at_once) {                                                                   \
                const uint8_t *weights = g->weights + 64 * (r * g->steps + k);                                                    \
                walk.steps = g->steps - k < g->at_once ? g->steps - k : g->at_once;                                               \
                walk.x_skip = g->line - 16 * walk.steps;                                                                          \
                walk.w_skip = 64 * (g->steps - walk.steps);                                                                       \
                for (size_t p = 0; p < 4; p++) walk.x[p] = pixels[p] + r * g->line + 16 * k;                                      \
                for (size_t c = 0; c < channels; c += 4, weights += 64 * g->map->kernel_h * g->steps) {                           \
                    int32x4_t sums[16];                                                                                           \
                    BLOCK(&walk, weights, sums);                                                                                  \
                    _Pragma("GCC unroll 4") for (size_t p = 0; p < 4; p++) {                                                      \
                        const int32x4_t before = vld1q_s32(r + k > 0 ? acc[p] + c : g->start + c);                                \
                        vst1q_s32(acc[p] + c, vaddq_s32(before, add_up(HALVES, sums + 4 * p)));                                   \
                    }                                                                                                             \
                }                                                                                                                 \
            }                                                                                                                     \
        }                                                                                                                         \
    }
MULTIPLY(by_masks, QD_NEON_TARGET, qd_by_masks, 1)
MULTIPLY(by_signs, QD_NEON_TARGET, qd_by_signs, 1)
MULTIPLY(by_small, QD_NEON_TARGET, qd_by_small, 1)
MULTIPLY(by_bytes, QD_NEON_TARGET, qd_by_bytes, 0)
#if QD_DOTPROD_KERNELS
MULTIPLY(by_dots, QD_DOTPROD_TARGET, qd_by_dots, 0)
#endif

/* 16 channels, or as many as there are, from c on of four pixels. */
static void tile(const layer *g, size_t c, const uint8_t *const *pixels, const size_t *pixel) {
    const qd_map *m = g->map;
    const size_t channels = m->out_channels - c < 16 ? m->out_channels - c : 16;
    int32_t acc[4][16];
    g->multiply(g, pixels, channels, acc);
    if (m->thresholds) {
        uint16x8_t masks[8];
        uint8_t *out[4];
        _Pragma("GCC unroll 8") for (size_t i = 0; i < 8; i++) {
            const int32_t *sums = acc[i / 2] + i % 2 * 8, *limit = g->limit + i % 2 * 8;
            masks[i] = vcombine_u16(vmovn_u32(vcltq_s32(vld1q_s32(sums), vld1q_s32(limit))), vmovn_u32(vcltq_s32(vld1q_s32(sums + 4), vld1q_s32(limit + 4))));
        }
        for (size_t p = 0; p < 4; p++) out[p] = m->out + pixel[p] * m->out_pixel;
        qd_neon_store_bits(out, m->out_pixel, c, qd_pack_masks(4, masks));
    } else {
        QD_SMALL_LOOP for (size_t p = 0; p < 4; p++) qd_neon_store_values(m, c, acc[p], pixel[p]);
    }
}

/* Channels from c on of output rows [y, end) and n columns from x on, whose windows are in the copy. */
static void strip(const layer *g, size_t c, size_t y, size_t end, size_t x, size_t n) {
    const qd_map *m = g->map;
    const size_t step = m->stride_w * m->channels, count = (end - y) * n;
    const uint8_t *in = g->copy, *pixels[4];
    size_t at = y * m->out_w + x, left = n, pixel[4];
    for (size_t i = 0; i < count; i += 4) {
        QD_SMALL_LOOP for (size_t p = 0; p < 4; p++) {
            pixels[p] = in;
            pixel[p] = at;
            if (i + p + 1 >= count) continue; /* the last one again */
            in += step;
            at++;
            if (--left == 0) {
                in += m->stride_h * g->line - n * step;
                at += m->out_w - n;
                left = n;
            }
        }
        tile(g, c, pixels, pixel);
    }
}

/* The rows and columns under the windows of those outputs. */
static void copy_strip(const layer *g, size_t y, size_t end, size_t x, size_t n) {
    const qd_map *m = g->map;
    const size_t first = x * m->stride_w, wide = (n - 1) * m->stride_w + m->kernel_w, right = m->left + m->w, rows = (end - y - 1) * m->stride_h + m->kernel_h;
    const size_t from = first > m->left ? first : m->left, until = first + wide < right ? first + wide : right; /* in the padded map */
    uint8_t *to = g->copy;
    for (size_t r = 0; r < rows; r++, to += g->line) {
        const size_t at = y * m->stride_h + r - m->top; /* wraps above the map */
        const size_t before = at < m->h && from < until ? (from - first) * m->channels : wide * m->channels, behind = (first + wide - until) * m->channels;
        memset(to, 0, before);
        if (before == wide * m->channels) continue;
        memcpy(to + before, m->in + (at * m->w + from - m->left) * m->pixel, (until - from) * m->channels);
        memset(to + wide * m->channels - behind, 0, behind);
    }
    memset(to, 0, SPARE);
}

static int run(const qd_map *m, int dotprod) {
    const size_t end = m->rows[m->n_rows - 1].end, across = m->kernel_w * m->channels, steps = (across + 15) / 16;
    const size_t weights = 256 * m->kernel_h * steps, room = BUFFER > weights ? BUFFER - weights : 0;
    const size_t most = room / (m->kernel_h * m->channels); /* columns of a copy, if it is of one output row */
    _Alignas(16) uint8_t buffer[BUFFER + SPARE];
    const size_t fits = dotprod || !m->form ? SIZE_MAX : m->form == QD_SMALL_INT4 ? 15 : 127; /* steps whose sums are of 16 bits */
    size_t columns, rows;
    layer g;
    if (across % 2 || most < m->kernel_w + 3 * m->stride_w || qd_map_pixels(m) < FEWEST) return QD_MAP_NOT;
    columns = (most - m->kernel_w) / m->stride_w + 1; /* of the output */
    if (columns > m->out_w) columns = m->out_w;
    g.map = m;
    g.across = across;
    g.steps = steps;
    g.rows_at_once = fits / steps > 0 ? fits / steps : 1;
    g.at_once = fits < steps ? fits : steps;
    g.inverts = m->form == QD_SMALL_BITS && across % 16 == 0 && !dotprod;
    g.keep = vdupq_n_s8(m->form == QD_SMALL_MASKS && dotprod ? 1 : -1);
    g.set = vdupq_n_s8(m->form == QD_SMALL_BITS && !g.inverts ? 1 : 0);
    g.multiply = m->form == QD_SMALL_MASKS ? by_masks : g.inverts ? by_signs : m->form ? by_small : by_bytes;
#if QD_DOTPROD_KERNELS
    if (dotprod) g.multiply = by_dots;
#endif
    g.line = ((columns - 1) * m->stride_w + m->kernel_w) * m->channels;
    g.weights = buffer;
    g.copy = buffer + weights;
    rows = (room / g.line - m->kernel_h) / m->stride_h + 1;
    for (size_t c = 0; c < m->out_channels; c += 16) {
        widen_block(&g, c / 8);
        if (m->out_channels - c > 8) widen_block(&g, c / 8 + 1);
        QD_SMALL_LOOP for (size_t i = 0; m->thresholds && i < 16; i++) g.limit[i] = c + i < m->out_channels ? m->thresholds[c + i] : INT32_MIN;
        for (size_t x = 0, n; x < m->out_w; x += n) {
            n = m->out_w - x < columns ? m->out_w - x : columns;
            for (size_t y = m->rows[0].begin, until; y < end; y = until) {
                until = end - y < rows ? end : y + rows;
                if (c == 0 || n < m->out_w || until - y < end - m->rows[0].begin) copy_strip(&g, y, until, x, n);
                strip(&g, c, y, until, x, n);
            }
        }
    }
    qd_clear_spare_bits(m, (m->out_channels + 15) / 16 * 2);
    return QD_MAP_DONE;
}

int qd_conv_bytes_neon(const qd_map *m) { return run(m, 0); }

#if QD_DOTPROD_KERNELS
int qd_conv_bytes_dotprod(const qd_map *m) { return run(m, 1); }
#endif

#else
typedef int qd_conv_bytes_neon_is_for_aarch64;
#endif
