/* What must hold for each operator, whatever it is, and the helpers of the checks in the other qd_verify files. */
#include "qd_verify.h"

#include "qd_read.h"

int qd_fail(qd_subject *s, qd_status why) {
    s->why = why;
    return 0;
}

int qd_constant_is(qd_subject *s, int slot, uint8_t dtype, uint64_t count) {
    const uint16_t index = s->op->constants[slot];
    qd_constant constant;
    if (index == QD_NONE) return qd_fail(s, QD_CONSTANT);
    constant = qd_load_constant(s->model, index);
    return (constant.dtype == dtype && constant.count == count) ? 1 : qd_fail(s, QD_CONSTANT);
}

/* By bit pattern, so that checking an integer-only model touches no float. */
int qd_finite(qd_subject *s, int slot) {
    const qd_constant constant = qd_load_constant(s->model, s->op->constants[slot]);
    qd_cursor in;
    in.p = s->model->data + constant.offset;
    in.end = s->model->data + s->model->size;
    in.failed = 0;
    for (uint32_t i = 0; i < constant.count; i++) {
        if ((qd_u32(&in) & 0x7F800000u) == 0x7F800000u) return qd_fail(s, QD_NOT_FINITE);
    }
    return 1;
}

/* Only the constants whose bits are set in `slots` may be present. */
int qd_only_constants(qd_subject *s, unsigned slots) {
    for (unsigned i = 0; i < QD_C_COUNT; i++) {
        if ((slots >> i & 1) == 0 && s->op->constants[i] != QD_NONE) return qd_fail(s, QD_CONSTANT);
    }
    return 1;
}

int qd_only_fields(qd_subject *s, unsigned fields) {
    const qd_op *op = s->op;
    uint32_t rest = 0;
    if ((fields & QD_F_CONV) == 0) {
        rest |= (uint32_t)op->epilogue | op->weights | op->dilation_h | op->dilation_w | op->groups | op->scratch |
                op->scratch_bytes;
    }
    if ((fields & QD_F_WINDOW) == 0) rest |= (uint32_t)op->kernel_h | op->kernel_w | op->stride_h | op->stride_w;
    if ((fields & QD_F_PADDING) == 0) rest |= (uint32_t)op->top | op->left | op->bottom | op->right;
    if ((fields & QD_F_STEPS) == 0) rest |= op->steps;
    if ((fields & QD_F_REALS) == 0) rest |= op->reals[0] | op->reals[1];
    if ((fields & QD_F_RANGE) == 0) rest |= (uint32_t)op->range[0] | (uint32_t)op->range[1];
    return rest == 0 ? 1 : qd_fail(s, QD_RESERVED);
}

/* The output's sides follow from the input's, kernel, stride, dilation (0: none) and padding. */
int qd_window_fits(qd_subject *s) {
    const qd_op *op = s->op;
    const uint32_t h = s->in.h + op->top + op->bottom, w = s->in.w + op->left + op->right;
    uint32_t reach_h, reach_w; /* from the first tap to the last; below 2^32 */
    if (op->kernel_h < 1 || op->kernel_w < 1 || op->stride_h < 1 || op->stride_w < 1) return qd_fail(s, QD_WINDOW);
    reach_h = (op->kernel_h - 1u) * (op->dilation_h > 1 ? op->dilation_h : 1u) + 1;
    reach_w = (op->kernel_w - 1u) * (op->dilation_w > 1 ? op->dilation_w : 1u) + 1;
    if (op->top >= reach_h || op->bottom >= reach_h) return qd_fail(s, QD_WINDOW);
    if (op->left >= reach_w || op->right >= reach_w) return qd_fail(s, QD_WINDOW);
    if (reach_h > h || reach_w > w) return qd_fail(s, QD_WINDOW);
    if (s->out.h != (h - reach_h) / op->stride_h + 1 || s->out.w != (w - reach_w) / op->stride_w + 1) {
        return qd_fail(s, QD_SHAPE);
    }
    return 1;
}

/* Orders finite binary32 bit patterns like the numbers they stand for (and -0 before +0, which is as good). */
static int64_t real_order(uint32_t bits) {
    const int64_t magnitude = (int64_t)(bits & 0x7FFFFFFFu);
    return bits >> 31 ? -magnitude : magnitude;
}

static int is_nan(uint32_t bits) { return (bits & 0x7FFFFFFFu) > 0x7F800000u; }

/* The constants and the second input that the steps of a stream need. */
int qd_steps_fit(qd_subject *s) {
    const qd_op *op = s->op;
    const uint32_t c = s->out.c;
    static const struct {
        uint16_t step;
        int slot, may_be_one;
    } rows[] = {{QD_STEP_SCALE, QD_C_SCALE, 1},
                {QD_STEP_NORM, QD_C_NORM_A, 0},
                {QD_STEP_NORM, QD_C_NORM_B, 0},
                {QD_STEP_BIAS, QD_C_BIAS, 1},
                {QD_STEP_PRELU, QD_C_SLOPE, 1}};
    const unsigned known = s->model->minor < 1 ? QD_STEP_ALL_1_0 : s->model->minor < 3 ? QD_STEP_ALL_1_1 : QD_STEP_ALL;
    if (op->steps & ~known) return qd_fail(s, QD_VARIANT);
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if ((op->steps & rows[i].step) == 0) {
            if (op->constants[rows[i].slot] != QD_NONE) return qd_fail(s, QD_CONSTANT);
        } else {
            if (!(rows[i].may_be_one && qd_constant_is(s, rows[i].slot, QD_F32, 1)) &&
                !qd_constant_is(s, rows[i].slot, QD_F32, c)) {
                return 0;
            }
            s->why = QD_OK; /* "one for all" may have failed before "one per channel" held */
            if (!qd_finite(s, rows[i].slot)) return 0;
        }
    }
    if (op->n_inputs != 1 + ((op->steps & QD_STEP_ADD) != 0)) return qd_fail(s, QD_INPUTS);
    if (op->steps & QD_STEP_ADD) {
        if (s->second.dtype != QD_F32) return qd_fail(s, QD_DTYPE);
        if (s->second.h != s->out.h || s->second.w != s->out.w || s->second.c != c) return qd_fail(s, QD_SHAPE);
    }
    if (op->steps & QD_STEP_CLIP) {
        if (is_nan(op->reals[0]) || is_nan(op->reals[1]) || real_order(op->reals[0]) > real_order(op->reals[1])) {
            return qd_fail(s, QD_RANGE);
        }
    } else if (op->reals[0] != 0 || op->reals[1] != 0) {
        return qd_fail(s, QD_RESERVED);
    }
    return 1;
}

/* Well-formed UTF-8 without NUL (shortest forms, no surrogates, at most U+10FFFF). */
static int is_text(const uint8_t *p, size_t n) {
    while (n > 0) {
        const uint8_t lead = p[0];
        const size_t more = lead < 0x80 ? 0 : lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
        uint32_t code;
        if (lead == 0 || (lead >= 0x80 && lead < 0xC2) || lead > 0xF4 || n <= more) return 0;
        code = more == 0 ? lead : lead & (0x3Fu >> more);
        for (size_t i = 1; i <= more; i++) {
            if ((p[i] & 0xC0) != 0x80) return 0;
            code = code << 6 | (p[i] & 0x3Fu);
        }
        if ((more == 2 && code < 0x800) || (more == 3 && (code < 0x10000 || code > 0x10FFFF))) return 0;
        if (code >= 0xD800 && code <= 0xDFFF) return 0;
        p += more + 1;
        n -= more + 1;
    }
    return 1;
}

/* Indices, name and empty fields: what every operator must have right. */
static qd_status common_problem(const qd_model *model, const qd_op *op) {
    int i;
    if (op->reserved != 0) return QD_RESERVED;
    if (op->n_inputs < 1 || op->n_inputs > 4) return QD_INPUTS;
    for (i = 0; i < 4; i++) {
        if (i < op->n_inputs && op->inputs[i] >= model->n_buffers) return QD_INDEX;
        if (i >= op->n_inputs && op->inputs[i] != QD_NONE) return QD_RESERVED;
    }
    if (op->output >= model->n_buffers) return QD_INDEX;
    for (i = 0; i < QD_C_COUNT; i++) {
        if (op->constants[i] != QD_NONE && op->constants[i] >= model->n_constants) return QD_INDEX;
    }
    if (op->name > model->names_size || op->name_length > model->names_size - op->name) return QD_NAME;
    if (!is_text(model->data + model->names_at + op->name, op->name_length)) return QD_NAME;
    return QD_OK;
}

static int check_one(qd_subject *s) {
    switch (s->op->opcode) {
#define QD_OP(code, name, check, run) \
    case code: return check(s);
#include "qd_ops.def"
#undef QD_OP
    default: return qd_fail(s, QD_OPCODE);
    }
}

/* The operators that compute in binary32; others only move it. */
static int is_float(const qd_op *op) {
    return op->opcode == QD_OP_SIGN || op->opcode == QD_OP_MAX_POOL || op->opcode == QD_OP_QUANTIZE ||
           op->opcode == QD_OP_STREAM || op->opcode >= QD_OP_FLOAT_CONV || (op->opcode == QD_OP_CONV && op->epilogue == QD_STREAMED);
}

int qd_verify_operators(qd_model *model, qd_error *error) {
    uint64_t work = 0;
    uint32_t flags = 0;
    model->macs = 0;
    for (uint32_t i = 0; i < model->n_operators; i++) {
        const qd_op op = qd_load_op(model, i);
        qd_subject s;
        s.model = model;
        s.op = &op;
        s.macs = s.work = 0;
        s.why = common_problem(model, &op);
        if (s.why != QD_OK) return qd_refuse(error, s.why, QD_IN_OPERATOR, i);
        s.in = qd_load_buffer(model, op.inputs[0]);
        s.second = qd_load_buffer(model, op.inputs[op.n_inputs > 1 ? 1 : 0]);
        s.out = qd_load_buffer(model, op.output);
        if (!check_one(&s)) return qd_refuse(error, s.why, QD_IN_OPERATOR, i);
        if (s.work > QD_MAX_WORK || work > QD_MAX_WORK - s.work) return qd_refuse(error, QD_LIMIT, QD_IN_OPERATOR, i);
        work += s.work;
        model->macs += s.macs; /* macs <= work */
        if (is_float(&op)) flags |= QD_FLAG_FLOAT;
    }
    return flags == model->flags ? 1 : qd_refuse(error, QD_FLAGS, QD_IN_FILE, 0);
}
