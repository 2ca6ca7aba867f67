/*
 * Float islands: sums of binary32 numbers, which another order would round otherwise. Each output element is summed in the one
 * order of docs/exactness.md, whatever the machine; only elements that do not meet are worked on side by side.
 */
#include <string.h>

#include "qd_constants.h"
#include "qd_exec.h"

/* Element c of a pixel as binary32, exactly (an i32 up to 2^24). zero: of u8. */
static float element(uint8_t dtype, const uint8_t *pixel, size_t c, const int16_t *zero) {
    int16_t half;
    int32_t word;
    float real;
    switch (dtype) {
    case QD_U8: return (float)(pixel[c] - qd_constant_i16(zero, c));
    case QD_I8: return (float)(int8_t)pixel[c];
    case QD_I16: memcpy(&half, pixel + 2 * c, sizeof half); return (float)half;
    case QD_I32: memcpy(&word, pixel + 4 * c, sizeof word); return (float)word;
    case QD_BITS: return (pixel[c / 8] >> c % 8 & 1) != 0 ? -1.0f : 1.0f;
    case QD_TRITS:
        if ((pixel[c / 8 * 2 + 1] >> c % 8 & 1) == 0) return 0.0f;
        return (pixel[c / 8 * 2] >> c % 8 & 1) != 0 ? -1.0f : 1.0f;
    default: memcpy(&real, pixel + 4 * c, sizeof real); return real;
    }
}

static void add_product(const float *weights, float x, size_t n, float *acc) {
#if QD_CONSTANTS_IN_PLACE
    qd_island_add_product_ref(weights, x, n, acc);
#else
    float space[QD_PIECE];
    for (size_t i = 0; i < n; i += QD_PIECE) {
        const size_t piece = n - i < QD_PIECE ? n - i : QD_PIECE;
        qd_convert(weights + i, piece, space);
        qd_island_add_product_ref(space, x, piece, acc + i);
    }
#endif
}

/* The input row (or column) under tap t of output o; the size or more where it lies outside. */
static size_t under(size_t o, size_t stride, size_t t, size_t dilation, size_t padding) {
    return o * stride + t * (dilation > 1 ? dilation : 1) - padding; /* wraps below 0 */
}

void qd_run_float_conv(const qd_job *job) {
    const qd_op *op = job->op;
    const qd_buffer *in = &job->in, *out = &job->out;
    const float *weights = (const float *)qd_constant_data(job->model, op->constants[QD_C_WEIGHTS]);
    const int16_t *zero = (const int16_t *)qd_constant_data(job->model, op->constants[QD_C_ZERO_POINTS]);
    const size_t pixel = qd_pixel_bytes(in->dtype, in->c), channels = in->c / op->groups, outputs = out->c / op->groups;
    const uint8_t *map = (const uint8_t *)qd_memory(job, in);
    float *acc = (float *)qd_memory(job, out);
    for (size_t oy = 0; oy < out->h; oy++) {
        for (size_t ox = 0; ox < out->w; ox++, acc += out->c) {
            const float *w = weights;
            for (size_t o = 0; o < out->c; o++) acc[o] = 0.0f;
            for (size_t c = 0; c < channels; c++) {
                for (size_t i = 0; i < op->kernel_h; i++) {
                    const size_t y = under(oy, op->stride_h, i, op->dilation_h, op->top);
                    for (size_t j = 0; j < op->kernel_w; j++, w += out->c) {
                        const size_t x = under(ox, op->stride_w, j, op->dilation_w, op->left);
                        if (y >= in->h || x >= in->w) continue;
                        for (size_t g = 0; g < op->groups; g++) {
                            const float value = element(in->dtype, map + (y * in->w + x) * pixel, g * channels + c, zero);
                            add_product(w + g * outputs, value, outputs, acc + g * outputs);
                        }
                    }
                }
            }
        }
    }
}

void qd_run_float_pool(const qd_job *job) {
    const qd_op *op = job->op;
    const qd_buffer *in = &job->in, *out = &job->out;
    const float *map = (const float *)qd_memory(job, in);
    float *acc = (float *)qd_memory(job, out);
    for (size_t oy = 0; oy < out->h; oy++) {
        for (size_t ox = 0; ox < out->w; ox++, acc += out->c) {
            for (size_t c = 0; c < out->c; c++) acc[c] = 0.0f;
            for (size_t i = 0; i < op->kernel_h; i++) {
                const size_t y = under(oy, op->stride_h, i, 1, op->top);
                for (size_t j = 0; j < op->kernel_w; j++) {
                    const size_t x = under(ox, op->stride_w, j, 1, op->left);
                    if (y < in->h && x < in->w) qd_island_add_ref(map + (y * in->w + x) * in->c, in->c, acc);
                }
            }
        }
    }
}
