/* Convolutions that one kernel does as a whole: which taps lie inside the map, for bands of output rows and columns. */
#include "qd_constants.h"
#include "qd_conv.h"

/* Bands of output rows or of columns that a map kernel is given. */
enum { QD_MAX_BANDS = 12 };

qd_taps qd_valid_taps(size_t o, size_t stride, size_t dilation, size_t padding, size_t kernel, size_t size) {
    const size_t start = o * stride; /* of the window, in the padded map */
    const size_t end = padding + size;
    qd_taps t;
    t.from = start < padding ? (padding - start + dilation - 1) / dilation : 0;
    t.to = start < end ? (end - start + dilation - 1) / dilation : 0;
    if (t.to > kernel) t.to = kernel;
    if (t.from > t.to) t.from = t.to;
    return t;
}

size_t qd_same_taps_until(size_t o, size_t n, size_t stride, size_t dilation, size_t padding, size_t kernel, size_t size,
                              qd_taps t) {
    for (o++; o < n; o++) {
        const qd_taps next = qd_valid_taps(o, stride, dilation, padding, kernel, size);
        if (next.from != t.from || next.to != t.to) break;
    }
    return o;
}

/* The bands of output rows or columns [from, n), at most QD_MAX_BANDS; 0 if there are more. */
static size_t make_bands(size_t from, size_t n, size_t stride, size_t padding, size_t kernel, size_t size, qd_band *bands) {
    size_t count = 0, o, end;
    for (o = from; o < n; o = end, count++) {
        const qd_taps t = qd_valid_taps(o, stride, 1, padding, kernel, size);
        if (count == QD_MAX_BANDS) return 0;
        end = qd_same_taps_until(o, n, stride, 1, padding, kernel, size, t);
        bands[count].begin = o;
        bands[count].end = end;
        bands[count].from = t.from;
        bands[count].to = t.to;
    }
    return count;
}

static qd_map_kernel kernel_for(const qd_job *job) {
    const int in = job->in.dtype, weights = job->op->weights;
    if (in == QD_BITS && weights == QD_WEIGHTS_BITS) return job->kernels->map;
    if ((in == QD_BITS || in == QD_TRITS) && (weights == QD_WEIGHTS_BITS || weights == QD_WEIGHTS_TRITS)) return job->kernels->trit_map;
    if (in == QD_U8 && weights == QD_WEIGHTS_INT8) return job->kernels->pixels;
    if (in == QD_I8) return job->kernels->bytes;
    return NULL;
}

/* Output rows [y0, y1) to `out`, where the map's first row would be. */
static int run_rows(const qd_conv *v, qd_map_kernel kernel, size_t y0, size_t y1, uint8_t *out) {
    const qd_job *job = v->job;
    qd_band rows[QD_MAX_BANDS], columns[QD_MAX_BANDS];
    qd_map map;
    map.n_rows = make_bands(y0, y1, v->stride_h, v->top, v->kernel_h, v->h, rows);
    map.n_columns = make_bands(0, job->out.w, v->stride_w, v->left, v->kernel_w, v->w, columns);
    if (map.n_rows == 0 || map.n_columns == 0) return 0;
    map.rows = rows;
    map.columns = columns;
    map.weights = v->weights;
    map.weight_planes = v->shape.bits;
    map.planes = v->shape.planes;
    map.form = v->shape.bits == 8 ? (qd_small_form)0 : v->form;
    map.zero = v->zero;
    map.in = v->in;
    map.h = v->h;
    map.w = v->w;
    map.pixel = v->shape.pixel;
    map.channels = v->c;
    map.kernel_h = v->kernel_h;
    map.kernel_w = v->kernel_w;
    map.stride_h = v->stride_h;
    map.stride_w = v->stride_w;
    map.top = v->top;
    map.left = v->left;
    map.out = out;
    map.out_w = job->out.w;
    map.out_pixel = v->out_pixel;
    map.out_channels = job->out.c;
    map.thresholds = job->op->epilogue == QD_THRESHOLD ? v->thresholds : NULL;
    map.steps = v->steps;
    map.add = v->add;
    map.scratch = v->patch;
    map.signs = job->signs;
    map.sign_pixel = qd_plane_bytes(job->out.c);
    if (job->kernels->planes && job->in.dtype == QD_BITS) {
        const int done = job->kernels->planes(&map);
        if (done) return done;
    }
    return kernel(&map);
}

#if defined(__x86_64__) || defined(__aarch64__) /* where stacks are large */
/* As accumulators, some rows at a time, from which levels are made. */
static int run_levels(const qd_conv *v, qd_map_kernel kernel, size_t y0, size_t y1) {
    enum { AT_HAND = 24576 };
    const qd_job *job = v->job;
    const size_t row = (size_t)job->out.w * job->out.c * sizeof(int32_t), step = AT_HAND / row;
    int32_t acc[AT_HAND / sizeof(int32_t)];
    if (step == 0) return QD_MAP_NOT;
    for (size_t y = y0, end; y < y1; y = end) {
        uint8_t *const map = (uint8_t *)((uintptr_t)acc - y * row); /* NOLINT(performance-no-int-to-ptr): a kernel adds what leads to row y */
        end = y1 - y < step ? y1 : y + step;
        if (!run_rows(v, kernel, y, end, map)) return QD_MAP_NOT;
        for (size_t i = 0; i < (end - y) * job->out.w; i++) {
            qd_levels_pixel(job, &v->levels, acc + i * job->out.c, v->out + (y * job->out.w + i) * v->out_pixel);
        }
    }
    return QD_MAP_DONE;
}
#else
static int run_levels(const qd_conv *v, qd_map_kernel kernel, size_t y0, size_t y1) {
    (void)v, (void)kernel, (void)y0, (void)y1;
    return QD_MAP_NOT;
}
#endif

int qd_run_map(const qd_conv *v, size_t y0, size_t y1) {
    qd_map_fn *const kernel = kernel_for(v->job);
    if (!kernel || !QD_CONSTANTS_IN_PLACE) return QD_MAP_NOT;
    if (!v->whole_rows || v->dilation_h > 1 || v->dilation_w > 1 || v->fill) return QD_MAP_NOT;
    return v->job->op->epilogue == QD_LEVELS ? run_levels(v, kernel, y0, y1) : run_rows(v, kernel, y0, y1, v->out);
}
