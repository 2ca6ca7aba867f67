/* Decodes records of the tables. Trusts table offsets: qd_verify.c has placed every table inside the file. */
#include "qd_program.h"
#include "qd_read.h"

static qd_cursor record(const qd_model *model, uint32_t table, uint32_t index, uint32_t bytes) {
    qd_cursor in;
    in.p = model->data + (size_t)table + (size_t)index * bytes;
    in.end = in.p + bytes;
    in.failed = 0;
    return in;
}

static uint32_t three_bytes(qd_cursor *in) {
    uint32_t all = qd_u8(in);
    all |= qd_u8(in);
    all |= qd_u8(in);
    return all;
}

qd_buffer qd_load_buffer(const qd_model *model, uint32_t index) {
    qd_cursor in = record(model, model->buffers_at, index, QD_BUFFER_BYTES);
    qd_buffer buffer;
    buffer.dtype = qd_u8(&in);
    buffer.reserved = three_bytes(&in);
    buffer.h = qd_u32(&in);
    buffer.w = qd_u32(&in);
    buffer.c = qd_u32(&in);
    buffer.offset = qd_u32(&in);
    buffer.bytes = qd_u32(&in);
    return buffer;
}

qd_constant qd_load_constant(const qd_model *model, uint32_t index) {
    qd_cursor in = record(model, model->constants_at, index, QD_CONSTANT_BYTES);
    qd_constant constant;
    constant.dtype = qd_u8(&in);
    constant.reserved = three_bytes(&in);
    constant.count = qd_u32(&in);
    constant.offset = qd_u32(&in);
    constant.reserved |= qd_u32(&in);
    return constant;
}

qd_op qd_load_op(const qd_model *model, uint32_t index) {
    qd_cursor in = record(model, model->operators_at, index, QD_OPERATOR_BYTES);
    qd_op op;
    int i;
    op.opcode = qd_u8(&in);
    op.epilogue = qd_u8(&in);
    op.weights = qd_u8(&in);
    op.n_inputs = qd_u8(&in);
    for (i = 0; i < 4; i++) op.inputs[i] = qd_u16(&in);
    op.output = qd_u16(&in);
    op.steps = qd_u16(&in);
    op.kernel_h = qd_u16(&in);
    op.kernel_w = qd_u16(&in);
    op.stride_h = qd_u16(&in);
    op.stride_w = qd_u16(&in);
    op.top = qd_u16(&in);
    op.left = qd_u16(&in);
    op.bottom = qd_u16(&in);
    op.right = qd_u16(&in);
    op.dilation_h = qd_u16(&in);
    op.dilation_w = qd_u16(&in);
    op.groups = qd_u32(&in);
    for (i = 0; i < QD_C_COUNT; i++) op.constants[i] = qd_u16(&in);
    op.reals[0] = qd_u32(&in);
    op.reals[1] = qd_u32(&in);
    op.range[0] = qd_i32(&in);
    op.range[1] = qd_i32(&in);
    op.scratch = qd_u32(&in);
    op.scratch_bytes = qd_u32(&in);
    op.name = qd_u32(&in);
    op.name_length = qd_u32(&in);
    op.reserved = qd_u32(&in);
    op.reserved |= qd_u32(&in);
    return op;
}

size_t qd_element_bytes(uint8_t dtype) {
    switch (dtype) {
    case QD_U8:
    case QD_I8: return 1;
    case QD_I16: return 2;
    case QD_I32:
    case QD_F32: return 4;
    default: return 0;
    }
}

size_t qd_plane_bytes(uint32_t c) { return c <= 8 ? 1 : c <= 16 ? 2 : c <= 32 ? 4 : 8 * (((size_t)c + 63) / 64); }

size_t qd_pixel_bytes(uint8_t dtype, uint32_t c) {
    if (dtype == QD_BITS) return qd_plane_bytes(c);
    return dtype == QD_TRITS ? 2 * qd_plane_bytes(c) : qd_element_bytes(dtype) * c;
}

static size_t weight_bits(uint8_t weights) {
    switch (weights) {
    case QD_WEIGHTS_BITS:
    case QD_WEIGHTS_MASKS: return 1;
    case QD_WEIGHTS_TRITS: return 2;
    case QD_WEIGHTS_INT4: return 4;
    default: return 8;
    }
}

qd_conv_shape qd_shape_of_conv(const qd_op *op, const qd_buffer *in, const qd_buffer *out) {
    qd_conv_shape shape;
    shape.taps = (size_t)op->kernel_h * op->kernel_w;
    shape.in = in->c / op->groups;
    shape.out = out->c / op->groups;
    shape.depthwise = op->groups > 1 && op->groups == in->c;
    shape.pixel = qd_pixel_bytes(in->dtype, (uint32_t)shape.in);
    shape.k = (uint64_t)shape.taps * shape.in;
    shape.planes = in->dtype == QD_BITS ? 1 : in->dtype == QD_TRITS ? 2 : 0;
    shape.bits = weight_bits(op->weights);
    shape.lane_major = shape.planes != 0 && shape.bits <= 2 && !shape.depthwise;
    if (shape.lane_major) {
        shape.lanes = shape.out <= 16 ? 16 : 32;
        shape.row = (uint64_t)shape.taps * shape.pixel / shape.planes;
        shape.patch = shape.row * shape.planes;
        shape.block = shape.row * shape.lanes * shape.bits;
    } else if (shape.depthwise) {
        shape.lanes = 1;
        shape.row = shape.k;
        shape.patch = 2 * (uint64_t)out->c;
        shape.block = shape.bits == 8 ? out->c : ((uint64_t)out->c + 7) / 8 * shape.bits;
    } else {
        shape.lanes = 8;
        shape.row = (shape.k + 1) / 2 * 2;
        shape.patch = 2 * shape.row;
        shape.block = shape.row * shape.bits; /* times eight channels, in bytes of eight bits */
    }
    shape.blocks = (shape.out + shape.lanes - 1) / shape.lanes;
    shape.patch = (shape.patch + 63) / 64 * 64;
    shape.acc_stride = ((size_t)out->c + 31) / 32 * 32 + (op->groups > 1 ? 32 : 0);
    return shape;
}
