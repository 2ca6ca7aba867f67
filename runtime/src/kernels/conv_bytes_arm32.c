/*
 * Whole convolutions of 8-bit maps with the DSP instructions of 32-bit Arm: four output channels of two output pixels at a time (sums_arm32.h).
 * What sums begin with is what the same instructions make of x = 0, or of the zero points of pixels.
 *
 * The weights of four channels are widened into the operator's scratch memory. If channels come in fours, the taps of a row of the
 * kernel are read where they lie in the map; else those of some output pixels are gathered into patches, where margins have a value.
 */
#if defined(__arm__) && defined(__ARM_FEATURE_SIMD32) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__

#include <arm_acle.h>
#include "counts_arm32.h"
#include "qd_kernel.h"
#include "spare.h"
#include "sums_arm32.h"

/* Bytes of patches; output pixels that are worth the widening of weights; the most terms, whose sums and thresholds then fit in 32 bits; channels of a
   stream at once. */
enum { SPACE = 1536, FEWEST = 8, MOST_TERMS = 4096, FURTHEST = 1 << 29, PIECE = 64 };

typedef enum kind { SIGNS, DIGITS, BYTES } kind;

typedef struct layer {
    const qd_map *map;
    kind kind;
    void (*add)(qd_sums *);
    size_t terms, each; /* of a channel; bytes of widened weights for a byte of the map */
    size_t c, channels; /* the four channels under way, of which so many are there */
    unsigned low;       /* bits of a byte of output that are those of four channels before */
    qd_sums sums;       /* with thresholds, what is below 0 at the end gives 1 */
    union {
        uint8_t patches[SPACE];
        struct {
            uint8_t zeros[SPACE / 3];
            int32_t taps[SPACE / 24][4]; /* what a tap gives where x = 0 */
        } map;
    } space;
} layer;

/* Four bits to four bytes. */
static const uint32_t bytes_of[16] = {
    0x00000000, 0x000000FF, 0x0000FF00, 0x0000FFFF, 0x00FF0000, 0x00FF00FF, 0x00FFFF00, 0x00FFFFFF,
    0xFF000000, 0xFF0000FF, 0xFF00FF00, 0xFF00FFFF, 0xFFFF0000, 0xFFFF00FF, 0xFFFFFF00, 0xFFFFFFFF,
};

/* Two taps of four channels in the low byte of a, two more of b: those of channel i as bytes. */
static inline uint32_t spread(uint32_t a, uint32_t b, size_t i) { return bytes_of[(a >> 2 * i & 3) | (b >> 2 * i & 3) << 2]; }

/* Four terms of four channels, two of each in `w` and two in `next`, as the additions read them: [half of the step, but of SIGNS][channel]. */
QD_ARM32_INLINE void widen_step(const qd_small_form form, const kind kind, size_t half, const uint8_t *w, const uint8_t *next, uint32_t *to) {
    if (form == QD_SMALL_INT4) {
        QD_SMALL_LOOP for (size_t i = 0; i < 4; i++) {
            const uint32_t both = w[4 * half + i] | (uint32_t)next[4 * half + i] << 16;
            to[i] = (uint32_t)__ssub16((int32_t)((both & 0x000F000Fu) ^ 0x00080008u), 0x00080008);
            to[4 + i] = (uint32_t)__ssub16((int32_t)((both >> 4 & 0x000F000Fu) ^ 0x00080008u), 0x00080008);
        }
    } else if (form == QD_SMALL_BITS) {
        _Pragma("GCC unroll 4") for (size_t i = 0; i < 4; i++) to[i] = spread(w[half], next[half], i);
    } else if (form) {
        const size_t masks = form == QD_SMALL_MASKS ? 0 : 2;
        const uint32_t a = masks ? w[half] : 0, b = masks ? next[half] : 0;
        const uint32_t plus_a = w[half + masks] & ~a, plus_b = next[half + masks] & ~b;
        _Pragma("GCC unroll 4") for (size_t i = 0; i < 4; i++) {
            to[i] = spread(a, b, i);
            to[4 + i] = ~spread(plus_a, plus_b, i);
        }
    } else {
        const uint32_t first[2] = {qd_load4(w + 8 * half), qd_load4(w + 8 * half + 4)}, second[2] = {qd_load4(next + 8 * half), qd_load4(next + 8 * half + 4)};
        _Pragma("GCC unroll 4") for (size_t i = 0; i < 4; i++) {
            const uint32_t v = i % 2 ? first[i / 2] >> 16 | (second[i / 2] & 0xFFFF0000u) : (first[i / 2] & 0xFFFF) | second[i / 2] << 16;
            const uint32_t minus = v >> 7 & 0x01010101u, plus = v & ~minus & 0x01010101u;
            to[i] = kind == BYTES ? (uint32_t)__sxtb16((int32_t)v) : minus * 255;
            if (kind == BYTES) to[4 + i] = (uint32_t)__sxtb16((int32_t)(v >> 8 | v << 24));
            else if (kind == DIGITS) to[4 + i] = ~(plus * 255);
        }
    }
}

QD_ARM32_INLINE void widen_all(const qd_small_form form, const kind kind, const layer *g) {
    const size_t pairs = (g->terms + 1) / 2, pair = form ? qd_small_pair_bytes(form) : 16, half = g->c / 4 % 2;
    const uint8_t *w = g->map->weights + g->c / 8 * pairs * pair;
    uint32_t *to = (uint32_t *)(void *)g->map->scratch;
    size_t k = 0;
    QD_SMALL_LOOP for (; k + 2 <= pairs; k += 2, w += 2 * pair, to += kind == SIGNS ? 4 : 8) widen_step(form, kind, half, w, w + pair, to);
    if (k < pairs) widen_step(form, kind, half, w, w, to); /* what is behind an odd number of pairs meets the same x in all patches */
}

/* The weights of channels c to c + 3. */
static void widen(const layer *g) {
    switch (g->map->form) {
    case QD_SMALL_BITS: widen_all(QD_SMALL_BITS, SIGNS, g); break;
    case QD_SMALL_TRITS: widen_all(QD_SMALL_TRITS, DIGITS, g); break;
    case QD_SMALL_MASKS: widen_all(QD_SMALL_MASKS, DIGITS, g); break;
    case QD_SMALL_INT4: widen_all(QD_SMALL_INT4, BYTES, g); break;
    default:
        if (g->kind == SIGNS) widen_all((qd_small_form)0, SIGNS, g);
        else if (g->kind == DIGITS) widen_all((qd_small_form)0, DIGITS, g);
        else widen_all((qd_small_form)0, BYTES, g);
    }
}

/* Sums of four channels begin so that `zero` would become 0. */
static void set_start(layer *g, const int32_t *zero) {
    const qd_map *m = g->map;
    QD_SMALL_LOOP for (size_t i = 0; i < 4; i++) {
        g->sums.start[i] = -zero[i];
        if (m->thresholds) {
            const int32_t limit = i < g->channels ? m->thresholds[g->c + i] : -FURTHEST;
            const int32_t near = limit < -FURTHEST ? -FURTHEST : limit > FURTHEST ? FURTHEST : limit;
            g->sums.start[i] -= g->kind == DIGITS ? 2 * near : near;
        }
    }
}

/* Four accumulators of an output pixel. */
static void finish_values(const layer *g, const int32_t *acc, size_t pixel) {
    int32_t *to = (int32_t *)(void *)g->map->out + pixel * g->map->out_channels + g->c;
    const int by = g->kind == DIGITS; /* twice the sums, which are even */
    if (g->channels == 4) {
        _Pragma("GCC unroll 4") for (size_t i = 0; i < 4; i++) to[i] = acc[i] >> by;
    } else {
        QD_SMALL_LOOP for (size_t i = 0; i < g->channels; i++) to[i] = acc[i] >> by;
    }
}

/* Output pixels [from, end): where accumulators lie, the stream that they become. */
__attribute__((noinline)) static void stream(const qd_map *m, size_t from, size_t end) {
    for (size_t c = 0; m->steps && c < m->out_channels; c += PIECE) {
        const size_t n = m->out_channels - c < PIECE ? m->out_channels - c : PIECE;
        const qd_stream steps = qd_stream_from(m->steps, c);
        for (size_t i = from; i < end; i++) {
            const size_t at = i * m->out_channels + c;
            int32_t acc[PIECE];
            memcpy(acc, m->out + at * sizeof *acc, n * sizeof *acc);
            qd_stream_ref(&steps, acc, NULL, m->add ? m->add + at : NULL, n, (float *)(void *)m->out + at);
        }
    }
}

/* Bits of four channels in a byte, beside those of the four before if `low` is 15. */
QD_ARM32_INLINE void finish_bits(const int32_t *acc, unsigned low, uint8_t *to) {
    const uint32_t two = (uint32_t)acc[0] >> 31 | (uint32_t)acc[1] >> 31 << 1, more = (uint32_t)acc[2] >> 31 | (uint32_t)acc[3] >> 31 << 1;
    *to = (uint8_t)((*to & low) + (two | more << 2) * (low + 1));
}

/* Four channels of the first or the second output pixel. */
QD_ARM32_INLINE void finish(const layer *g, size_t i, size_t pixel) {
    const qd_map *m = g->map;
    if (m->thresholds) finish_bits(g->sums.acc[i], g->low, m->out + pixel * m->out_pixel + g->c / 8);
    else finish_values(g, g->sums.acc[i], pixel);
}

/* The next four channels: 0 if there are none. */
static int next_channels(layer *g, size_t c) {
    const qd_map *m = g->map;
    if (c >= m->out_channels) return 0;
    g->c = c;
    g->channels = m->out_channels - c < 4 ? m->out_channels - c : 4;
    g->low = c % 8 ? 15 : 0;
    widen(g);
    return 1;
}

/* What each tap of four channels gives where x = 0. */
static void add_zeros(layer *g) {
    const qd_map *m = g->map;
    qd_sums s = {{0}, g->space.map.zeros, m->scratch, 0, m->channels, 1, 0, 0, {{0}}};
    for (size_t tap = 0; tap < m->kernel_h * m->kernel_w; tap++, s.words += m->channels * g->each) {
        if (g->kind != BYTES) g->add(&s);
        memcpy(g->space.map.taps[tap], s.acc[0], sizeof s.acc[0]);
    }
}

/* Four channels of output pixels whose windows have the same rows and columns of the kernel inside the map. */
static void in_place(layer *g, qd_band rows, qd_band columns) {
    const qd_map *m = g->map;
    const size_t across = columns.to - columns.from, wide = columns.end - columns.begin, step = m->stride_w * m->channels;
    const size_t row = rows.begin * m->stride_h + rows.from - m->top, column = columns.begin * m->stride_w + columns.from - m->left;
    const size_t turn = m->stride_h * m->w * m->channels - wide * step; /* from the end of a row of pixels to the next */
    const uint8_t *at = m->in + (row * m->w + column) * m->channels;
    size_t pixel = rows.begin * m->out_w + columns.begin, left = (rows.end - rows.begin) * wide, x = 0;
    int32_t zero[4] = {0};
    qd_sums *const s = &g->sums;
    QD_SMALL_LOOP for (size_t ky = rows.from; ky < rows.to; ky++) {
        for (size_t kx = columns.from; kx < columns.to; kx++) {
            QD_SMALL_LOOP for (size_t i = 0; i < 4; i++) zero[i] += g->space.map.taps[ky * m->kernel_w + kx][i];
        }
    }
    set_start(g, zero);
    s->words = m->scratch + (rows.from * m->kernel_w + columns.from) * m->channels * g->each;
    s->bytes = across * m->channels;
    s->rows = rows.to - rows.from;
    s->x_skip = m->w * m->channels - s->bytes;
    s->words_skip = (m->kernel_w - across) * m->channels * g->each;
    while (left > 0) {
        const size_t n = left > 1 ? 2 : 1;
        size_t pixels[2];
        s->x = at;
        s->apart = 0;
        for (size_t i = 0; i < n; i++) {
            if (i > 0) s->apart = (size_t)(at - s->x);
            pixels[i] = pixel++;
            at += step;
            if (++x == wide) {
                x = 0;
                at += turn;
                pixel += m->out_w - wide;
            }
        }
        g->add(s);
        finish(g, 0, pixels[0]);
        if (n > 1) finish(g, 1, pixels[1]);
        left -= n;
    }
}

__attribute__((noinline)) static void run_in_place(layer *g) {
    const qd_map *m = g->map;
    memset(g->space.map.zeros, 0, sizeof g->space.map.zeros);
    for (size_t c = 0; next_channels(g, c); c += 4) {
        add_zeros(g);
        for (size_t r = 0; r < m->n_rows; r++) {
            for (size_t i = 0; i < m->n_columns; i++) in_place(g, m->rows[r], m->columns[i]);
        }
    }
}

/* n bytes; of the last four some maybe once more. */
QD_ARM32_INLINE void copy_few(const uint8_t *from, size_t n, uint8_t *to) {
    const uint8_t *const last = from + n - 4;
    if (n < 4) {
        QD_SMALL_LOOP for (size_t i = 0; i < n; i++) to[i] = from[i];
        return;
    }
    for (; from < last; from += 4, to += 4) memcpy(to, from, 4);
    memcpy(to - (from - last), last, 4);
}

__attribute__((noinline)) static void copy(const uint8_t *from, size_t n, uint8_t *to) { copy_few(from, n, to); }

/* The taps of n output pixels side by side from (y, x) on, `bytes` of each; those outside the map are like the neutral patch's. */
__attribute__((noinline)) static void gather(layer *g, size_t y, size_t x, size_t n, size_t bytes, const uint8_t *neutral) {
    const qd_map *m = g->map;
    const size_t across = m->kernel_w * m->channels, step = m->stride_w * m->channels, right = m->left + m->w;
    for (size_t ky = 0; ky < m->kernel_h; ky++, neutral += across) {
        const size_t row = y * m->stride_h + ky - m->top; /* wraps above the map */
        const uint8_t *const in = m->in + (row * m->w - m->left) * m->channels; /* of the padded map */
        uint8_t *to = g->space.patches + ky * across;
        for (size_t i = 0; i < n;) {
            const size_t begin = (x + i) * m->stride_w, end = begin + m->kernel_w;
            if (row < m->h && begin >= m->left && end <= right) {
                const size_t inside = (right - end) / m->stride_w + 1, until = n - i < inside ? n : i + inside;
                const uint8_t *from = in + begin * m->channels;
                if (across == 9) { /* most often: three channels under 3 x 3 */
                    QD_SMALL_LOOP for (; i < until; i++, from += step, to += bytes) copy_few(from, 9, to);
                } else {
                    QD_SMALL_LOOP for (; i < until; i++, from += step, to += bytes) copy(from, across, to);
                }
            } else {
                copy(neutral, across, to);
                if (row < m->h) {
                    const size_t first = begin < m->left ? m->left : begin, last = end < right ? end : right;
                    copy(in + first * m->channels, (last - first) * m->channels, to + (first - begin) * m->channels);
                }
                i++;
                to += bytes;
            }
        }
    }
}

/* Bits of four channels of n output pixels side by side, whose patches are, too. */
__attribute__((noinline)) static void row_of_bits(void (*add)(qd_sums *), qd_sums *s, size_t n, unsigned low, size_t out_pixel, uint8_t *to) {
    for (;; n -= 2, s->x += 2 * s->apart) {
        add(s);
        finish_bits(s->acc[0], low, to);
        if (n == 1) return; /* the second is another one's, or neutral */
        finish_bits(s->acc[1], low, to + out_pixel);
        if (n == 2) return;
        to += 2 * out_pixel;
    }
}

__attribute__((noinline)) static void run_patches(layer *g) {
    const qd_map *m = g->map;
    const size_t bytes = (g->terms + 3) / 4 * 4, most = SPACE / bytes - 1;
    uint8_t *const neutral = g->space.patches + most * bytes;
    qd_sums *const s = &g->sums;
    memset(g->space.patches, 0, sizeof g->space.patches);
    QD_SMALL_LOOP for (size_t i = 0; m->zero && i < g->terms; i++) neutral[i] = (uint8_t)m->zero[i % m->channels];
    s->words = m->scratch;
    s->bytes = bytes;
    s->rows = 1;
    s->x_skip = s->words_skip = 0;
    for (size_t y = m->rows[0].begin; y < m->rows[m->n_rows - 1].end; y++) {
        for (size_t x = 0, n; x < m->out_w; x += n) {
            n = m->out_w - x < most ? m->out_w - x : most;
            gather(g, y, x, n, bytes, neutral);
            for (size_t c = 0; next_channels(g, c); c += 4) {
                const size_t pixel = y * m->out_w + x;
                memset(s->start, 0, sizeof s->start);
                s->x = neutral;
                s->apart = 0;
                g->add(s);
                set_start(g, s->acc[0]);
                s->x = g->space.patches;
                s->apart = bytes;
                if (m->thresholds) {
                    row_of_bits(g->add, s, n, g->low, m->out_pixel, m->out + pixel * m->out_pixel + c / 8);
                } else {
                    for (size_t i = 0; i < n; i++, s->x += i % 2 ? 0 : 2 * bytes) {
                        if (i % 2 == 0) g->add(s);
                        finish(g, i % 2, pixel + i);
                    }
                }
            }
        }
    }
}

/* How the weights are added: those of pixels are stored in eight bits although they be few values. */
static kind kind_of(const qd_map *m, size_t terms) {
    const size_t row = (terms + 1) / 2 * 16;
    const int8_t *weights = (const int8_t *)m->weights;
    kind found = SIGNS;
    if (m->form) return m->form == QD_SMALL_BITS ? SIGNS : m->form == QD_SMALL_INT4 ? BYTES : DIGITS;
    for (size_t o = 0; o < m->out_channels; o++) {
        QD_SMALL_LOOP for (size_t k = 0; k < terms; k++) {
            const int8_t w = weights[o / 8 * row + k / 2 * 16 + o % 8 * 2 + k % 2];
            if (w < -1 || w > 1) return BYTES;
            if (w == 0) found = DIGITS;
        }
    }
    return found;
}

int qd_conv_bytes_arm32(const qd_map *m) {
    const size_t taps = m->kernel_h * m->kernel_w, pixels = (m->rows[m->n_rows - 1].end - m->rows[0].begin) * m->out_w;
    const int by_patches = m->zero || m->channels % 4;
    layer g;
    g.map = m;
    g.terms = taps * m->channels;
    if (g.terms > MOST_TERMS || pixels < FEWEST) return QD_MAP_NOT;
    if (by_patches && g.terms > SPACE / (FEWEST + 1) / 4 * 4) return QD_MAP_NOT;
    if (!by_patches && (m->channels > sizeof g.space.map.zeros || taps > sizeof g.space.map.taps / sizeof *g.space.map.taps)) return QD_MAP_NOT;
    g.kind = kind_of(m, g.terms);
    if (g.kind == SIGNS) g.add = m->zero ? qd_add_u_signs : qd_add_x_signs;
    else if (g.kind == DIGITS) g.add = m->zero ? qd_add_u_digits : qd_add_x_digits;
    else g.add = m->zero ? qd_add_u_bytes : qd_add_x_bytes;
    g.each = g.kind == SIGNS ? 4 : 8;
    if (by_patches) run_patches(&g);
    else run_in_place(&g);
    stream(m, m->rows[0].begin * m->out_w, m->rows[m->n_rows - 1].end * m->out_w);
    qd_clear_spare_bits(m, (m->out_channels + 7) / 8);
    return QD_MAP_DONE;
}

#else
typedef int qd_conv_bytes_arm32_is_for_arm;
#endif
