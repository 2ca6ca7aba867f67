/* What must hold for a convolution: types, shapes, weights, accumulators, scratch. */
#include "qd_verify.h"

#include "qd_read.h"

static const uint8_t *weights_of(const qd_subject *s) {
    return (const uint8_t *)qd_constant_data(s->model, s->op->constants[QD_C_WEIGHTS]);
}

/* Lane-major bits and trits: lanes past a group's outputs and bits past its channels must be 0, for kernels count them; so must signs of zeros. */
static int lanes_are_clean(const qd_subject *s, const qd_conv_shape *shape) {
    const size_t plane = shape->pixel / shape->planes;
    const uint8_t *w = weights_of(s);
    for (size_t b = 0; b < shape->blocks * s->op->groups; b++) {
        const size_t used_lanes = shape->out - b % shape->blocks * shape->lanes; /* may exceed the lanes of the block */
        for (size_t t = 0; t < shape->taps; t++) {
            for (size_t j = 0; j < plane; j++, w += shape->lanes * shape->bits) {
                const size_t used_bits = shape->in > 8 * j ? shape->in - 8 * j : 0;
                const unsigned spare = used_bits >= 8 ? 0u : 0xFFu << used_bits & 0xFFu;
                if (shape->bits == 1 && spare == 0 && used_lanes >= shape->lanes) continue; /* nothing spare here */
                for (size_t l = 0; l < shape->lanes; l++) {
                    const unsigned mask = shape->bits == 2 ? w[shape->lanes + l] : 0xFFu;
                    const unsigned free = l < used_lanes ? spare : 0xFFu;
                    if ((w[l] & free) != 0 || (w[l] & ~mask) != 0 || (shape->bits == 2 && (mask & free) != 0)) return 0;
                }
            }
        }
    }
    return 1;
}

/* Weight j, 0..15, of a pair of eight channels as it is stored: 0 if and only if all of its bits are; 0xFF: a sign of a zero. */
static unsigned stored_weight(const uint8_t *w, size_t bits, size_t j) {
    const unsigned sign = w[j / 8] >> j % 8 & 1u, mask = bits == 2 ? w[2 + j / 8] >> j % 8 & 1u : 1u;
    if (bits == 8) return w[j];
    if (bits == 4) return w[j / 2] >> 4 * (j % 2) & 15u;
    return sign > mask ? 0xFFu : bits == 2 ? mask : sign;
}

/* Pair-major: channels past a group's outputs and the element past an odd K must be 0; so must signs of zeros. */
static int pairs_are_clean(const qd_subject *s, const qd_conv_shape *shape) {
    const uint8_t *w = weights_of(s);
    for (size_t b = 0; b < shape->blocks * s->op->groups; b++) {
        const int full = (b % shape->blocks + 1) * 8 <= shape->out;
        for (uint64_t k = 0; k < shape->row; k += 2, w += 2 * shape->bits) {
            if (full && shape->bits != 2 && k + 2 <= shape->k) continue; /* nothing spare here */
            for (size_t j = 0; j < 16; j++) {
                const int spare = b % shape->blocks * 8 + j / 2 >= shape->out || k + j % 2 >= shape->k;
                const unsigned stored = spare || shape->bits == 2 ? stored_weight(w, shape->bits, j) : 0u;
                if (spare ? stored != 0 : stored == 0xFFu) return 0;
            }
        }
    }
    return 1;
}

/* Tap-major, of fewer than eight bits: what is past the last channel must be 0; so must signs of zeros. */
static int taps_are_clean(const qd_subject *s, const qd_conv_shape *shape) {
    const uint8_t *w = weights_of(s);
    for (size_t t = 0; t < shape->taps && shape->bits < 8; t++) {
        for (size_t c = 0; c < s->out.c; c += 8, w += shape->bits) {
            for (size_t i = 0; i < 8; i++) {
                const unsigned sign = w[0] >> i & 1u, mask = shape->bits == 2 ? w[1] >> i & 1u : sign;
                const unsigned stored = shape->bits == 4 ? w[i / 2] >> 4 * (i % 2) & 15u : mask;
                if ((c + i >= s->out.c && stored != 0) || sign > mask) return 0;
            }
        }
    }
    return 1;
}

static int weights_are_clean(const qd_subject *s, const qd_conv_shape *shape) {
    if (shape->depthwise) return taps_are_clean(s, shape);
    return shape->lane_major ? lanes_are_clean(s, shape) : pairs_are_clean(s, shape);
}

int qd_zero_points_fit(qd_subject *s) {
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
    const int32_t least = s->out.dtype == QD_I8 ? -128 : -1, most = s->out.dtype == QD_I8 ? 127 : 1;
    const uint32_t channels = s->out.c;
    qd_constant constant;
    qd_cursor in;
    if (s->model->minor < 2) return qd_fail(s, QD_VARIANT);
    if (s->out.dtype != QD_I8 && s->out.dtype != QD_TRITS) return qd_fail(s, QD_DTYPE);
    if (index == QD_NONE) return qd_fail(s, QD_CONSTANT);
    constant = qd_load_constant(s->model, index);
    if (constant.dtype != QD_I32 || constant.count % channels != 0) return qd_fail(s, QD_CONSTANT);
    if (low < least || low >= most || constant.count / channels > (uint32_t)(most - low)) return qd_fail(s, QD_RANGE);
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

/* The largest |x| that the input can hold, zero points subtracted; 0 if there is no convolution of it. */
static uint32_t largest_input(uint8_t dtype) {
    switch (dtype) {
    case QD_U8: return 255;
    case QD_I8: return 128;
    case QD_I16: return 32768;
    case QD_BITS:
    case QD_TRITS: return 1;
    default: return 0;
    }
}

/* Dilation, groups and the value of the margins; all that there was before 1.2 is one group without them. */
static int extent_fits(qd_subject *s) {
    const qd_op *op = s->op;
    const int32_t largest = (int32_t)largest_input(s->in.dtype), fill = op->range[0];
    if (op->dilation_h < 1 || op->dilation_w < 1 || op->groups < 1) return qd_fail(s, QD_WINDOW);
    if (s->in.c % op->groups != 0 || s->out.c % op->groups != 0) return qd_fail(s, QD_SHAPE);
    if (fill != 0 && (op->top | op->left | op->bottom | op->right) == 0) return qd_fail(s, QD_RESERVED);
    if (fill < -largest || fill > largest - (s->in.dtype == QD_I8 || s->in.dtype == QD_I16)) return qd_fail(s, QD_RANGE);
    if (s->model->minor >= 2) return 1;
    if (op->dilation_h != 1 || op->dilation_w != 1 || op->groups != 1) return qd_fail(s, QD_WINDOW);
    return fill == 0 ? 1 : qd_fail(s, QD_VARIANT);
}

/* Which weights go with which input. Bits and trits of a group are whole bytes of the map, or it has int8 weights; a depthwise
   convolution takes its channels one by one, whatever they are. */
static int weights_fit(qd_subject *s) {
    const uint8_t in = s->in.dtype, weights = s->op->weights;
    const int integers = in == QD_U8 || in == QD_I8 || in == QD_I16;
    const uint32_t groups = s->op->groups;
    const int depthwise = groups > 1 && groups == s->in.c;
    if (weights < QD_WEIGHTS_BITS || weights > QD_WEIGHTS_MASKS) return qd_fail(s, QD_VARIANT);
    if (s->model->minor < 2) return weights == (integers ? QD_WEIGHTS_INT8 : QD_WEIGHTS_BITS) ? 1 : qd_fail(s, QD_VARIANT);
    if (weights == QD_WEIGHTS_INT8) return 1;
    if (depthwise) return s->model->minor >= 3 ? 1 : qd_fail(s, QD_VARIANT);
    if (groups > 1 && !integers && s->in.c / groups % 8 != 0) return qd_fail(s, QD_VARIANT);
    return integers || weights == QD_WEIGHTS_BITS || weights == QD_WEIGHTS_TRITS ? 1 : qd_fail(s, QD_VARIANT);
}

/* No sum of inputs up to `input` leaves what its kernels hold: 16 bits for bits and trits, else 32. */
static int sums_fit(qd_subject *s, const qd_conv_shape *shape, uint64_t input) {
    const uint64_t weight = shape->bits <= 2 ? 1 : shape->bits == 4 ? 8 : 128;
    const uint64_t most = shape->lane_major ? (shape->planes == 1 && shape->bits == 1 ? 65535 : 32767) : INT32_MAX / (input * weight);
    return shape->k <= most ? 1 : qd_fail(s, QD_ACCUMULATOR);
}

int qd_check_conv(qd_subject *s) {
    const qd_op *op = s->op;
    const unsigned stream_slots = QD_STREAM_SLOTS;
    const uint32_t largest = largest_input(s->in.dtype);
    unsigned slots = 1u << QD_C_WEIGHTS;
    qd_conv_shape shape;
    uint64_t blocks;

    if (!qd_only_fields(s, QD_F_CONV | QD_F_WINDOW | QD_F_PADDING | QD_F_STEPS | QD_F_REALS | QD_F_RANGE)) return 0;
    if (op->range[1] != 0 && op->epilogue != QD_LEVELS) return qd_fail(s, QD_RESERVED);
    if (largest == 0) return qd_fail(s, QD_DTYPE);
    if (!extent_fits(s) || !weights_fit(s) || !qd_window_fits(s)) return 0;

    if (s->in.dtype == QD_U8) slots |= 1u << QD_C_ZERO_POINTS;
    if (op->epilogue == QD_THRESHOLD || op->epilogue == QD_LEVELS) slots |= 1u << QD_C_THRESHOLDS;
    if (op->epilogue == QD_STREAMED) slots |= stream_slots;
    if (!qd_only_constants(s, slots) || !epilogue_fits(s)) return 0;

    shape = qd_shape_of_conv(op, &s->in, &s->out);
    blocks = (uint64_t)shape.blocks * op->groups;
    if (!sums_fit(s, &shape, largest)) return 0;
    if (shape.lane_major && (op->left | op->right) != 0 && op->kernel_h > QD_MAX_PATCH_RUNS) return qd_fail(s, QD_LIMIT);
    if (!qd_constant_is(s, QD_C_WEIGHTS, shape.bits == 8 ? QD_I8 : QD_U8, qd_product(shape.block, shape.depthwise ? shape.taps : blocks))) return 0;
    if (!weights_are_clean(s, &shape)) return qd_fail(s, QD_SPARE);
    if (s->in.dtype == QD_U8 && !qd_zero_points_fit(s)) return 0;
    if (op->scratch_bytes != 4 * shape.patch + 16 * (uint64_t)shape.acc_stride) return qd_fail(s, QD_SCRATCH);

    s->macs = qd_product((uint64_t)s->out.h * s->out.w, shape.k * s->out.c);
    s->work = qd_product((uint64_t)s->out.h * s->out.w, qd_product(shape.row * (shape.lane_major ? 8 : 1), blocks * shape.lanes));
    return 1;
}
