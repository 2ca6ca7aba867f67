/* The operator loop and the choice of kernels. */
#include "qd_exec.h"

#include <string.h>

#include "qd_cpu.h"

qd_kernels qd_choose_kernels(qd_family family, uint32_t cpu) {
    qd_kernels chosen;
#define QD_KERNEL(kind, of_family, needs, function)                                                              \
    if (((uint32_t)(needs) & ~cpu) == 0 && ((of_family) == QD_REF || family == QD_AUTO || family == (of_family))) \
        chosen.kind = function;
    memset(&chosen, 0, sizeof chosen);
#include "qd_kernels.def"
#undef QD_KERNEL
    return chosen;
}

/* A family is available if the machine can run every row that the build has of it, and there is one. */
static int family_available(qd_family family, uint32_t cpu) {
    int rows = 0, runnable = 0;
    if (family == QD_AUTO) return 1;
#define QD_KERNEL(kind, of_family, needs, function)        \
    if (family == (of_family)) {                           \
        rows++;                                            \
        runnable += ((uint32_t)(needs) & ~cpu) == 0;       \
    }
#include "qd_kernels.def"
#undef QD_KERNEL
    return rows > 0 && rows == runnable;
}

int qd_kernels_available(qd_family family) { return family_available(family, qd_cpu_features()); }

/* Less than this is done before another thread has begun: about a microsecond. */
enum { PART_MACS = 1 << 20 };

size_t qd_parts(const qd_job *job, size_t units, uint64_t macs) {
    const uint64_t worth = macs / PART_MACS;
    size_t parts = job->options && job->options->parallel ? job->options->threads : 1;
    if (parts > units) parts = units;
    if (parts > worth) parts = (size_t)worth;
    return parts == 0 ? 1 : parts;
}

void qd_for_parts(const qd_job *job, size_t parts, void (*work)(void *context, size_t part), void *context) {
    if (parts == 1) work(context, 0);
    else job->options->parallel(job->options->pool, parts, work, context);
}

typedef struct row_parts {
    const qd_job *job;
    qd_rows_fn *rows;
    size_t parts;
} row_parts;

static void run_rows(void *context, size_t part) {
    const row_parts *all = (const row_parts *)context;
    const size_t h = all->job->out.h;
    all->rows(all->job, h * part / all->parts, h * (part + 1) / all->parts);
}

void qd_by_rows(const qd_job *job, qd_rows_fn *rows) {
    /* A value that is read, worked on and written takes as long as so many multiply-accumulates. */
    const uint64_t values = (uint64_t)job->out.h * job->out.w * job->out.c, macs_per_value = 128;
    row_parts all;
    all.job = job;
    all.rows = rows;
    all.parts = qd_parts(job, job->out.h, values * macs_per_value);
    qd_for_parts(job, all.parts, run_rows, &all);
}

static void run_one(const qd_job *job) {
    switch (job->op->opcode) {
#define QD_OP(code, name, check, run) \
    case code: run(job); break;
#include "qd_ops.def"
#undef QD_OP
    default: break; /* qd_open has refused every other opcode */
    }
}

static void observe(const qd_job *job, uint32_t i, const qd_buffer *out) {
    const qd_options *options = job->options;
    if (options && options->observer) options->observer(options->user, i, qd_memory(job, out), out->bytes);
}

static int clear_of(const qd_buffer *buffer, uint32_t offset, uint32_t bytes) {
    return (uint64_t)offset + bytes <= buffer->offset || (uint64_t)buffer->offset + buffer->bytes <= offset;
}

/*
 * Whether operator i + 1 is the SIGN of the stream that operator i writes, so that both can be written in one pass. Its output is
 * alive one operator earlier then: it must not lie where operator i still reads or works. Without one, signs is `out`.
 */
static int sign_follows(const qd_job *job, uint32_t i, qd_buffer *signs) {
    const qd_op *op = job->op;
    qd_op next;
    int k;
    *signs = job->out;
    if (i + 1 >= job->model->n_operators) return 0;
    if (op->opcode != QD_OP_STREAM && (op->opcode != QD_OP_CONV || op->epilogue != QD_STREAMED)) return 0;
    next = qd_load_op(job->model, i + 1);
    if (next.opcode != QD_OP_SIGN || next.inputs[0] != op->output) return 0;
    *signs = qd_load_buffer(job->model, next.output);
    for (k = 0; k < op->n_inputs; k++) {
        const qd_buffer in = qd_load_buffer(job->model, op->inputs[k]);
        if (!clear_of(signs, in.offset, in.bytes)) return 0;
    }
    return clear_of(signs, op->scratch, op->scratch_bytes);
}

qd_status qd_run(const qd_model *model, const qd_options *options, void *arena, size_t arena_bytes, const void *input,
                 void *output) {
    const qd_family family = options ? options->kernels : QD_AUTO;
    qd_kernels kernels;
    qd_buffer buffer, signs;
    qd_job job;
    qd_op op;
    uint32_t i;

    if (!model || !arena || !input || !output) return QD_ARGUMENT;
    if ((uintptr_t)arena % QD_ALIGNMENT != 0) return QD_MISALIGNED;
    if (arena_bytes < model->arena_bytes) return QD_ARENA;
    if (options && options->parallel && options->threads > 1) {
        if (!options->workspace) return QD_ARGUMENT;
        if ((uintptr_t)options->workspace % QD_ALIGNMENT != 0) return QD_MISALIGNED;
    }
    if (!family_available(family, model->cpu)) return QD_KERNELS;
    kernels = qd_choose_kernels(family, model->cpu);

    job.model = model;
    job.op = &op;
    job.arena = (uint8_t *)arena;
    job.kernels = &kernels;
    job.options = options;
    buffer = qd_load_buffer(model, model->input);
    memcpy(qd_memory(&job, &buffer), input, buffer.bytes);
    for (i = 0; i < model->n_operators; i++) {
        op = qd_load_op(model, i);
        job.in = qd_load_buffer(model, op.inputs[0]);
        job.out = qd_load_buffer(model, op.output);
        job.signs = sign_follows(&job, i, &signs) ? (uint8_t *)qd_memory(&job, &signs) : NULL;
        run_one(&job);
        observe(&job, i, &job.out);
        if (job.signs) observe(&job, ++i, &signs);
    }
    buffer = qd_load_buffer(model, model->output);
    memcpy(output, qd_memory(&job, &buffer), buffer.bytes);
    return QD_OK;
}
