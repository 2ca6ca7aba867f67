/* Operators that move values and compute nothing. */
#include <string.h>

#include "qd_constants.h"
#include "qd_exec.h"

static qd_element element_of(uint8_t dtype) {
    switch (dtype) {
    case QD_BITS: return QD_OF_BITS;
    case QD_TRITS: return QD_OF_TRITS;
    case QD_I8: return QD_OF_BYTES;
    case QD_I16: return QD_OF_HALVES;
    case QD_I32: return QD_OF_WORDS;
    default: return QD_OF_NONE;
    }
}

/* Bit-planes of a pixel, 0 for other types. */
static size_t planes_of(uint8_t dtype) { return dtype == QD_BITS ? 1 : dtype == QD_TRITS ? 2 : 0; }

void qd_run_concat(const qd_job *job) {
    const size_t pixels = (size_t)job->out.h * job->out.w;
    const size_t out_bytes = qd_pixel_bytes(job->out.dtype, job->out.c), planes = planes_of(job->out.dtype);
    uint8_t *out = (uint8_t *)qd_memory(job, &job->out);
    size_t first = 0;
    if (planes) memset(out, 0, pixels * out_bytes);
    for (int i = 0; i < job->op->n_inputs; i++) {
        const qd_buffer input = qd_load_buffer(job->model, job->op->inputs[i]);
        const uint8_t *in = (const uint8_t *)qd_memory(job, &input);
        const size_t bytes = qd_pixel_bytes(input.dtype, input.c);
        if (input.dtype == job->out.dtype && !planes) {
            qd_concat_ref(in, pixels, bytes, out + first * qd_element_bytes(job->out.dtype), out_bytes);
        }
        for (size_t p = 0; p < pixels && input.dtype == job->out.dtype && planes; p++) {
            qd_concat_planes_ref(in + p * bytes, input.c, planes, first, out + p * out_bytes);
        }
        for (size_t p = 0; p < pixels && input.dtype != job->out.dtype; p++) {
            qd_widen_ref(in + p * bytes, element_of(input.dtype), input.c, first, out + p * out_bytes, element_of(job->out.dtype));
        }
        first += input.c;
    }
}

/* What a rearrangement works on, in pixels and bytes. */
typedef struct rearrangement {
    const qd_job *job;
    const uint8_t *in;
    uint8_t *out;
    size_t in_bytes, out_bytes; /* of a pixel */
    size_t planes, element;
} rearrangement;

/* Channels [c, c + n) of every output pixel at place (py, px) of its block: at[i] is as the kernels take it; null: whole pixels. */
static void move_place(const rearrangement *r, size_t py, size_t px, const size_t *at, size_t c, size_t n) {
    const qd_op *op = r->job->op;
    const size_t first_y = (py + op->kernel_h - op->top % op->kernel_h) % op->kernel_h;
    const size_t first_x = (px + op->kernel_w - op->left % op->kernel_w) % op->kernel_w;
    for (size_t y = first_y; y < r->job->out.h; y += op->kernel_h) {
        const size_t in_y = (y + op->top) / op->kernel_h * op->stride_h;
        for (size_t x = first_x; x < r->job->out.w; x += op->kernel_w) {
            const size_t in_x = (x + op->left) / op->kernel_w * op->stride_w;
            const uint8_t *from = r->in + (in_y * r->job->in.w + in_x) * r->in_bytes;
            uint8_t *to = r->out + (y * r->job->out.w + x) * r->out_bytes;
            if (!at) memcpy(to, from, r->in_bytes);
            else if (r->planes) qd_rearrange_planes_ref(from, at, n, r->planes, to + c / 8 * r->planes);
            else qd_rearrange_ref(from, at, n, r->element, to + c * r->element);
        }
    }
}

/* Where entry `index` of the constant is, from the first pixel of a block of the input on: in bytes, of bits and trits in bits. */
static size_t place_of(const rearrangement *r, uint32_t index) {
    const size_t tap = index / r->job->in.c, c = index % r->job->in.c;
    const size_t pixel = (tap / r->job->op->stride_w * r->job->in.w + tap % r->job->op->stride_w) * r->in_bytes;
    return r->planes ? (pixel + c / 8 * r->planes) * 8 + c % 8 : pixel + c * r->element;
}

void qd_run_rearrange(const qd_job *job) {
    const int32_t *index = (const int32_t *)qd_constant_data(job->model, job->op->constants[QD_C_INDEX]);
    const size_t channels = job->out.c;
    rearrangement r;
    r.job = job;
    r.in = (const uint8_t *)qd_memory(job, &job->in);
    r.out = (uint8_t *)qd_memory(job, &job->out);
    r.in_bytes = qd_pixel_bytes(job->in.dtype, job->in.c);
    r.out_bytes = qd_pixel_bytes(job->out.dtype, job->out.c);
    r.planes = planes_of(job->in.dtype);
    r.element = qd_element_bytes(job->in.dtype);
    if (r.planes) memset(r.out, 0, job->out.bytes); /* spare bytes */
    for (size_t py = 0; py < job->op->kernel_h; py++) {
        for (size_t px = 0; px < job->op->kernel_w; px++) {
            if (!index) move_place(&r, py, px, NULL, 0, channels);
            for (size_t c = 0; c < channels && index; c += QD_PIECE) {
                const size_t n = channels - c < QD_PIECE ? channels - c : (size_t)QD_PIECE;
                size_t at[QD_PIECE];
                for (size_t i = 0; i < n; i++) {
                    at[i] = place_of(&r, qd_constant_u32(index, (py * job->op->kernel_w + px) * channels + c + i));
                }
                move_place(&r, py, px, at, c, n);
            }
        }
    }
}

void qd_run_interleave(const qd_job *job) {
    const size_t bytes = qd_pixel_bytes(job->out.dtype, job->out.c);
    uint8_t *out = (uint8_t *)qd_memory(job, &job->out);
    for (size_t i = 0; i < job->op->n_inputs; i++) {
        const qd_buffer input = qd_load_buffer(job->model, job->op->inputs[i]);
        const uint8_t *in = (const uint8_t *)qd_memory(job, &input);
        for (size_t y = i / job->op->kernel_w; y < job->out.h; y += job->op->kernel_h) {
            for (size_t x = i % job->op->kernel_w; x < job->out.w; x += job->op->kernel_w, in += bytes) {
                memcpy(out + (y * job->out.w + x) * bytes, in, bytes);
            }
        }
    }
}
