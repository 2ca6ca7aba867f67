/* Questions about an opened model. */
#include "qd_program.h"

const char *qd_status_str(qd_status status) {
    switch (status) {
#define QD_STATUS_TEXT(name, text) \
    case QD_##name: return text;
        QD_STATUS_TABLE(QD_STATUS_TEXT)
#undef QD_STATUS_TEXT
    case QD_STATUS_COUNT: break;
    }
    return "unknown status";
}

static qd_tensor tensor(const qd_model *model, uint32_t index) {
    const qd_buffer buffer = qd_load_buffer(model, index);
    qd_tensor result;
    result.dtype = (qd_dtype)buffer.dtype;
    result.h = buffer.h;
    result.w = buffer.w;
    result.c = buffer.c;
    result.bytes = buffer.bytes;
    return result;
}

size_t qd_arena_bytes(const qd_model *model) { return model->arena_bytes; }
qd_tensor qd_input(const qd_model *model) { return tensor(model, model->input); }
qd_tensor qd_output(const qd_model *model) { return tensor(model, model->output); }
size_t qd_workspace_bytes(const qd_model *model) {
    size_t most = 0;
    for (uint32_t i = 0; i < model->n_operators; i++) {
        const size_t bytes = qd_load_op(model, i).scratch_bytes;
        if (bytes > most) most = bytes;
    }
    return (most + QD_ALIGNMENT - 1) / QD_ALIGNMENT * QD_ALIGNMENT;
}

uint64_t qd_macs(const qd_model *model) { return model->macs; }
uint32_t qd_op_count(const qd_model *model) { return model->n_operators; }

static const char *opcode_name(uint8_t opcode) {
    switch (opcode) {
#define QD_OP(code, name, check, run) \
    case code: return #name;
#include "qd_ops.def"
#undef QD_OP
    default: return "?";
    }
}

qd_op_description qd_op_info(const qd_model *model, uint32_t index) {
    const qd_op op = qd_load_op(model, index);
    qd_op_description info;
    info.name = (const char *)(model->data + model->names_at + op.name);
    info.name_length = op.name_length;
    info.opcode = opcode_name(op.opcode);
    info.input = tensor(model, op.inputs[0]);
    info.output = tensor(model, op.output);
    info.macs = 0;
    info.weight_planes = (uint32_t)(op.weights == QD_WEIGHTS_BITS) + 2u * (uint32_t)(op.weights == QD_WEIGHTS_TRITS);
    if (op.opcode == QD_OP_CONV || op.opcode == QD_OP_FLOAT_CONV) {
        info.macs = (uint64_t)info.output.h * info.output.w * info.output.c * op.kernel_h * op.kernel_w * (info.input.c / op.groups);
    }
    return info;
}
