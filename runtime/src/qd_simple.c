/* Operators that are one loop over one or two maps. */
#include "qd_exec.h"

static qd_window window_of(const qd_job *job) {
    qd_window window;
    window.w = job->in.w;
    window.out_h = job->out.h;
    window.out_w = job->out.w;
    window.kernel_h = job->op->kernel_h;
    window.kernel_w = job->op->kernel_w;
    window.stride_h = job->op->stride_h;
    window.stride_w = job->op->stride_w;
    return window;
}

void qd_run_bit_pool(const qd_job *job) {
    const qd_window window = window_of(job);
    const uint8_t *mask = (const uint8_t *)qd_constant_data(job->model, job->op->constants[QD_C_MASK]);
    const void *in = qd_memory(job, &job->in);
    void *out = qd_memory(job, &job->out);
    if (job->in.dtype == QD_BITS) {
        qd_bit_pool_ref(&window, (const uint8_t *)in, qd_pixel_bytes(QD_BITS, job->in.c), mask, (uint8_t *)out);
    } else if (job->in.dtype == QD_TRITS) {
        qd_trit_pool_ref(&window, (const uint8_t *)in, qd_pixel_bytes(QD_TRITS, job->in.c), mask, (uint8_t *)out);
    } else {
        qd_level_pool_ref(&window, (const int8_t *)in, job->in.c, mask, (int8_t *)out);
    }
}

void qd_run_max_pool(const qd_job *job) {
    const qd_window window = window_of(job);
    qd_max_pool_ref(&window, (const float *)qd_memory(job, &job->in), job->in.c, (float *)qd_memory(job, &job->out));
}

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

void qd_run_concat(const qd_job *job) {
    const size_t pixels = (size_t)job->out.h * job->out.w;
    const size_t out_bytes = qd_pixel_bytes(job->out.dtype, job->out.c);
    uint8_t *out = (uint8_t *)qd_memory(job, &job->out);
    int i;
    for (i = 0; i < job->op->n_inputs; i++) {
        const qd_buffer in = qd_load_buffer(job->model, job->op->inputs[i]);
        const size_t bytes = qd_pixel_bytes(in.dtype, in.c);
        qd_concat_ref((const uint8_t *)qd_memory(job, &in), pixels, bytes, out, out_bytes);
        out += bytes;
    }
}
