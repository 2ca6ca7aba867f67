/* What must hold for a convolution: types, shapes, weights, accumulators, scratch. */
#include "qd_verify.h"

#include "qd_read.h"

static const uint8_t *weights_of(const qd_subject *s) {
    return (const uint8_t *)qd_constant_data(s->model, s->op->constants[QD_C_WEIGHTS]);
}

/* Lane-major bits: lanes past O and bits past C must be 0, for kernels count them. */
static int bits_are_clean(const qd_subject *s, const qd_conv_shape *shape) {
    const uint8_t *w = weights_of(s);
    for (size_t b = 0; b < shape->blocks; b++) {
        const size_t used_lanes = s->out.c - b * shape->lanes; /* may exceed the lanes of the block */
        for (size_t t = 0; t < shape->taps; t++) {
            for (size_t j = 0; j < shape->pixel; j++) {
                const size_t used_bits = s->in.c > 8 * j ? s->in.c - 8 * j : 0;
                const unsigned spare = used_bits >= 8 ? 0u : 0xFFu << used_bits & 0xFFu;
                for (size_t l = 0; l < shape->lanes; l++, w++) {
                    if ((*w & (l < used_lanes ? spare : 0xFFu)) != 0) return 0;
                }
            }
        }
    }
    return 1;
}

/* Pair-major int8: channels past O and the element past an odd K must be 0. */
static int int8_is_clean(const qd_subject *s, const qd_conv_shape *shape) {
    const uint8_t *w = weights_of(s);
    for (size_t b = 0; b < shape->blocks; b++) {
        const size_t used_lanes = s->out.c - b * 8;
        for (uint64_t k = 0; k < shape->row; k += 2) {
            for (size_t l = 0; l < 8; l++, w += 2) {
                if (l >= used_lanes ? (w[0] | w[1]) != 0 : (k + 1 >= shape->k && w[1] != 0)) return 0;
            }
        }
    }
    return 1;
}

static int zero_points_fit(qd_subject *s) {
    qd_cursor in;
    if (!qd_constant_is(s, QD_C_ZERO_POINTS, QD_I16, s->in.c)) return 0;
    in.p = (const uint8_t *)qd_constant_data(s->model, s->op->constants[QD_C_ZERO_POINTS]);
    in.end = s->model->data + s->model->size;
    in.failed = 0;
    for (uint32_t c = 0; c < s->in.c; c++) {
        if (qd_u16(&in) > 255) return qd_fail(s, QD_ZERO_POINT);
    }
    return 1;
}

/* Thresholds in rows of a channel each, rising; the levels between them lie in the type of the output. */
static int levels_fit(qd_subject *s) {
    const uint16_t index = s->op->constants[QD_C_THRESHOLDS];
    const int32_t low = s->op->range[1];
    const uint32_t channels = s->out.c;
    qd_constant constant;
    qd_cursor in;
    if (s->model->minor < 2) return qd_fail(s, QD_VARIANT);
    if (s->out.dtype != QD_I8) return qd_fail(s, QD_DTYPE);
    if (index == QD_NONE) return qd_fail(s, QD_CONSTANT);
    constant = qd_load_constant(s->model, index);
    if (constant.dtype != QD_I32 || constant.count % channels != 0) return qd_fail(s, QD_CONSTANT);
    if (low < -128 || low > 126 || constant.count / channels > (uint32_t)(127 - low)) return qd_fail(s, QD_RANGE);
    in.p = (const uint8_t *)qd_constant_data(s->model, index);
    in.end = s->model->data + s->model->size;
    in.failed = 0;
    for (uint32_t i = 0; i + channels < constant.count; i++) {
        qd_cursor next = in;
        next.p += 4 * (size_t)channels;
        if (qd_i32(&in) > qd_i32(&next)) return qd_fail(s, QD_RANGE);
    }
    return 1;
}

static int epilogue_fits(qd_subject *s) {
    switch (s->op->epilogue) {
    case QD_ACCUMULATORS:
    case QD_THRESHOLD:
    case QD_LEVELS:
        if (s->op->steps != 0 || s->op->reals[0] != 0 || s->op->reals[1] != 0) return qd_fail(s, QD_RESERVED);
        if (s->op->n_inputs != 1) return qd_fail(s, QD_INPUTS);
        if (s->op->epilogue == QD_ACCUMULATORS) return s->out.dtype == QD_I32 ? 1 : qd_fail(s, QD_DTYPE);
        if (s->op->epilogue == QD_LEVELS) return levels_fit(s);
        if (s->out.dtype != QD_BITS) return qd_fail(s, QD_DTYPE);
        return qd_constant_is(s, QD_C_THRESHOLDS, QD_I32, s->out.c);
    case QD_STREAMED: return s->out.dtype == QD_F32 ? qd_steps_fit(s) : qd_fail(s, QD_DTYPE);
    default: return qd_fail(s, QD_VARIANT);
    }
}

int qd_check_conv(qd_subject *s) {
    const qd_op *op = s->op;
    const int is_bits = s->in.dtype == QD_BITS;
    const unsigned stream_slots = QD_STREAM_SLOTS;
    unsigned slots = 1u << QD_C_WEIGHTS;
    qd_conv_shape shape;

    if (!qd_only_fields(s, QD_F_CONV | QD_F_WINDOW | QD_F_PADDING | QD_F_STEPS | QD_F_REALS | QD_F_RANGE)) return 0;
    if (op->range[0] != 0 || (op->range[1] != 0 && op->epilogue != QD_LEVELS)) return qd_fail(s, QD_RESERVED);
    if (op->weights != (is_bits ? QD_WEIGHTS_BITS : QD_WEIGHTS_INT8)) return qd_fail(s, QD_VARIANT);
    if (!is_bits && s->in.dtype != QD_U8 && s->in.dtype != QD_I8 && s->in.dtype != QD_I16) return qd_fail(s, QD_DTYPE);
    if (op->dilation_h != 1 || op->dilation_w != 1 || op->groups != 1) return qd_fail(s, QD_WINDOW);
    if (!qd_window_fits(s, 1)) return 0;

    if (s->in.dtype == QD_U8) slots |= 1u << QD_C_ZERO_POINTS;
    if (op->epilogue == QD_THRESHOLD || op->epilogue == QD_LEVELS) slots |= 1u << QD_C_THRESHOLDS;
    if (op->epilogue == QD_STREAMED) slots |= stream_slots;
    if (!qd_only_constants(s, slots) || !epilogue_fits(s)) return 0;

    shape = qd_shape_of_conv(op, &s->in, &s->out);
    if (is_bits) {
        if (shape.k > 65535) return qd_fail(s, QD_ACCUMULATOR);
        if ((op->left | op->right) != 0 && op->kernel_h > QD_MAX_PATCH_RUNS) return qd_fail(s, QD_LIMIT);
    } else {
        const uint64_t largest = s->in.dtype == QD_U8 ? 255 : s->in.dtype == QD_I8 ? 128 : 32768;
        if (shape.k > INT32_MAX / (largest * 128)) return qd_fail(s, QD_ACCUMULATOR);
    }
    if (!qd_constant_is(s, QD_C_WEIGHTS, is_bits ? QD_U8 : QD_I8, qd_product(shape.row, shape.blocks * shape.lanes))) {
        return 0;
    }
    if (is_bits ? !bits_are_clean(s, &shape) : !int8_is_clean(s, &shape)) return qd_fail(s, QD_SPARE);
    if (s->in.dtype == QD_U8 && !zero_points_fit(s)) return 0;
    if (op->scratch_bytes != 4 * shape.patch + 16 * (uint64_t)shape.acc_stride) return qd_fail(s, QD_SCRATCH);

    s->macs = qd_product((uint64_t)s->out.h * s->out.w, shape.k * s->out.c);
    s->work = qd_product((uint64_t)s->out.h * s->out.w, shape.row * (is_bits ? 8 : 1) * shape.blocks * shape.lanes);
    return 1;
}
