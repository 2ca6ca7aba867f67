/*
 * Convolution: which pixels, which taps, which epilogue. The arithmetic is in kernels/.
 *
 * Output pixels that have the same taps inside the map form a rectangle: one in the middle, and thinner ones at the borders.
 * Each rectangle is walked in row-major order, four pixels at a time, so that a border column is tiled as well as the middle.
 * A tile's patches are gathered into scratch rows (or read where they lie, if they are contiguous), then multiplied by all
 * weight blocks, then every pixel goes through the epilogue. Binary patches have no value for "outside", so there the
 * kernels get the list of taps inside instead; integer patches hold zeros outside.
 */
#include <string.h>

#include "qd_constants.h"
#include "qd_exec.h"

/* [from, to) of the kernel's rows or columns that lie inside the map, for a range of output positions. */
typedef struct taps {
    size_t from, to;
} taps;

typedef struct conv {
    const qd_job *job;
    qd_conv_shape shape;
    size_t h, w, c;               /* input map */
    size_t kernel_h, kernel_w;
    size_t stride_h, stride_w;
    size_t top, left;
    const uint8_t *in;
    uint8_t *out;
    size_t out_pixel;             /* bytes */
    const int16_t *zero;          /* u8 input: zero points, else null */
    int one_zero;                 /* all zero points are equal */
    const uint8_t *weights;
    const int32_t *thresholds;
    qd_small_form form;           /* of small weights on integers */
    qd_level_table levels;
    uint8_t *patch;               /* scratch: QD_TILE_PIXELS rows of shape.patch bytes */
    int32_t *acc;                 /* scratch: QD_TILE_PIXELS rows of shape.acc_stride */
    const float *add;             /* residual or null */
    const qd_stream *steps;
} conv;

/* Bands of output rows or of columns that a map kernel is given. */
enum { QD_MAX_BANDS = 12 };

/* Up to QD_TILE_PIXELS output pixels with the same taps. */
typedef struct tile {
    size_t n;
    size_t y[QD_TILE_PIXELS], x[QD_TILE_PIXELS];
} tile;

/* Taps inside [0, size) for output position o. At least one is: padding is smaller than the kernel. */
static taps valid_taps(size_t o, size_t stride, size_t padding, size_t kernel, size_t size) {
    const size_t start = o * stride; /* of the window, in the padded map */
    const size_t end = padding + size;
    taps t;
    t.from = start < padding ? padding - start : 0;
    t.to = start + kernel > end ? end - start : kernel;
    return t;
}

/* One past the last position from o on that has the same taps as o. */
static size_t same_taps_until(size_t o, size_t n, size_t stride, size_t padding, size_t kernel, size_t size, taps t) {
    for (o++; o < n; o++) {
        const taps next = valid_taps(o, stride, padding, kernel, size);
        if (next.from != t.from || next.to != t.to) break;
    }
    return o;
}

/* Where in the input the valid taps of kernel row ky of an output pixel begin, in bytes. */
static size_t source_at(const conv *v, size_t oy, size_t ox, size_t ky, size_t from_column) {
    const size_t y = oy * v->stride_h + ky - v->top;
    const size_t x = ox * v->stride_w + from_column - v->left;
    return (y * v->w + x) * v->shape.pixel;
}

/* memcpy for the short rows of patches: most are a few words, for which a call costs more than the copy. */
static void copy_row(uint8_t *to, const uint8_t *from, size_t n) {
    if (n > 64) {
        memcpy(to, from, n);
        return;
    }
    for (; n >= 8; n -= 8, to += 8, from += 8) memcpy(to, from, 8);
    if (n & 4) {
        memcpy(to, from, 4);
        to += 4;
        from += 4;
    }
    if (n & 2) {
        memcpy(to, from, 2);
        to += 2;
        from += 2;
    }
    if (n & 1) *to = *from;
}

/* The stretches of a plane of a patch that rows x columns cover; one if the rows are whole. */
static size_t make_runs(const conv *v, taps rows, taps columns, qd_run_span *runs) {
    const size_t tap = v->shape.pixel / v->shape.planes, row_bytes = v->kernel_w * tap;
    size_t ky, n = 0;
    if (columns.to - columns.from == v->kernel_w) {
        runs[0].from = (uint32_t)(rows.from * row_bytes);
        runs[0].length = (uint32_t)((rows.to - rows.from) * row_bytes);
        return 1;
    }
    for (ky = rows.from; ky < rows.to; ky++, n++) {
        runs[n].from = (uint32_t)(ky * row_bytes + columns.from * tap);
        runs[n].length = (uint32_t)((columns.to - columns.from) * tap);
    }
    return n;
}

/*
 * The patches of a tile where they lie in the map, if each is contiguous there and they are evenly spaced: 1x1 kernels,
 * kernels of one row, and kernels as wide as the map (dense layers). Null if not.
 */
static const uint8_t *patches_in_place(const conv *v, const tile *t, taps rows, taps columns, size_t *stride) {
    size_t first, i;
    if (rows.to - rows.from != v->kernel_h || columns.to - columns.from != v->kernel_w) return NULL;
    if (v->kernel_h > 1 && v->kernel_w != v->w) return NULL;
    first = source_at(v, t->y[0], t->x[0], 0, 0);
    *stride = t->n < 2 ? 0 : source_at(v, t->y[1], t->x[1], 0, 0) - first;
    for (i = 2; i < t->n; i++) {
        if (source_at(v, t->y[i], t->x[i], 0, 0) != first + i * *stride) return NULL;
    }
    return v->in + first;
}

static void multiply_bits(const conv *v, const tile *t, taps rows, taps columns, const qd_run_span *runs, size_t n_runs) {
    const int32_t bits = (int32_t)((rows.to - rows.from) * (columns.to - columns.from) * v->c);
    const size_t run = (columns.to - columns.from) * v->shape.pixel;
    const size_t map_row = v->w * v->shape.pixel, patch_row = v->kernel_w * v->shape.pixel;
    size_t stride = 0, i, ky, b;
    const uint8_t *patch = patches_in_place(v, t, rows, columns, &stride);
    if (!patch) {
        patch = v->patch;
        stride = (size_t)v->shape.patch;
        for (i = 0; i < t->n; i++) {
            uint8_t *to = v->patch + i * stride + (rows.from * v->kernel_w + columns.from) * v->shape.pixel;
            size_t from = source_at(v, t->y[i], t->x[i], rows.from, columns.from);
            for (ky = rows.from; ky < rows.to; ky++) {
                copy_row(to, v->in + from, run);
                from += map_row;
                to += patch_row;
            }
        }
    }
    for (b = 0; b < v->shape.blocks; b++) {
        const uint8_t *weights = v->weights + b * (size_t)v->shape.block;
        int32_t *acc = v->acc + b * v->shape.lanes;
        if (v->shape.planes == 1 && v->shape.bits == 1) {
            v->job->kernels->bits(weights, v->shape.lanes, patch, stride, t->n, runs, n_runs, bits, acc, v->shape.acc_stride);
        } else {
            v->job->kernels->trits(weights, v->shape.bits, v->shape.lanes, patch, v->shape.planes, stride, t->n, runs, n_runs,
                                   acc, v->shape.acc_stride);
        }
    }
}

/* n elements of the input, as the signed numbers that the weights multiply. They start at a channel 0. */
static void widen_row(const conv *v, const uint8_t *from, size_t n, int16_t *to) {
    size_t i, c;
    if (v->job->in.dtype == QD_I16) {
        memcpy(to, from, n * sizeof *to);
    } else if (v->job->in.dtype == QD_I8) {
        const int8_t *in = (const int8_t *)from;
        for (i = 0; i < n; i++) to[i] = in[i];
    } else if (v->one_zero) {
        const int16_t zero = qd_constant_i16(v->zero, 0);
        for (i = 0; i < n; i++) to[i] = (int16_t)(from[i] - zero);
    } else {
        for (i = 0; i < n; i += v->c) {
            for (c = 0; c < v->c; c++) to[i + c] = (int16_t)(from[i + c] - qd_constant_i16(v->zero, c));
        }
    }
}

static void multiply_int8(const conv *v, const tile *t, taps rows, taps columns) {
    const size_t elements = (size_t)v->shape.row;
    const int whole = rows.to - rows.from == v->kernel_h && columns.to - columns.from == v->kernel_w;
    const size_t run = (columns.to - columns.from) * v->c;
    size_t stride = (size_t)v->shape.patch, i, ky, b;
    const void *patch = NULL;
    /* An odd K reads one element more than the patch has: harmless times a zero weight, but it may lie past the arena. */
    if (v->job->in.dtype == QD_I16 && elements == v->shape.k) patch = patches_in_place(v, t, rows, columns, &stride);
    if (!patch) {
        patch = v->patch;
        stride = (size_t)v->shape.patch;
        for (i = 0; i < t->n; i++) {
            int16_t *to = (int16_t *)(void *)(v->patch + i * stride);
            if (!whole) memset(to, 0, 2 * elements);
            to[elements - 1] = 0; /* the padding element, if K is odd */
            to += (rows.from * v->kernel_w + columns.from) * v->c;
            for (ky = rows.from; ky < rows.to; ky++, to += v->kernel_w * v->c) {
                widen_row(v, v->in + source_at(v, t->y[i], t->x[i], ky, columns.from), run, to);
            }
        }
    }
    for (b = 0; b < v->shape.blocks; b++) {
        const uint8_t *weights = v->weights + b * (size_t)v->shape.block;
        int32_t *acc = v->acc + b * 8;
        if (v->shape.bits == 8) {
            v->job->kernels->int8((const int8_t *)weights, elements / 2, (const int16_t *)patch, stride / 2, t->n, acc,
                                  v->shape.acc_stride);
        } else {
            v->job->kernels->small(weights, v->form, elements / 2, (const int16_t *)patch, stride / 2, t->n, acc,
                                   v->shape.acc_stride);
        }
    }
}

/* The bits of one output pixel, spare bytes left alone. */
static void pack(const conv *v, const int32_t *acc, uint8_t *out) {
    const size_t channels = v->job->out.c;
#if QD_CONSTANTS_IN_PLACE
    v->job->kernels->pack(acc, v->thresholds, channels, out);
#else
    int32_t thresholds[QD_PIECE];
    for (size_t c = 0; c < channels; c += QD_PIECE) {
        const size_t n = channels - c < QD_PIECE ? channels - c : QD_PIECE;
        qd_convert(v->thresholds + c, n, thresholds);
        v->job->kernels->pack(acc + c, thresholds, n, out + c / 8);
    }
#endif
}

/* Writes one output pixel. */
static void finish(const conv *v, const int32_t *acc, size_t pixel_index) {
    const qd_job *job = v->job;
    const size_t o = job->out.c, bytes = v->out_pixel;
    uint8_t *out = v->out + pixel_index * bytes;
    switch (job->op->epilogue) {
    case QD_ACCUMULATORS: memcpy(out, acc, bytes); break;
    case QD_THRESHOLD: {
        const size_t used = (o + 7) / 8;
        pack(v, acc, out);
        if (used < bytes) memset(out + used, 0, bytes - used);
        break;
    }
    case QD_LEVELS: qd_levels_pixel(job, &v->levels, acc, out); break;
    default:
        qd_stream_pixel(job, v->steps, acc, NULL, v->add ? v->add + pixel_index * o : NULL, o, (float *)(void *)out);
    }
}

/* Output pixels [y0, y1) x [x0, x1), which all have the same taps. */
static void run_rectangle(const conv *v, size_t y0, size_t y1, taps rows, size_t x0, size_t x1, taps columns) {
    const int is_bits = v->shape.lane_major;
    qd_run_span runs[QD_MAX_PATCH_RUNS];
    const size_t n_runs = is_bits ? make_runs(v, rows, columns, runs) : 0;
    size_t y = y0, x = x0, i;
    while (y < y1) {
        tile t;
        for (t.n = 0; t.n < QD_TILE_PIXELS && y < y1; t.n++) {
            t.y[t.n] = y;
            t.x[t.n] = x;
            if (++x == x1) {
                x = x0;
                y++;
            }
        }
        if (is_bits) {
            multiply_bits(v, &t, rows, columns, runs, n_runs);
        } else {
            multiply_int8(v, &t, rows, columns);
        }
        for (i = 0; i < t.n; i++) finish(v, v->acc + i * v->shape.acc_stride, t.y[i] * v->job->out.w + t.x[i]);
    }
}

/* The bands of output rows or columns [from, n), at most QD_MAX_BANDS; 0 if there are more. */
static size_t make_bands(size_t from, size_t n, size_t stride, size_t padding, size_t kernel, size_t size, qd_band *bands) {
    size_t count = 0, o, end;
    for (o = from; o < n; o = end, count++) {
        const taps t = valid_taps(o, stride, padding, kernel, size);
        if (count == QD_MAX_BANDS) return 0;
        end = same_taps_until(o, n, stride, padding, kernel, size, t);
        bands[count].begin = o;
        bands[count].end = end;
        bands[count].from = t.from;
        bands[count].to = t.to;
    }
    return count;
}

/* Output rows [y0, y1) by one kernel, if the family has one that takes them. */
static int run_map(const conv *v, size_t y0, size_t y1) {
    const qd_job *job = v->job;
    qd_band rows[QD_MAX_BANDS], columns[QD_MAX_BANDS];
    qd_map map;
    if (!job->kernels->map || !QD_CONSTANTS_IN_PLACE || job->op->epilogue > QD_STREAMED) return 0;
    if (job->in.dtype == QD_BITS ? job->op->weights != QD_WEIGHTS_BITS
                                 : job->in.dtype != QD_U8 || job->op->weights != QD_WEIGHTS_INT8) return 0;
    map.n_rows = make_bands(y0, y1, v->stride_h, v->top, v->kernel_h, v->h, rows);
    map.n_columns = make_bands(0, job->out.w, v->stride_w, v->left, v->kernel_w, v->w, columns);
    if (map.n_rows == 0 || map.n_columns == 0) return 0;
    map.rows = rows;
    map.columns = columns;
    map.weights = v->weights;
    map.zero = v->zero;
    map.in = v->in;
    map.w = v->w;
    map.pixel = v->shape.pixel;
    map.channels = v->c;
    map.kernel_h = v->kernel_h;
    map.kernel_w = v->kernel_w;
    map.stride_h = v->stride_h;
    map.stride_w = v->stride_w;
    map.top = v->top;
    map.left = v->left;
    map.out = v->out;
    map.out_w = job->out.w;
    map.out_pixel = v->out_pixel;
    map.out_channels = job->out.c;
    map.thresholds = job->op->epilogue == QD_THRESHOLD ? v->thresholds : NULL;
    map.steps = v->steps;
    map.add = v->add;
    return job->kernels->map(&map);
}

/* Output rows [y0, y1). */
static void run_rows(const conv *v, size_t y0, size_t y1) {
    const size_t out_w = v->job->out.w;
    size_t y, x, y_end, x_end;
    if (run_map(v, y0, y1)) return;
    for (y = y0; y < y1; y = y_end) {
        const taps rows = valid_taps(y, v->stride_h, v->top, v->kernel_h, v->h);
        y_end = same_taps_until(y, y1, v->stride_h, v->top, v->kernel_h, v->h, rows);
        for (x = 0; x < out_w; x = x_end) {
            const taps columns = valid_taps(x, v->stride_w, v->left, v->kernel_w, v->w);
            x_end = same_taps_until(x, out_w, v->stride_w, v->left, v->kernel_w, v->w, columns);
            run_rectangle(v, y, y_end, rows, x, x_end, columns);
        }
    }
}

static void set_scratch(conv *v, uint8_t *scratch) {
    v->patch = scratch;
    v->acc = (int32_t *)(void *)(scratch + QD_TILE_PIXELS * (size_t)v->shape.patch);
}

typedef struct conv_parts {
    const conv *whole;
    size_t parts;
} conv_parts;

/* One of the parts that the output rows are split into. Parts after the first have scratch of their own. */
static void run_part(void *context, size_t part) {
    const conv_parts *all = (const conv_parts *)context;
    const qd_job *job = all->whole->job;
    const size_t h = job->out.h;
    conv v = *all->whole;
    if (part > 0) set_scratch(&v, (uint8_t *)job->options->workspace + (part - 1) * qd_workspace_bytes(job->model));
    run_rows(&v, h * part / all->parts, h * (part + 1) / all->parts);
}

void qd_run_conv(const qd_job *job) {
    const qd_op *op = job->op;
    qd_stream steps;
    conv_parts all;
    size_t c;
    conv v;

    v.job = job;
    v.shape = qd_shape_of_conv(op, &job->in, &job->out);
    v.h = job->in.h;
    v.w = job->in.w;
    v.c = job->in.c;
    v.kernel_h = op->kernel_h;
    v.kernel_w = op->kernel_w;
    v.stride_h = op->stride_h;
    v.stride_w = op->stride_w;
    v.top = op->top;
    v.left = op->left;
    v.in = (const uint8_t *)qd_memory(job, &job->in);
    v.out = (uint8_t *)qd_memory(job, &job->out);
    v.out_pixel = qd_pixel_bytes(job->out.dtype, job->out.c);
    v.zero = (const int16_t *)qd_constant_data(job->model, op->constants[QD_C_ZERO_POINTS]);
    v.one_zero = 1;
    for (c = 1; v.zero && c < v.c; c++) v.one_zero &= v.zero[c] == v.zero[0];
    v.weights = (const uint8_t *)qd_constant_data(job->model, op->constants[QD_C_WEIGHTS]);
    v.thresholds = (const int32_t *)qd_constant_data(job->model, op->constants[QD_C_THRESHOLDS]);
    set_scratch(&v, job->arena + op->scratch);
    v.add = qd_second_input(job);
    v.form = op->weights == QD_WEIGHTS_MASKS ? QD_SMALL_MASKS : (qd_small_form)v.shape.bits;
    v.steps = NULL;
    if (op->epilogue == QD_LEVELS) v.levels = qd_levels_of(job);
    if (op->epilogue == QD_STREAMED) {
        steps = qd_stream_of(job);
        v.steps = &steps;
    }

    all.whole = &v;
    all.parts = qd_parts(job, job->out.h, (uint64_t)job->out.h * job->out.w * job->out.c * v.shape.k);
    qd_for_parts(job, all.parts, run_part, &all);
}
