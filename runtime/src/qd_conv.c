/*
 * Convolution: which pixels, which taps, which epilogue. The arithmetic is in kernels/.
 *
 * Output pixels that have the same taps inside the map form a rectangle: one in the middle, and thinner ones at the borders.
 * Each rectangle is walked in row-major order, four pixels at a time, so that a border column is tiled as well as the middle.
 * A tile's patches are gathered into scratch rows (or read where they lie, if they are contiguous), then multiplied by all
 * weight blocks, then every pixel goes through the epilogue. Binary patches have no value for "outside", so there the
 * kernels get the list of taps inside instead; integer patches hold zeros outside. Where the operator says what lies
 * outside (+1 or -1 around a map of bits), both hold that. With groups, all this is done a group at a time.
 *
 * A depthwise convolution gathers nothing: tap by tap, the pixels under the tap times the tap's weights are added to all channels.
 */
#include <string.h>

#include "qd_constants.h"
#include "qd_conv.h"

/* Bytes of a stream that are still near when their signs are taken. */
enum { AT_HAND = 8192 };

/* Up to QD_TILE_PIXELS output pixels with the same taps. */
typedef struct tile {
    size_t n;
    size_t y[QD_TILE_PIXELS], x[QD_TILE_PIXELS];
} tile;

/* The stretches of a plane of a patch that rows x columns cover; one if the rows are whole. */
static size_t make_runs(const qd_conv *v, qd_taps rows, qd_taps columns, qd_run_span *runs) {
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
 * rows x columns: the taps inside the map.
 */
static const uint8_t *patches_in_place(const qd_conv *v, const tile *t, qd_taps rows, qd_taps columns, size_t *stride) {
    size_t first, i;
    if (rows.to - rows.from != v->kernel_h || columns.to - columns.from != v->kernel_w) return NULL;
    if (v->kernel_h > 1 && (v->kernel_w != v->w || v->dilation_h > 1)) return NULL;
    if (!v->whole_rows) return NULL;
    first = qd_source_at(v, t->y[0], t->x[0], 0, 0);
    *stride = t->n < 2 ? 0 : qd_source_at(v, t->y[1], t->x[1], 0, 0) - first;
    for (i = 2; i < t->n; i++) {
        if (qd_source_at(v, t->y[i], t->x[i], 0, 0) != first + i * *stride) return NULL;
    }
    return v->in + first;
}

/* runs: the stretches of the patch that count, `bits` signs in all. */
static void multiply_bits(const qd_conv *v, const tile *t, size_t group, qd_taps rows, qd_taps columns, const qd_run_span *runs,
                          size_t n_runs, int32_t bits) {
    const int partial = rows.to - rows.from != v->kernel_h || columns.to - columns.from != v->kernel_w;
    const uint8_t *weights = v->weights + group * v->shape.blocks * (size_t)v->shape.block;
    int32_t *acc = v->acc + group * v->shape.out;
    size_t stride = 0, i, b;
    const uint8_t *patch = patches_in_place(v, t, rows, columns, &stride);
    if (!patch) {
        patch = v->patch;
        stride = (size_t)v->shape.patch;
        for (i = 0; i < t->n; i++) {
            if (partial && v->fill) qd_fill_bits(v, v->patch + i * stride);
            if (qd_inside(rows, columns)) qd_gather_bits(v, t->y[i], t->x[i], group, rows, columns, v->patch + i * stride);
        }
    }
    for (b = 0; b < v->shape.blocks; b++, weights += v->shape.block, acc += v->shape.lanes) {
        if (v->shape.planes == 1 && v->shape.bits == 1) {
            v->job->kernels->bits(weights, v->shape.lanes, patch, stride, t->n, runs, n_runs, bits, acc, v->shape.acc_stride);
        } else {
            v->job->kernels->trits(weights, v->shape.bits, v->shape.lanes, patch, v->shape.planes, stride, t->n, runs, n_runs,
                                   acc, v->shape.acc_stride);
        }
    }
}

static void multiply_int8(const qd_conv *v, const tile *t, size_t group, qd_taps rows, qd_taps columns) {
    const size_t elements = (size_t)v->shape.row;
    const int whole = rows.to - rows.from == v->kernel_h && columns.to - columns.from == v->kernel_w;
    size_t stride = (size_t)v->shape.patch, i, k, b;
    const uint8_t *weights = v->weights + group * v->shape.blocks * (size_t)v->shape.block;
    int32_t *acc = v->acc + group * v->shape.out;
    const void *patch = NULL;
    /* An odd K reads one element more than the patch has: harmless times a zero weight, but it may lie past the arena. */
    if (v->job->in.dtype == QD_I16 && elements == v->shape.k) patch = patches_in_place(v, t, rows, columns, &stride);
    if (!patch) {
        patch = v->patch;
        stride = (size_t)v->shape.patch;
        for (i = 0; i < t->n; i++) {
            int16_t *to = (int16_t *)(void *)(v->patch + i * stride);
            if (!whole && v->fill) {
                for (k = 0; k < elements; k++) to[k] = (int16_t)v->fill;
            } else if (!whole) {
                memset(to, 0, 2 * elements);
            }
            if (elements != v->shape.k) to[elements - 1] = 0; /* the padding element */
            if (qd_inside(rows, columns)) qd_gather_int8(v, t->y[i], t->x[i], group, rows, columns, to);
        }
    }
    for (b = 0; b < v->shape.blocks; b++, weights += v->shape.block, acc += 8) {
        if (v->shape.bits == 8) {
            v->job->kernels->int8((const int8_t *)weights, elements / 2, (const int16_t *)patch, stride / 2, t->n, acc,
                                  v->shape.acc_stride);
        } else {
            v->job->kernels->small(weights, v->form, elements / 2, (const int16_t *)patch, stride / 2, t->n, acc,
                                   v->shape.acc_stride);
        }
    }
}

/* Writes each of n values m times, in place. */
static void repeat(int16_t *values, size_t n, size_t m) {
    for (size_t i = n; m > 1 && i-- > 0;) {
        for (size_t j = m; j-- > 0;) values[i * m + j] = values[i];
    }
}

/* The weights of a tap in eight bits: where they lie, or in the second of the patches, of which the first is enough here. */
static const int8_t *weights_of_tap(const qd_conv *v, size_t tap) {
    const uint8_t *from = v->weights + tap * (size_t)v->shape.block;
    int8_t *to = (int8_t *)(v->patch + v->shape.patch);
    if (v->shape.bits == 8) return (const int8_t *)from;
    qd_unpack_ref(from, v->form, v->job->out.c, to);
    return to;
}

static void multiply_depthwise(const qd_conv *v, const tile *t, qd_taps rows, qd_taps columns) {
    const size_t outputs = v->job->out.c;
    int16_t *x = (int16_t *)(void *)v->patch;
    memset(v->acc, 0, t->n * v->shape.acc_stride * sizeof *v->acc);
    for (size_t tap = 0; tap < v->shape.taps; tap++) {
        const size_t ky = tap / v->kernel_w, kx = tap % v->kernel_w;
        const int inside = ky >= rows.from && ky < rows.to && kx >= columns.from && kx < columns.to;
        const int8_t *weights;
        if (!inside && v->fill == 0) continue;
        weights = weights_of_tap(v, tap);
        for (size_t i = 0; i < t->n; i++) {
            if (inside) {
                qd_widen(v, v->in + qd_source_at(v, t->y[i], t->x[i], ky, kx), 0, v->c, x);
                repeat(x, v->c, v->shape.out);
            } else {
                for (size_t o = 0; o < outputs; o++) x[o] = (int16_t)v->fill;
            }
            v->job->kernels->depthwise(weights, x, outputs, v->acc + i * v->shape.acc_stride);
        }
    }
}

/* The bits of one output pixel, spare bytes left alone. */
static void pack(const qd_conv *v, const int32_t *acc, uint8_t *out) {
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
static void finish(const qd_conv *v, const int32_t *acc, size_t pixel_index) {
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
static void run_rectangle(const qd_conv *v, size_t y0, size_t y1, qd_taps rows, size_t x0, size_t x1, qd_taps columns) {
    const int is_bits = v->shape.lane_major;
    const qd_taps all_rows = {0, v->kernel_h}, all_columns = {0, v->kernel_w};
    const qd_taps counted_rows = v->fill ? all_rows : rows, counted_columns = v->fill ? all_columns : columns;
    const size_t counted = (counted_rows.to - counted_rows.from) * (counted_columns.to - counted_columns.from);
    qd_run_span runs[QD_MAX_PATCH_RUNS];
    const size_t n_runs = is_bits && counted ? make_runs(v, counted_rows, counted_columns, runs) : 0;
    size_t y = y0, x = x0, i, group;
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
        if (counted == 0) {
            memset(v->acc, 0, t.n * v->shape.acc_stride * sizeof *v->acc);
        } else if (v->shape.depthwise) {
            multiply_depthwise(v, &t, rows, columns);
        } else {
            for (group = 0; group < v->job->op->groups; group++) {
                if (is_bits) {
                    multiply_bits(v, &t, group, rows, columns, runs, n_runs, (int32_t)(counted * v->shape.in));
                } else {
                    multiply_int8(v, &t, group, rows, columns);
                }
            }
        }
        for (i = 0; i < t.n; i++) finish(v, v->acc + i * v->shape.acc_stride, t.y[i] * v->job->out.w + t.x[i]);
    }
}

static void run_bands(const qd_conv *v, size_t y0, size_t y1) {
    const size_t out_w = v->job->out.w;
    size_t y, x, y_end, x_end;
    for (y = y0; y < y1; y = y_end) {
        const qd_taps rows = qd_valid_taps(y, v->stride_h, v->dilation_h, v->top, v->kernel_h, v->h);
        y_end = qd_same_taps_until(y, y1, v->stride_h, v->dilation_h, v->top, v->kernel_h, v->h, rows);
        for (x = 0; x < out_w; x = x_end) {
            const qd_taps columns = qd_valid_taps(x, v->stride_w, v->dilation_w, v->left, v->kernel_w, v->w);
            x_end = qd_same_taps_until(x, out_w, v->stride_w, v->dilation_w, v->left, v->kernel_w, v->w, columns);
            run_rectangle(v, y, y_end, rows, x, x_end, columns);
        }
    }
}

/* Output rows [y0, y1). */
static void run_rows(const qd_conv *v, size_t y0, size_t y1) {
    const size_t out_w = v->job->out.w, row = out_w * v->out_pixel;
    size_t step = y1 - y0, y, end;
    const int done = qd_run_map(v, y0, y1);
    if (v->job->signs && !done) step = row > AT_HAND ? 1 : AT_HAND / row;
    for (y = y0; y < y1; y = end) {
        end = y1 - y < step ? y1 : y + step;
        if (!done) run_bands(v, y, end);
        if (v->job->signs && done != QD_MAP_SIGNED) qd_write_signs(v->job, y * out_w, end * out_w);
    }
}

static void set_scratch(qd_conv *v, uint8_t *scratch) {
    v->patch = scratch;
    if (v->shape.lane_major && v->tap < v->shape.pixel) memset(v->patch, 0, QD_TILE_PIXELS * (size_t)v->shape.patch);
    v->acc = (int32_t *)(void *)(scratch + QD_TILE_PIXELS * (size_t)v->shape.patch);
}

typedef struct conv_parts {
    const qd_conv *whole;
    size_t parts;
} conv_parts;

/* One of the parts that the output rows are split into. Parts after the first have scratch of their own. */
static void run_part(void *context, size_t part) {
    const conv_parts *all = (const conv_parts *)context;
    const qd_job *job = all->whole->job;
    const size_t h = job->out.h;
    qd_conv v = *all->whole;
    if (part > 0) set_scratch(&v, (uint8_t *)job->options->workspace + (part - 1) * qd_workspace_bytes(job->model));
    run_rows(&v, h * part / all->parts, h * (part + 1) / all->parts);
}

void qd_run_conv(const qd_job *job) {
    const qd_op *op = job->op;
    qd_stream steps;
    conv_parts all;
    size_t c;
    qd_conv v;

    v.job = job;
    v.shape = qd_shape_of_conv(op, &job->in, &job->out);
    v.h = job->in.h;
    v.w = job->in.w;
    v.c = job->in.c;
    v.kernel_h = op->kernel_h;
    v.kernel_w = op->kernel_w;
    v.stride_h = op->stride_h;
    v.stride_w = op->stride_w;
    v.dilation_h = op->dilation_h;
    v.dilation_w = op->dilation_w;
    v.top = op->top;
    v.left = op->left;
    v.pixel = qd_pixel_bytes(job->in.dtype, job->in.c);
    v.tap = op->groups > 1 ? v.shape.in / 8 * v.shape.planes : v.pixel;
    v.whole_rows = op->groups == 1 && (v.dilation_w == 1 || v.kernel_w == 1) && (v.shape.planes == 0 || v.shape.lane_major);
    v.fill = op->range[0];
    v.edge = v.fill < 0 ? 0xFF : 0;
    v.in = (const uint8_t *)qd_memory(job, &job->in);
    v.out = (uint8_t *)qd_memory(job, &job->out);
    v.out_pixel = qd_pixel_bytes(job->out.dtype, job->out.c);
    v.zero = (const int16_t *)qd_constant_data(job->model, op->constants[QD_C_ZERO_POINTS]);
    v.one_zero = 1;
    for (c = 1; v.zero && c < v.c; c++) v.one_zero &= v.zero[c] == v.zero[0];
    v.weights = (const uint8_t *)qd_constant_data(job->model, op->constants[QD_C_WEIGHTS]);
    v.form = op->weights == QD_WEIGHTS_MASKS ? QD_SMALL_MASKS : (qd_small_form)v.shape.bits;
    v.thresholds = (const int32_t *)qd_constant_data(job->model, op->constants[QD_C_THRESHOLDS]);
    set_scratch(&v, job->arena + op->scratch);
    v.add = qd_second_input(job);
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
