/* What must hold for operators that move values: concatenation, rearrangement, interleaving. */
#include "qd_verify.h"

#include "qd_read.h"

/* The place of an integer type among those of which each holds the values of those before it; 0 for others. */
static int width_of(uint8_t dtype) {
    switch (dtype) {
    case QD_BITS: return 1;
    case QD_TRITS: return 2;
    case QD_I8: return 3;
    case QD_I16: return 4;
    case QD_I32: return 5;
    default: return 0;
    }
}

/* Since 1.3 a concatenation packs bits and trits, and takes narrower integers than it gives; one input is only widened. */
int qd_check_concat(qd_subject *s) {
    const int old = s->model->minor < 3, out = width_of(s->out.dtype);
    uint64_t channels = 0;
    if (!qd_only_fields(s, 0) || !qd_only_constants(s, 0)) return 0;
    if (old && s->op->n_inputs < 2) return qd_fail(s, QD_INPUTS);
    if (old && (s->out.dtype == QD_BITS || s->out.dtype == QD_TRITS)) return qd_fail(s, QD_DTYPE);
    for (int i = 0; i < s->op->n_inputs; i++) {
        const qd_buffer in = qd_load_buffer(s->model, s->op->inputs[i]);
        const int from = width_of(in.dtype);
        if (in.dtype != s->out.dtype && (old || from == 0 || from > out)) return qd_fail(s, QD_DTYPE);
        if (in.h != s->out.h || in.w != s->out.w) return qd_fail(s, QD_SHAPE);
        channels += in.c;
    }
    s->work = qd_elements(&s->out);
    return channels == s->out.c ? 1 : qd_fail(s, QD_SHAPE);
}

/* Every entry of the index lies in [0, limit). */
static int index_fits(qd_subject *s, uint64_t limit) {
    const qd_constant constant = qd_load_constant(s->model, s->op->constants[QD_C_INDEX]);
    qd_cursor in;
    in.p = s->model->data + constant.offset;
    in.end = s->model->data + s->model->size;
    in.failed = 0;
    for (uint32_t i = 0; i < constant.count; i++) {
        if (qd_u32(&in) >= limit) return qd_fail(s, QD_RANGE);
    }
    return 1;
}

int qd_check_rearrange(qd_subject *s) {
    const qd_op *op = s->op;
    const uint64_t block = (uint64_t)op->kernel_h * op->kernel_w, taps = (uint64_t)op->stride_h * op->stride_w;
    if (s->model->minor < 3) return qd_fail(s, QD_OPCODE);
    if (op->n_inputs != 1) return qd_fail(s, QD_INPUTS);
    if (!qd_only_fields(s, QD_F_WINDOW | QD_F_PADDING) || !qd_only_constants(s, 1u << QD_C_INDEX)) return 0;
    if (op->bottom != 0 || op->right != 0) return qd_fail(s, QD_RESERVED);
    if (s->in.dtype != s->out.dtype) return qd_fail(s, QD_DTYPE);
    if (block == 0 || taps == 0) return qd_fail(s, QD_WINDOW);
    /* Whole blocks of the input only. */
    if ((uint64_t)op->top + s->out.h > (uint64_t)(s->in.h / op->stride_h) * op->kernel_h) return qd_fail(s, QD_SHAPE);
    if ((uint64_t)op->left + s->out.w > (uint64_t)(s->in.w / op->stride_w) * op->kernel_w) return qd_fail(s, QD_SHAPE);
    s->work = qd_elements(&s->out);
    if (op->constants[QD_C_INDEX] == QD_NONE) return taps == 1 && s->in.c == s->out.c ? 1 : qd_fail(s, QD_CONSTANT);
    return qd_constant_is(s, QD_C_INDEX, QD_I32, block * s->out.c) && index_fits(s, taps * s->in.c);
}

int qd_check_interleave(qd_subject *s) {
    const qd_op *op = s->op;
    if (s->model->minor < 3) return qd_fail(s, QD_OPCODE);
    if (!qd_only_fields(s, QD_F_WINDOW) || !qd_only_constants(s, 0)) return 0;
    if (op->stride_h != 0 || op->stride_w != 0) return qd_fail(s, QD_RESERVED);
    if ((uint32_t)op->kernel_h * op->kernel_w != op->n_inputs) return qd_fail(s, QD_INPUTS);
    for (uint32_t i = 0; i < op->n_inputs; i++) {
        const qd_buffer in = qd_load_buffer(s->model, op->inputs[i]);
        const uint32_t y = i / op->kernel_w, x = i % op->kernel_w; /* of its first pixel */
        if (in.dtype != s->out.dtype) return qd_fail(s, QD_DTYPE);
        if (in.c != s->out.c || in.h != (s->out.h - y + op->kernel_h - 1) / op->kernel_h ||
            in.w != (s->out.w - x + op->kernel_w - 1) / op->kernel_w) {
            return qd_fail(s, QD_SHAPE);
        }
    }
    s->work = qd_elements(&s->out);
    return 1;
}
