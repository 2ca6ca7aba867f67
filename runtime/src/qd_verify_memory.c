/* Who writes what when, and that nothing alive shares memory. */
#include "qd_verify.h"

/*
 * first[b]: the operator that writes buffer b, -1 for the model input. last[b]: the last one that reads it (its writer, if
 * nobody does), or one past the last for the model output. Operators number less than 2^15, so 16 bits are enough.
 */
typedef struct lifetimes {
    int16_t first[QD_MAX_BUFFERS];
    int16_t last[QD_MAX_BUFFERS];
} lifetimes;

enum { NEVER = -2, BEFORE = -1 };

static int disjoint(uint32_t a, uint32_t a_bytes, uint32_t b, uint32_t b_bytes) {
    return (uint64_t)a + a_bytes <= b || (uint64_t)b + b_bytes <= a;
}

static int find_lifetimes(const qd_model *model, lifetimes *life, qd_error *error) {
    uint32_t i;
    int k;
    for (i = 0; i < model->n_buffers; i++) life->first[i] = life->last[i] = NEVER;
    life->first[model->input] = life->last[model->input] = BEFORE;
    for (i = 0; i < model->n_operators; i++) {
        const qd_op op = qd_load_op(model, i);
        for (k = 0; k < op.n_inputs; k++) {
            if (life->first[op.inputs[k]] == NEVER) return qd_refuse(error, QD_LIFETIME, QD_IN_OPERATOR, i);
            life->last[op.inputs[k]] = (int16_t)i;
        }
        if (life->first[op.output] != NEVER) return qd_refuse(error, QD_LIFETIME, QD_IN_OPERATOR, i);
        life->first[op.output] = life->last[op.output] = (int16_t)i;
    }
    life->last[model->output] = (int16_t)model->n_operators;
    for (i = 0; i < model->n_buffers; i++) {
        if (life->first[i] == NEVER) return qd_refuse(error, QD_LIFETIME, QD_IN_BUFFER, i);
    }
    return 1;
}

/* Two lifetimes overlap if and only if one buffer is alive when the other is born: so every birth is compared with the living. */
static int check_birth(const qd_model *model, const lifetimes *life, uint32_t born, qd_error *error) {
    const qd_buffer buffer = qd_load_buffer(model, born);
    const int at = life->first[born];
    uint32_t i;
    for (i = 0; i < model->n_buffers; i++) {
        if (i != born && life->first[i] <= at && at <= life->last[i]) {
            const qd_buffer other = qd_load_buffer(model, i);
            if (!disjoint(buffer.offset, buffer.bytes, other.offset, other.bytes)) {
                return qd_refuse(error, QD_OVERLAP, QD_IN_BUFFER, born);
            }
        }
    }
    return 1;
}

static int check_scratch(const qd_model *model, const lifetimes *life, uint32_t at, qd_error *error) {
    const qd_op op = qd_load_op(model, at);
    uint32_t i;
    if (op.scratch % QD_ALIGNMENT != 0 || op.scratch > model->arena_bytes ||
        op.scratch_bytes > model->arena_bytes - op.scratch) {
        return qd_refuse(error, QD_BOUNDS, QD_IN_OPERATOR, at);
    }
    if (op.scratch_bytes == 0) return 1;
    for (i = 0; i < model->n_buffers; i++) {
        if (life->first[i] <= (int)at && (int)at <= life->last[i]) {
            const qd_buffer other = qd_load_buffer(model, i);
            if (!disjoint(op.scratch, op.scratch_bytes, other.offset, other.bytes)) {
                return qd_refuse(error, QD_OVERLAP, QD_IN_OPERATOR, at);
            }
        }
    }
    return 1;
}

int qd_verify_memory(const qd_model *model, qd_error *error) {
    lifetimes life;
    uint32_t i;
    if (!find_lifetimes(model, &life, error)) return 0;
    for (i = 0; i < model->n_buffers; i++) {
        if (!check_birth(model, &life, i, error)) return 0;
    }
    for (i = 0; i < model->n_operators; i++) {
        if (!check_scratch(model, &life, i, error)) return 0;
    }
    return 1;
}
