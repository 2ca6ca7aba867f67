/* The parts of qd_open. Each returns 1 if all is well; else it has filled *error and returns 0. */
#ifndef QD_VERIFY_H
#define QD_VERIFY_H

#include "qd_program.h"

/* Notes the first reason to refuse; always returns 0, for `return qd_refuse(...)`. */
static inline int qd_refuse(qd_error *error, qd_status status, qd_place place, uint32_t index) {
    error->status = status;
    error->place = place;
    error->index = index;
    return 0;
}

/* a * b, or all ones if that is too large. */
static inline uint64_t qd_product(uint64_t a, uint64_t b) { return b != 0 && a > UINT64_MAX / b ? UINT64_MAX : a * b; }

/* Elements of a map, below 2^46. */
static inline uint64_t qd_elements(const qd_buffer *buffer) { return (uint64_t)buffer->h * buffer->w * buffer->c; }

/* Header, checksum, tables, buffers, constants: fills model. */
int qd_verify_file(qd_model *model, const uint8_t *data, size_t size, qd_error *error);

/* Operators one by one; adds up the work. Needs what qd_verify_file has checked. */
int qd_verify_operators(qd_model *model, qd_error *error);

/* Lifetimes and memory. Needs what qd_verify_operators has checked. */
int qd_verify_memory(const qd_model *model, qd_error *error);

/* One operator under examination: the records that its check needs, indices already checked. */
typedef struct qd_subject {
    const qd_model *model;
    const qd_op *op;
    qd_buffer in, second, out; /* second: only if the operator has two or more inputs */
    qd_status why;             /* set by the check that fails */
    uint64_t macs, work;       /* set by the check: steps of one run */
} qd_subject;

#define QD_OP(code, name, check, run) int check(qd_subject *s);
#include "qd_ops.def"
#undef QD_OP

/* Helpers for the checks: 1, or 0 with s->why set. */
int qd_fail(qd_subject *s, qd_status why);
int qd_constant_is(qd_subject *s, int slot, uint8_t dtype, uint64_t count);
int qd_finite(qd_subject *s, int slot);
int qd_window_fits(qd_subject *s);
int qd_steps_fit(qd_subject *s);
int qd_only_constants(qd_subject *s, unsigned slots);
int qd_zero_points_fit(qd_subject *s); /* of a u8 input */
int qd_only_fields(qd_subject *s, unsigned fields);

/* The constants that steps of a stream may use, for qd_only_constants. */
#define QD_STREAM_SLOTS \
    (1u << QD_C_SCALE | 1u << QD_C_NORM_A | 1u << QD_C_NORM_B | 1u << QD_C_BIAS | 1u << QD_C_SLOPE)

/* Fields of an operator, for qd_only_fields. */
enum {
    QD_F_CONV = 1,    /* epilogue, weights, dilation, groups, scratch */
    QD_F_WINDOW = 2,  /* kernel, stride */
    QD_F_PADDING = 4,
    QD_F_STEPS = 8,
    QD_F_REALS = 16,
    QD_F_RANGE = 32
};

#endif
