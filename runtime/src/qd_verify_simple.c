/* What must hold for pools and elementwise operators. */
#include "qd_verify.h"

static int same_shape(qd_subject *s) {
    return s->in.h == s->out.h && s->in.w == s->out.w && s->in.c == s->out.c ? 1 : qd_fail(s, QD_SHAPE);
}

static int one_input(qd_subject *s) { return s->op->n_inputs == 1 ? 1 : qd_fail(s, QD_INPUTS); }

int qd_check_sign(qd_subject *s) {
    if (!one_input(s) || !qd_only_fields(s, 0) || !qd_only_constants(s, 0)) return 0;
    if (s->in.dtype != QD_F32 || s->out.dtype != QD_BITS) return qd_fail(s, QD_DTYPE);
    s->work = qd_elements(&s->in);
    return same_shape(s);
}

/* Both pools: type and channels kept, margins (since 1.3) smaller than the window, so that each has a pixel inside. */
static int check_pool(qd_subject *s) {
    if (!one_input(s) || !qd_only_fields(s, s->model->minor < 3 ? QD_F_WINDOW : QD_F_WINDOW | QD_F_PADDING)) return 0;
    if (s->in.dtype != s->out.dtype) return qd_fail(s, QD_DTYPE);
    if (s->in.c != s->out.c) return qd_fail(s, QD_SHAPE);
    s->work = qd_product(qd_elements(&s->out), (uint64_t)s->op->kernel_h * s->op->kernel_w);
    return qd_window_fits(s);
}

int qd_check_bit_pool(qd_subject *s) {
    const int levels = (s->in.dtype == QD_I8 || s->in.dtype == QD_TRITS) && s->model->minor >= 2;
    if (s->in.dtype != QD_BITS && !levels) return qd_fail(s, QD_DTYPE);
    return qd_only_constants(s, 1u << QD_C_MASK) && check_pool(s) &&
           qd_constant_is(s, QD_C_MASK, QD_U8, qd_plane_bytes(s->in.c));
}

int qd_check_max_pool(qd_subject *s) {
    if (s->in.dtype != QD_F32) return qd_fail(s, QD_DTYPE);
    return qd_only_constants(s, 0) && check_pool(s);
}

int qd_check_quantize(qd_subject *s) {
    const qd_op *op = s->op;
    const int trits = s->out.dtype == QD_TRITS;
    const int32_t least = trits ? -1 : s->out.dtype == QD_I8 ? -128 : -32768, most = trits ? 1 : s->out.dtype == QD_I8 ? 127 : 32767;
    if (!one_input(s) || !qd_only_fields(s, QD_F_REALS | QD_F_RANGE) || !qd_only_constants(s, 0)) return 0;
    if (s->in.dtype != QD_F32 && s->in.dtype != QD_I32) return qd_fail(s, QD_DTYPE);
    if (s->out.dtype != QD_I8 && s->out.dtype != QD_I16 && !trits) return qd_fail(s, QD_DTYPE);
    if (op->reals[1] != 0) return qd_fail(s, QD_RESERVED);
    /* The scale as a bit pattern: positive and finite means between the least subnormal and below infinity. */
    if (op->reals[0] == 0 || op->reals[0] >= 0x7F800000u) return qd_fail(s, QD_RANGE);
    if (op->range[0] > op->range[1] || op->range[0] < least || op->range[1] > most) return qd_fail(s, QD_RANGE);
    s->work = qd_elements(&s->in);
    return same_shape(s);
}

int qd_check_sum_pool(qd_subject *s) {
    const uint64_t largest = s->in.dtype == QD_I8 ? 128 : 32768;
    if (!one_input(s) || !qd_only_fields(s, 0) || !qd_only_constants(s, 0)) return 0;
    if ((s->in.dtype != QD_I8 && s->in.dtype != QD_I16) || s->out.dtype != QD_I32) return qd_fail(s, QD_DTYPE);
    if (s->out.h != 1 || s->out.w != 1 || s->out.c != s->in.c) return qd_fail(s, QD_SHAPE);
    if ((uint64_t)s->in.h * s->in.w > INT32_MAX / largest) return qd_fail(s, QD_ACCUMULATOR);
    s->work = qd_elements(&s->in);
    return 1;
}

/* Since 1.3. A comparison computes nothing: the flag of binary32 comes from the operators before it. */
int qd_check_arg_max(qd_subject *s) {
    if (s->model->minor < 3) return qd_fail(s, QD_OPCODE);
    if (!one_input(s) || !qd_only_fields(s, 0) || !qd_only_constants(s, 0)) return 0;
    if ((s->in.dtype != QD_F32 && s->in.dtype != QD_I32) || s->out.dtype != QD_I32) return qd_fail(s, QD_DTYPE);
    if (s->out.h != s->in.h || s->out.w != s->in.w || s->out.c != 1) return qd_fail(s, QD_SHAPE);
    s->work = qd_elements(&s->in);
    return 1;
}

int qd_check_stream(qd_subject *s) {
    const unsigned slots = QD_STREAM_SLOTS;
    if (!qd_only_fields(s, QD_F_STEPS | QD_F_REALS) || !qd_only_constants(s, slots)) return 0;
    if ((s->in.dtype != QD_F32 && s->in.dtype != QD_I32) || s->out.dtype != QD_F32) return qd_fail(s, QD_DTYPE);
    s->work = qd_elements(&s->out);
    return same_shape(s) && qd_steps_fit(s);
}
