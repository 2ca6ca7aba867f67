/* What must hold for the operators of float islands. */
#include "qd_verify.h"

/* A real operator of format 1.3 on one input, with nothing of a convolution of integers. */
static int is_island(qd_subject *s, unsigned fields) {
    const qd_op *op = s->op;
    if (s->model->minor < 3) return qd_fail(s, QD_OPCODE);
    if (op->n_inputs != 1) return qd_fail(s, QD_INPUTS);
    if (s->out.dtype != QD_F32) return qd_fail(s, QD_DTYPE);
    if ((op->epilogue | op->weights) != 0 || (op->scratch | op->scratch_bytes) != 0) return qd_fail(s, QD_RESERVED);
    return qd_only_fields(s, fields);
}

int qd_check_float_conv(qd_subject *s) {
    const qd_op *op = s->op;
    const uint64_t taps = (uint64_t)op->kernel_h * op->kernel_w;
    uint64_t k;
    if (!is_island(s, QD_F_CONV | QD_F_WINDOW | QD_F_PADDING)) return 0;
    if (op->dilation_h < 1 || op->dilation_w < 1 || op->groups < 1) return qd_fail(s, QD_WINDOW);
    if (s->in.c % op->groups != 0 || s->out.c % op->groups != 0) return qd_fail(s, QD_SHAPE);
    if (!qd_window_fits(s)) return 0;
    if (!qd_only_constants(s, 1u << QD_C_WEIGHTS | (s->in.dtype == QD_U8 ? 1u << QD_C_ZERO_POINTS : 0u))) return 0;
    if (s->in.dtype == QD_U8 && !qd_zero_points_fit(s)) return 0;
    k = taps * (s->in.c / op->groups);
    if (!qd_constant_is(s, QD_C_WEIGHTS, QD_F32, qd_product(k, s->out.c)) || !qd_finite(s, QD_C_WEIGHTS)) return 0;
    s->macs = s->work = qd_product((uint64_t)s->out.h * s->out.w, qd_product(k, s->out.c));
    return 1;
}

int qd_check_float_pool(qd_subject *s) {
    if (!is_island(s, QD_F_WINDOW | QD_F_PADDING) || !qd_only_constants(s, 0)) return 0;
    if (s->in.dtype != QD_F32) return qd_fail(s, QD_DTYPE);
    if (s->in.c != s->out.c) return qd_fail(s, QD_SHAPE);
    s->work = qd_product((uint64_t)s->out.h * s->out.w * s->out.c, (uint64_t)s->op->kernel_h * s->op->kernel_w);
    return qd_window_fits(s);
}
