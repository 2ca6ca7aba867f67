/*
 * Whole convolutions with NEON where the map, the weights or both are ternary.
 *
 * Activations are brought into the order in which counts_trits_neon.h reads them once for all output channels: of trits, signs apart from masks, and pixels
 * of fewer than 16 bytes a plane repeated in a vector; as many rows of the map as the stack holds. So are the weights of 16 or 32 channels. Taps outside the
 * map are left out, by bands of output pixels that have the same taps inside.
 *
 * Of two planes, s is 1 for -1 and m for what is not 0: the products of a window are the sum of its digits m (of the one ternary operand, or of both) less
 * twice those of which one s differs from the other.
 */
#if defined(__aarch64__)

#include "order_trits_neon.h"

/* Products of a window are far fewer than 16 bits hold: its weights of 16 channels have to fit. */
enum { WEIGHTS = 20480, MAP = 18432, MOST_PIXELS = 1024, MOST_TAPS = 49, FEWEST = 4, MOST = 16383 };

enum { BITS_BY_TRITS, TRITS_BY_BITS, TRITS_BY_TRITS, SELECTED }; /* the last: in six operations instead of seven, by planes of +1 instead of masks */

struct patch;

typedef struct layer {
    const qd_map *map;
    qd_order order;
    int kind;
    const uint8_t *in;      /* rows of the map from `first` on */
    size_t first, pixel;    /* pixel: bytes */
    size_t first_out;       /* output pixel (row-major) of digits[0] */
    const uint16_t *digits; /* by output pixel, those of a map of trits that are not 0 */
    void (*tile)(const struct layer *g, const struct patch *t, const size_t *pixel);
    size_t channel, n;      /* 16 or 32 output channels, n sixteens, from this one on */
    const uint8_t *weights; /* of 16 channels after 16 channels, `sixteen` bytes each */
    size_t sixteen, block, blocks; /* block: of the weights that counts_trits_neon.h takes at a time, `blocks` of 16 channels */
    int16x8_t most[4];      /* products up to this give 1 */
    uint16x8_t (*taps)[MOST_TAPS][2]; /* by 16 channels and tap: weights that are not 0 */
} layer;

/* What is the same for all output pixels of a band of rows and one of columns. */
typedef struct patch {
    qd_walk walk;
    const uint8_t *weights;
    int16x8_t terms[4]; /* weights that are not 0 */
    int16x8_t least[4]; /* at least so many products of -1 give 1 */
} patch;

/* Sums of digits under the windows of output rows [begin, end): by columns of the window's rows, then of those. */
static void add_digits(const layer *g, size_t begin, size_t end, const uint16_t *digits, uint16_t *sums) {
    const qd_map *m = g->map;
    uint16_t column[MAP / 32];
    for (size_t r = 0; r < m->n_rows; r++) {
        for (size_t y = m->rows[r].begin; y < m->rows[r].end; y++) {
            const uint16_t *row;
            if (y < begin || y >= end) continue;
            row = digits + (y * m->stride_h + m->rows[r].from - m->top - g->first) * m->w;
            QD_SMALL_LOOP for (size_t x = 0; x < m->w; x++) column[x] = 0;
            for (size_t k = m->rows[r].from; k < m->rows[r].to; k++, row += m->w) {
                QD_SMALL_LOOP for (size_t x = 0; x < m->w; x++) column[x] = (uint16_t)(column[x] + row[x]);
            }
            for (size_t c = 0; c < m->n_columns; c++) {
                const qd_band *columns = &m->columns[c];
                for (size_t x = columns->begin; x < columns->end; x++) {
                    const uint16_t *at = column + (x * m->stride_w + columns->from - m->left);
                    uint32_t sum = 0;
                    QD_SMALL_LOOP for (size_t k = 0; k < columns->to - columns->from; k++) sum += at[k];
                    sums[y * m->out_w + x - g->first_out] = (uint16_t)sum;
                }
            }
        }
    }
}

static void prepare(const layer *g, qd_band rows, qd_band columns, patch *t) {
    const qd_map *m = g->map;
    const size_t across = (columns.to - columns.from) * g->order.units, step = 64 * m->weight_planes, row = m->kernel_w * g->order.units;
    t->walk.stretches = rows.to - rows.from;
    t->walk.steps = across;
    t->walk.x_skip = m->w * g->pixel - across * 16 * m->planes;
    t->walk.w_skip = (row - across) * step;
    t->weights = g->weights + (rows.from * row + columns.from * g->order.units) * step;
    for (size_t i = 0; g->kind == BITS_BY_TRITS && i < g->n; i++) {
        uint16x8_t low = vdupq_n_u16(0), high = low;
        for (size_t r = rows.from; r < rows.to; r++) {
            for (size_t c = columns.from; c < columns.to; c++) {
                low = vaddq_u16(low, g->taps[i][r * m->kernel_w + c][0]);
                high = vaddq_u16(high, g->taps[i][r * m->kernel_w + c][1]);
            }
        }
        t->terms[2 * i] = vreinterpretq_s16_u16(low);
        t->terms[2 * i + 1] = vreinterpretq_s16_u16(high);
        for (size_t k = 2 * i; k < 2 * i + 2; k++) { /* terms - 2 n <= most */
            t->least[k] = vshrq_n_s16(vsubq_s16(vaddq_s16(t->terms[k], vdupq_n_s16(1)), g->most[k]), 1);
        }
    }
}

/* The accumulators or the stream of the i-th 16 channels of four pixels. */
__attribute__((noinline)) static void store_values(const layer *g, const patch *t, size_t i, const int16x8_t *sums, const size_t *pixel) {
    for (size_t p = 0; p < 4; p++) {
        const int16x8_t digits = vreinterpretq_s16_u16(vdupq_n_u16(g->kind % 2 ? g->digits[pixel[p] - g->first_out] : 0));
        int32_t acc[16];
        for (size_t half = 0; half < 2; half++) {
            const int16x8_t sum = sums[2 * p + half], twice = vshlq_n_s16(sum, 1);
            const int16x8_t dots = g->kind == BITS_BY_TRITS ? vsubq_s16(t->terms[2 * i + half], twice)
                                 : g->kind == TRITS_BY_BITS ? vsubq_s16(digits, twice)
                                 : g->kind == SELECTED ? vsubq_s16(digits, sum) : sum;
            vst1q_s32(acc + 8 * half, vmovl_s16(vget_low_s16(dots)));
            vst1q_s32(acc + 8 * half + 4, vmovl_high_s16(dots));
        }
        qd_neon_store_values(g->map, g->channel + 16 * i, acc, pixel[p]);
    }
}

/* sums[2 * pixel + half] of 16 channels and what the blocks of assembly count for them. */
QD_NEON_INLINE void count(const int K, const int words, const layer *g, const patch *t, const uint8_t *weights, int16x8_t *sums) {
    uint16x8_t found[4][4];
    if (words) {
        uint16x8_t acc[8];
        if (K == BITS_BY_TRITS) qd_bits_by_trits_4(&t->walk, weights, acc);
        else if (K == TRITS_BY_BITS) qd_trits_by_bits_4(&t->walk, weights, acc);
        else if (K == TRITS_BY_TRITS) qd_trits_by_trits_4(&t->walk, weights, acc);
        else qd_trits_selected_4(&t->walk, weights, acc);
        _Pragma("GCC unroll 8") for (size_t i = 0; i < 8; i++) sums[i] = vreinterpretq_s16_u16(acc[i]);
        return;
    }
    _Pragma("GCC unroll 1") for (size_t b = 0; b < g->blocks; b++, weights += g->block) { /* once in the program */
        uint16x8_t acc[8];
        if (K == BITS_BY_TRITS) qd_bits_by_trits(&t->walk, weights, acc);
        else if (K == TRITS_BY_BITS) qd_trits_by_bits(&t->walk, weights, acc);
        else if (K == TRITS_BY_TRITS) qd_trits_by_trits(&t->walk, weights, acc);
        else qd_trits_selected(&t->walk, weights, acc);
        _Pragma("GCC unroll 4") for (size_t p = 0; p < 4; p++) {
            found[b][p] = K == TRITS_BY_TRITS ? vsubq_u16(acc[2 * p], vshlq_n_u16(acc[2 * p + 1], 1)) : acc[p];
        }
    }
    if (g->blocks == 4) {
        _Pragma("GCC unroll 8") for (size_t i = 0; i < 8; i++) {
            sums[i] = vreinterpretq_s16_u16(vpaddq_u16(found[i % 2 * 2][i / 2], found[i % 2 * 2 + 1][i / 2]));
        }
    } else {
        _Pragma("GCC unroll 8") for (size_t i = 0; i < 8; i++) sums[i] = vreinterpretq_s16_u16(found[i % 2][i / 2]);
    }
}

/* Four output pixels, the last of them maybe more than once, with all channels of the group. Where this is used, K and words are constants. */
QD_NEON_INLINE void tile(const int K, const int words, const layer *g, const patch *t, const size_t *pixel) {
    const qd_map *m = g->map;
    const int16x8_t one = vdupq_n_s16(1);
    int16x8_t digits[4];
    uint8_t *out[4];
    for (size_t p = 0; p < 4; p++) out[p] = m->out + pixel[p] * m->out_pixel;
    for (size_t p = 0; p < 4 && K % 2; p++) digits[p] = vreinterpretq_s16_u16(vdupq_n_u16(g->digits[pixel[p] - g->first_out]));
    for (size_t i = 0; i < g->n; i++) {
        int16x8_t sums[8];
        count(K, words, g, t, t->weights + i * g->sixteen, sums);
        if (m->thresholds) {
            uint16x8_t masks[8];
            _Pragma("GCC unroll 8") for (size_t k = 0; k < 8; k++) {
                const int16x8_t most = g->most[2 * i + k % 2];
                if (K == BITS_BY_TRITS) masks[k] = vcgeq_s16(sums[k], t->least[2 * i + k % 2]);
                else if (K == TRITS_BY_BITS) masks[k] = vcgeq_s16(sums[k], vhsubq_s16(vaddq_s16(digits[k / 2], one), most));
                else if (K == SELECTED) masks[k] = vcgeq_s16(sums[k], vsubq_s16(digits[k / 2], most));
                else masks[k] = vcleq_s16(sums[k], most);
            }
            qd_neon_store_bits(out, m->out_pixel, g->channel + 16 * i, qd_pack_masks(4, masks));
        } else {
            int16x8_t kept[8]; /* in memory here only: between counts and bits they stay in registers */
            for (size_t k = 0; k < 8; k++) kept[k] = sums[k];
            store_values(g, t, i, kept, pixel);
        }
    }
}

#define TILE(name, K, words) \
    static void name(const layer *g, const patch *t, const size_t *pixel) { tile(K, words, g, t, pixel); }
TILE(bits_by_trits, BITS_BY_TRITS, 0)
TILE(bits_by_trits_4, BITS_BY_TRITS, 1)
TILE(trits_by_bits, TRITS_BY_BITS, 0)
TILE(trits_by_bits_4, TRITS_BY_BITS, 1)
TILE(trits_by_trits, TRITS_BY_TRITS, 0)
TILE(trits_by_trits_4, TRITS_BY_TRITS, 1)
TILE(selected, SELECTED, 0)
TILE(selected_4, SELECTED, 1)

static void run_bands(const layer *g, qd_band rows, qd_band columns) {
    const qd_map *m = g->map;
    const size_t step = m->stride_w * g->pixel, down = m->stride_h * m->w * g->pixel, width = columns.end - columns.begin;
    const size_t pixels = (rows.end - rows.begin) * width;
    /* Offsets, not pointers: what leads from a row to the next may go back, which only wraps. */
    size_t in = ((rows.begin * m->stride_h + rows.from - m->top - g->first) * m->w + columns.begin * m->stride_w + columns.from - m->left) * g->pixel;
    size_t at = rows.begin * m->out_w + columns.begin, left = width, pixel[4];
    patch t;
    prepare(g, rows, columns, &t);
    for (size_t i = 0; i < pixels; i += 4) {
        if (left > 4) {
            _Pragma("GCC unroll 4") for (size_t p = 0; p < 4; p++) {
                t.walk.x[p] = g->in + (in + p * step);
                pixel[p] = at + p;
            }
            in += 4 * step;
            at += 4;
            left -= 4;
        } else {
            QD_SMALL_LOOP for (size_t p = 0; p < 4; p++) {
                t.walk.x[p] = g->in + in;
                pixel[p] = at;
                if (i + p + 1 >= pixels) continue; /* the last one again */
                in += step;
                at++;
                if (--left == 0) {
                    in += down - width * step;
                    at += m->out_w - width;
                    left = width;
                }
            }
        }
        g->tile(g, &t, pixel);
    }
}

/* Output rows [begin, end) with all channels, whose rows of the map have been spread. */
static void run_strip(const layer *all, size_t begin, size_t end) {
    layer in_groups = *all, *const g = &in_groups;
    const qd_map *m = g->map;
    const size_t lanes = m->out_channels > 16 ? 32 : 16, bytes = m->pixel / m->planes, taps = m->kernel_h * m->kernel_w, n = taps * bytes;
    _Alignas(16) uint8_t weights[WEIGHTS];
    uint16x8_t counts[2][MOST_TAPS][2];
    g->taps = counts;
    g->weights = weights;
    g->sixteen = 16 * n * m->weight_planes;
    g->blocks = g->order.unit / 4;
    g->block = g->sixteen / g->blocks;
    for (g->channel = 0; g->channel < m->out_channels; g->channel += 16 * g->n) {
        g->n = m->out_channels - g->channel > 16 && 2 * g->sixteen <= WEIGHTS ? 2 : 1;
        for (size_t i = 0; i < g->n; i++) {
            const size_t c = g->channel + 16 * i;
            const uint8_t *from = m->weights + (c / lanes * n * lanes * m->weight_planes + c % lanes);
            qd_order_weights(&g->order, from, lanes, n, weights + i * g->sixteen);
            if (g->kind == BITS_BY_TRITS) qd_count_weights(from, lanes, taps, bytes, counts[i]);
            for (size_t k = 0; m->thresholds && k < 2; k++) { /* less than the threshold; never for channels that are not there */
                int16_t most[8];
                QD_SMALL_LOOP for (size_t j = 0; j < 8; j++) {
                    const int32_t threshold = c + 8 * k + j < m->out_channels ? m->thresholds[c + 8 * k + j] : -MOST;
                    most[j] = (int16_t)(threshold < -MOST ? -MOST - 1 : threshold > MOST ? MOST : threshold - 1);
                }
                g->most[2 * i + k] = vld1q_s16(most);
            }
        }
        for (size_t r = 0; r < m->n_rows; r++) {
            qd_band rows = m->rows[r];
            rows.begin = rows.begin > begin ? rows.begin : begin;
            rows.end = rows.end < end ? rows.end : end;
            for (size_t c = 0; rows.begin < rows.end && c < m->n_columns; c++) run_bands(g, rows, m->columns[c]);
        }
    }
}

/* One past the last output row from `begin` on whose rows of the map, [*from, *to), and output pixels have room together. */
static size_t strip_end(const layer *g, size_t begin, size_t *from, size_t *to) {
    const qd_map *m = g->map;
    size_t y = begin;
    *from = *to = 0;
    for (size_t r = 0; r < m->n_rows; r++) {
        for (; y >= m->rows[r].begin && y < m->rows[r].end; y++) {
            const size_t first = y * m->stride_h + m->rows[r].from - m->top, end = y * m->stride_h + m->rows[r].to - m->top;
            const size_t start = *to > 0 ? *from : first;
            if ((y + 1 - begin) * m->out_w > MOST_PIXELS) return y;
            if ((end - start) * m->w * g->pixel > MAP) return y;
            *from = start;
            *to = end;
        }
    }
    return y;
}

/* With rows of the map at a time on the stack. */
static void run_spread(const layer *all) {
    layer in_strips = *all, *const g = &in_strips;
    const qd_map *m = g->map;
    const size_t last = m->rows[m->n_rows - 1].end;
    _Alignas(16) uint8_t map[MAP];
    uint16_t digits[MAP / 32] = {0}, sums[MOST_PIXELS];
    g->in = map;
    g->digits = sums;
    for (size_t y = m->rows[0].begin, end, to; y < last; y = end) {
        end = strip_end(g, y, &g->first, &to);
        g->first_out = y * m->out_w;
        qd_spread(&g->order, m->in + g->first * m->w * m->pixel, (to - g->first) * m->w, map, digits);
        if (m->planes == 2) add_digits(g, y, end, digits, sums);
        run_strip(g, y, end);
    }
}

/* Whether a band's windows lie beside the map. */
static int any_beside(const qd_band *bands, size_t n) {
    QD_SMALL_LOOP for (size_t i = 0; i < n; i++) {
        if (bands[i].from == bands[i].to) return 1;
    }
    return 0;
}

static int run(const qd_map *m, int select) {
    static void (*const tiles[4][2])(const layer *, const patch *, const size_t *) = {
        {bits_by_trits, bits_by_trits_4}, {trits_by_bits, trits_by_bits_4}, {trits_by_trits, trits_by_trits_4}, {selected, selected_4}};
    const size_t bytes = m->pixel / m->planes, taps = m->kernel_h * m->kernel_w;
    layer g;
    if (bytes % 4 > 0 || taps > MOST_TAPS || 16 * taps * bytes * m->weight_planes > WEIGHTS || qd_map_pixels(m) < FEWEST) return QD_MAP_NOT;
    if (any_beside(m->rows, m->n_rows) || any_beside(m->columns, m->n_columns)) return QD_MAP_NOT;
    memset(&g, 0, sizeof g);
    g.map = m;
    g.kind = m->planes == 1 ? BITS_BY_TRITS : m->weight_planes == 1 ? TRITS_BY_BITS : select ? SELECTED : TRITS_BY_TRITS;
    g.order.unit = bytes % 16 == 0 ? 16 : bytes % 8 == 0 ? 8 : 4;
    g.order.units = bytes / g.order.unit;
    g.order.planes = m->planes;
    g.order.weight_planes = m->weight_planes;
    g.order.plus = g.kind == SELECTED;
    g.pixel = 16 * m->planes * g.order.units;
    g.tile = tiles[g.kind][g.order.unit == 4];
    if (m->planes == 1 && g.order.unit == 16) {
        g.in = m->in;
        run_strip(&g, m->rows[0].begin, m->rows[m->n_rows - 1].end);
    } else if (m->kernel_h * m->w * g.pixel > MAP || m->out_w > MOST_PIXELS) {
        return QD_MAP_NOT;
    } else {
        run_spread(&g);
    }
    qd_clear_spare_bits(m, (m->out_channels + 15) / 16 * 2);
    return QD_MAP_DONE;
}

int qd_conv_trit_map_neon(const qd_map *m) { return run(m, 0); }

int qd_conv_trit_map_dotprod(const qd_map *m) { return run(m, 1); }

#else
typedef int qd_conv_trit_map_neon_is_for_aarch64;
#endif
