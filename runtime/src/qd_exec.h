/* What the functions that run one operator share. */
#ifndef QD_EXEC_H
#define QD_EXEC_H

#include "kernels/qd_kernel.h"
#include "qd_program.h"

/* One kernel of each kind. */
typedef struct qd_kernels {
    qd_map_kernel map;       /* or null */
    qd_trit_map_kernel trit_map; /* or null */
    qd_planes_kernel planes; /* or null */
    qd_pixels_kernel pixels; /* or null */
    qd_bytes_kernel bytes;   /* or null */
    qd_bits_kernel bits;
    qd_int8_kernel int8;
    qd_trits_kernel trits;
    qd_small_kernel small;
    qd_depthwise_kernel depthwise;
    qd_pack_kernel pack;
    qd_levels_kernel levels;
    qd_sign_kernel sign;
    qd_stream_kernel stream;
    qd_quantize_kernel quantize;
} qd_kernels;

/* The reference kernels, replaced by those of `family` (AUTO: of any) that `cpu` can run. */
qd_kernels qd_choose_kernels(qd_family family, uint32_t cpu);

typedef struct qd_job {
    const qd_model *model;
    const qd_op *op;
    uint8_t *arena;
    const qd_kernels *kernels;
    const qd_options *options; /* null: no threads */
    qd_buffer in;  /* the first input */
    qd_buffer out;
    uint8_t *signs; /* written beside `out`: the output of the next operator, if that is the SIGN of `out`; else null */
} qd_job;

/* Into how many parts to split `units` equal pieces of work that come to `macs` altogether; 1 if it is not worth it. */
size_t qd_parts(const qd_job *job, size_t units, uint64_t macs);

/* Calls work for every part: one after the other, or by the caller's threads. */
void qd_for_parts(const qd_job *job, size_t parts, void (*work)(void *context, size_t part), void *context);

/* Output rows [y0, y1) of an operator. */
typedef void qd_rows_fn(const qd_job *job, size_t y0, size_t y1);

/* All output rows of an operator that is not a convolution, in parts. */
void qd_by_rows(const qd_job *job, qd_rows_fn *rows);

/* The memory of a buffer; the verifier has placed it inside the arena at a multiple of 64. */
static inline void *qd_memory(const qd_job *job, const qd_buffer *buffer) { return job->arena + buffer->offset; }

/* The second input, or null if the operator has one only. */
static inline const float *qd_second_input(const qd_job *job) {
    qd_buffer second;
    if (job->op->n_inputs < 2) return NULL;
    second = qd_load_buffer(job->model, job->op->inputs[1]);
    return (const float *)qd_memory(job, &second);
}

/* Output pixels [from, to), which are written, to `signs`. In qd_stream.c. */
void qd_write_signs(const qd_job *job, size_t from, size_t to);

/* In qd_stream.c, so that integer operators run no float code. The constants are as the file has them. */
qd_stream qd_stream_of(const qd_job *job);

/* One pixel through the stream kernel; arguments as the kernel's. */
void qd_stream_pixel(const qd_job *job, const qd_stream *steps, const int32_t *acc, const float *in, const float *add,
                     size_t channels, float *out);

/* Thresholds of a convolution whose activation has more than two levels. In qd_levels.c. */
typedef struct qd_level_table {
    const int32_t *thresholds; /* [count][channels], as the file has them */
    size_t count;
    int32_t low;
} qd_level_table;

qd_level_table qd_levels_of(const qd_job *job);

/* One output pixel. */
void qd_levels_pixel(const qd_job *job, const qd_level_table *table, const int32_t *acc, uint8_t *out);

#define QD_OP(code, name, check, run) void run(const qd_job *job);
#include "qd_ops.def"
#undef QD_OP

#endif
