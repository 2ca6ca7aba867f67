/* Operators that compute in binary32: none of this runs for an integer-only network. */
#include <string.h>

#include "qd_constants.h"
#include "qd_exec.h"

static float real(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

qd_stream qd_stream_of(const qd_job *job) {
    const qd_model *model = job->model;
    const qd_op *op = job->op;
    qd_stream steps;
    memset(&steps, 0, sizeof steps);
    if (op->steps & QD_STEP_SCALE) {
        steps.scale = (const float *)qd_constant_data(model, op->constants[QD_C_SCALE]);
        steps.scale_step = qd_load_constant(model, op->constants[QD_C_SCALE]).count > 1;
    }
    steps.first_relu = (op->steps & QD_STEP_FIRST_RELU) != 0;
    if (op->steps & QD_STEP_NORM) {
        steps.a = (const float *)qd_constant_data(model, op->constants[QD_C_NORM_A]);
        steps.b = (const float *)qd_constant_data(model, op->constants[QD_C_NORM_B]);
    }
    if (op->steps & QD_STEP_BIAS) {
        steps.bias = (const float *)qd_constant_data(model, op->constants[QD_C_BIAS]);
        steps.bias_step = qd_load_constant(model, op->constants[QD_C_BIAS]).count > 1;
    }
    steps.relu = (op->steps & QD_STEP_RELU) != 0;
    steps.clip = (op->steps & QD_STEP_CLIP) != 0;
    if (steps.clip) {
        steps.low = real(op->reals[0]);
        steps.high = real(op->reals[1]);
    }
    if (op->steps & QD_STEP_PRELU) {
        steps.slope = (const float *)qd_constant_data(model, op->constants[QD_C_SLOPE]);
        steps.slope_step = qd_load_constant(model, op->constants[QD_C_SLOPE]).count > 1;
    }
    return steps;
}

#if !QD_CONSTANTS_IN_PLACE
/* Channels [from, from + n) of a constant with one element for all (step 0) or one per channel; null stays null. */
static const float *piece_of(const float *constant, size_t step, size_t from, size_t n, float *space) {
    if (!constant) return NULL;
    qd_convert(constant + step * from, step ? n : 1, space);
    return space;
}
#endif

void qd_stream_pixel(const qd_job *job, const qd_stream *steps, const int32_t *acc, const float *in, const float *add,
                     size_t channels, float *out) {
#if QD_CONSTANTS_IN_PLACE
    job->kernels->stream(steps, acc, in, add, channels, out);
#else
    float space[5][QD_PIECE];
    size_t c;
    for (c = 0; c < channels; c += QD_PIECE) {
        const size_t n = channels - c < QD_PIECE ? channels - c : (size_t)QD_PIECE;
        qd_stream piece = *steps;
        piece.scale = piece_of(steps->scale, steps->scale_step, c, n, space[0]);
        piece.a = piece_of(steps->a, 1, c, n, space[1]);
        piece.b = piece_of(steps->b, 1, c, n, space[2]);
        piece.bias = piece_of(steps->bias, steps->bias_step, c, n, space[3]);
        piece.slope = piece_of(steps->slope, steps->slope_step, c, n, space[4]);
        job->kernels->stream(&piece, acc ? acc + c : NULL, in ? in + c : NULL, add ? add + c : NULL, n, out + c);
    }
#endif
}

static void stream_rows(const qd_job *job, size_t y0, size_t y1) {
    const qd_stream steps = qd_stream_of(job);
    const size_t c = job->out.c;
    const void *in = qd_memory(job, &job->in);
    const int32_t *acc = job->in.dtype == QD_I32 ? (const int32_t *)in : NULL;
    const float *values = acc ? NULL : (const float *)in;
    const float *add = qd_second_input(job);
    float *out = (float *)qd_memory(job, &job->out);
    size_t i, row;
    for (row = y0; row < y1; row++) {
        for (i = row * job->out.w * c; i < (row + 1) * job->out.w * c; i += c) {
            qd_stream_pixel(job, &steps, acc ? acc + i : NULL, acc ? NULL : values + i, add ? add + i : NULL, c, out + i);
        }
        if (job->signs) qd_write_signs(job, row * job->out.w, (row + 1) * job->out.w);
    }
}

void qd_run_stream(const qd_job *job) { qd_by_rows(job, stream_rows); }

/* n pixels. */
static void write_signs(const qd_job *job, const float *in, size_t n, size_t c, uint8_t *out) {
    const size_t pixel = qd_pixel_bytes(QD_BITS, (uint32_t)c), used = (c + 7) / 8;
    size_t i;
    if (c == 8 * pixel) { /* no spare bits: the pixels are one long row */
        job->kernels->sign(in, n * c, out);
        return;
    }
    for (i = 0; i < n; i++, in += c, out += pixel) {
        job->kernels->sign(in, c, out);
        memset(out + used, 0, pixel - used);
    }
}

static void sign_rows(const qd_job *job, size_t y0, size_t y1) {
    const size_t w = job->in.w, c = job->in.c;
    write_signs(job, (const float *)qd_memory(job, &job->in) + y0 * w * c, (y1 - y0) * w, c,
                (uint8_t *)qd_memory(job, &job->out) + y0 * w * qd_pixel_bytes(QD_BITS, job->in.c));
}

void qd_run_sign(const qd_job *job) { qd_by_rows(job, sign_rows); }

void qd_write_signs(const qd_job *job, size_t from, size_t to) {
    const size_t c = job->out.c;
    write_signs(job, (const float *)qd_memory(job, &job->out) + from * c, to - from, c,
                job->signs + from * qd_pixel_bytes(QD_BITS, job->out.c));
}

/* n pixels to ternary digits, a piece of channels at a time. */
static void quantize_trits(const qd_job *job, size_t first, size_t n_pixels, float scale, int32_t low, int32_t high) {
    const size_t channels = job->in.c, pixel = qd_pixel_bytes(QD_TRITS, job->in.c);
    const float *reals = (const float *)qd_memory(job, &job->in);
    const int32_t *integers = (const int32_t *)qd_memory(job, &job->in);
    uint8_t *out = (uint8_t *)qd_memory(job, &job->out) + first * pixel;
    for (size_t i = first; i < first + n_pixels; i++, out += pixel) {
        memset(out, 0, pixel);
        for (size_t c = 0; c < channels; c += QD_PIECE) {
            const size_t n = channels - c < QD_PIECE ? channels - c : (size_t)QD_PIECE;
            int8_t digits[QD_PIECE];
            if (job->in.dtype == QD_F32) {
                job->kernels->quantize(reals + i * channels + c, n, scale, low, high, digits);
            } else {
                qd_quantize_i32_i8_ref(integers + i * channels + c, n, scale, low, high, digits);
            }
            qd_pack_trits_ref(digits, n, out + c / 4);
        }
    }
}

static void quantize_rows(const qd_job *job, size_t y0, size_t y1) {
    const size_t first = y0 * job->in.w * job->in.c, n = (y1 - y0) * job->in.w * job->in.c;
    const float scale = real(job->op->reals[0]);
    const int32_t low = job->op->range[0], high = job->op->range[1];
    const float *reals = (const float *)qd_memory(job, &job->in) + first;
    const int32_t *integers = (const int32_t *)qd_memory(job, &job->in) + first;
    uint8_t *out = (uint8_t *)qd_memory(job, &job->out) + first * qd_element_bytes(job->out.dtype);
    if (job->out.dtype == QD_TRITS) quantize_trits(job, y0 * job->in.w, (y1 - y0) * job->in.w, scale, low, high);
    else if (job->in.dtype == QD_F32 && job->out.dtype == QD_I8) job->kernels->quantize(reals, n, scale, low, high, (int8_t *)out);
    else if (job->in.dtype == QD_F32) qd_quantize_f32_i16_ref(reals, n, scale, low, high, (int16_t *)(void *)out);
    else if (job->out.dtype == QD_I8) qd_quantize_i32_i8_ref(integers, n, scale, low, high, (int8_t *)out);
    else qd_quantize_i32_i16_ref(integers, n, scale, low, high, (int16_t *)(void *)out);
}

void qd_run_quantize(const qd_job *job) { qd_by_rows(job, quantize_rows); }
