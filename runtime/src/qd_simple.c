/* Operators that are one loop over one or two maps. */
#include "qd_exec.h"

static qd_window window_of(const qd_job *job, size_t y0, size_t y1) {
    qd_window window;
    window.h = job->in.h;
    window.w = job->in.w;
    window.first = y0;
    window.end = y1;
    window.out_w = job->out.w;
    window.kernel_h = job->op->kernel_h;
    window.kernel_w = job->op->kernel_w;
    window.stride_h = job->op->stride_h;
    window.stride_w = job->op->stride_w;
    window.top = job->op->top;
    window.left = job->op->left;
    return window;
}

/* Where output row y lies. */
static uint8_t *row_at(const qd_job *job, size_t y) {
    return (uint8_t *)qd_memory(job, &job->out) + y * job->out.w * qd_pixel_bytes(job->out.dtype, job->out.c);
}

static void bit_pool_rows(const qd_job *job, size_t y0, size_t y1) {
    const qd_window window = window_of(job, y0, y1);
    const uint8_t *mask = (const uint8_t *)qd_constant_data(job->model, job->op->constants[QD_C_MASK]);
    const void *in = qd_memory(job, &job->in);
    uint8_t *out = row_at(job, y0);
    if (job->in.dtype == QD_BITS) {
        qd_bit_pool_ref(&window, (const uint8_t *)in, qd_pixel_bytes(QD_BITS, job->in.c), mask, out);
    } else if (job->in.dtype == QD_TRITS) {
        qd_trit_pool_ref(&window, (const uint8_t *)in, qd_pixel_bytes(QD_TRITS, job->in.c), mask, out);
    } else {
        qd_level_pool_ref(&window, (const int8_t *)in, job->in.c, mask, (int8_t *)out);
    }
}

void qd_run_bit_pool(const qd_job *job) { qd_by_rows(job, bit_pool_rows); }

static void max_pool_rows(const qd_job *job, size_t y0, size_t y1) {
    const qd_window window = window_of(job, y0, y1);
    qd_max_pool_ref(&window, (const float *)qd_memory(job, &job->in), job->in.c, (float *)(void *)row_at(job, y0));
}

void qd_run_max_pool(const qd_job *job) { qd_by_rows(job, max_pool_rows); }

void qd_run_sum_pool(const qd_job *job) {
    const size_t pixels = (size_t)job->in.h * job->in.w;
    const void *in = qd_memory(job, &job->in);
    int32_t *out = (int32_t *)qd_memory(job, &job->out);
    if (job->in.dtype == QD_I8) {
        qd_sum_pool_i8_ref((const int8_t *)in, pixels, job->in.c, out);
    } else {
        qd_sum_pool_i16_ref((const int16_t *)in, pixels, job->in.c, out);
    }
}

void qd_run_arg_max(const qd_job *job) {
    const size_t pixels = (size_t)job->in.h * job->in.w;
    const void *in = qd_memory(job, &job->in);
    int32_t *out = (int32_t *)qd_memory(job, &job->out);
    if (job->in.dtype == QD_I32) {
        qd_arg_max_i32_ref((const int32_t *)in, pixels, job->in.c, out);
    } else {
        qd_arg_max_f32_ref((const float *)in, pixels, job->in.c, out);
    }
}
