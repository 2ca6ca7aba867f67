/*
 * qd: runs packed quantised networks (.qdm). This header is the manual.
 *
 *     qd_model model;
 *     qd_status status = qd_open(&model, file, file_size, NULL);      file: 64-byte aligned
 *     if (status != QD_OK) ... qd_status_str(status)
 *     arena = qd_arena_bytes(&model) bytes, 64-byte aligned
 *     status = qd_run(&model, NULL, arena, arena_bytes, input, output);
 *
 * The library never allocates, never prints, keeps no state of its own and calls nothing but memcpy, memset and memcmp.
 * A model is checked once, in full, by qd_open; after that nothing a file holds can make qd_run read or write outside
 * the file, the arena, `input` and `output`, and its work is bounded by QD_MAX_WORK.
 * Any number of threads may run one qd_model at the same time, each with its own arena.
 * Results do not depend on the kernels chosen: every family gives the same bits.
 */
#ifndef QD_H
#define QD_H

#include <stddef.h>
#include <stdint.h>

#include "qd_config.h"

#ifdef __cplusplus
extern "C" {
#endif

#define QD_RELEASE "1.0.0"
#define QD_FORMAT_MAJOR 1
#define QD_FORMAT_MINOR 3

/* The alignment, in bytes, of the file in memory and of the arena. */
#define QD_ALIGNMENT 64

/* One row per status: name, text. The enum and qd_status_str are both made from it. */
#define QD_STATUS_TABLE(X)                                                                     \
    X(OK, "ok")                                                                                \
    X(ARGUMENT, "a required pointer is null")                                                  \
    X(MISALIGNED, "the file or the arena is not 64-byte aligned")                               \
    X(TRUNCATED, "too short for a header")                                                     \
    X(MAGIC, "not a .qdm file")                                                                \
    X(VERSION, "written in a newer or other format version")                                   \
    X(SIZE, "the size differs from the one in the header")                                     \
    X(CRC, "the checksum is wrong: the file is damaged")                                       \
    X(FLAGS, "the flags do not agree with the operators")                                      \
    X(COUNT, "a table is empty or too long")                                                   \
    X(PLACEMENT, "a table or a constant is not where the format puts it")                      \
    X(RESERVED, "a field that must be empty is not")                                           \
    X(PADDING, "padding bytes are not zero")                                                   \
    X(DTYPE, "unknown or unsuitable data type")                                                \
    X(DIMENSIONS, "a dimension is out of range")                                               \
    X(BYTES, "the byte count does not follow from the shape")                                  \
    X(BOUNDS, "misaligned or outside the arena")                                               \
    X(OVERLAP, "shares memory with another buffer that is alive")                              \
    X(LIFETIME, "not written exactly once, or read before it is written")                      \
    X(OPCODE, "unknown operator")                                                              \
    X(VARIANT, "unknown epilogue, kind of weights or stream step")                             \
    X(INPUTS, "wrong number of inputs")                                                        \
    X(INDEX, "an index is outside its table")                                                  \
    X(SHAPE, "the shapes of the inputs and of the output do not fit")                          \
    X(WINDOW, "kernel, stride, padding, dilation or groups out of range")                      \
    X(CONSTANT, "a constant is missing, superfluous, of the wrong type or of the wrong length") \
    X(SPARE, "spare weight bits, lanes or elements are not zero")                              \
    X(ZERO_POINT, "a zero point is outside [0, 255]")                                          \
    X(RANGE, "the scale or the range is not valid")                                            \
    X(NOT_FINITE, "a constant holds an infinity or a NaN")                                     \
    X(ACCUMULATOR, "the accumulator could overflow")                                           \
    X(SCRATCH, "the scratch size does not follow from the operator")                           \
    X(NAME, "a name is outside the name bytes or is not UTF-8 text")                           \
    X(LIMIT, "beyond a limit of this build (qd_config.h)")                                     \
    X(ARENA, "the arena is smaller than qd_arena_bytes")                                       \
    X(KERNELS, "this machine or this build does not have these kernels")

typedef enum qd_status {
#define QD_STATUS_ENUM(name, text) QD_##name,
    QD_STATUS_TABLE(QD_STATUS_ENUM)
#undef QD_STATUS_ENUM
    QD_STATUS_COUNT
} qd_status;

/* A constant English sentence part for any value of status, known or not. */
const char *qd_status_str(qd_status status);

/* Where qd_open found its reason to refuse. */
typedef enum qd_place { QD_IN_FILE, QD_IN_BUFFER, QD_IN_CONSTANT, QD_IN_OPERATOR } qd_place;

typedef struct qd_error {
    qd_status status;
    qd_place place;
    uint32_t index; /* of the buffer, constant or operator; 0 for the file */
} qd_error;

typedef enum qd_dtype { QD_U8 = 1, QD_I8 = 2, QD_I16 = 3, QD_I32 = 4, QD_F32 = 5, QD_BITS = 6, QD_TRITS = 7 } qd_dtype;

/* Kernel families. AUTO takes for each operator the fastest one that the machine has. */
typedef enum qd_family { QD_AUTO, QD_REF, QD_AVX2, QD_NEON, QD_AVX512, QD_ARM32, QD_DOTPROD, QD_FAMILY_COUNT } qd_family;

/* An opened model: a view of the file, which must stay where it is, unchanged. Copy it freely; there is nothing to close. */
typedef struct qd_model {
    const uint8_t *data;
    size_t size;
    uint32_t n_buffers, n_operators, n_constants;
    uint32_t buffers_at, operators_at, constants_at, names_at, names_size;
    uint32_t arena_bytes;
    uint32_t flags;
    uint32_t cpu; /* features found by qd_open */
    uint16_t input, output;
    uint16_t minor; /* of the file's format version */
    uint64_t macs;
} qd_model;

/* Maps are NHWC with batch 1: element (y, x, c) of a non-bit type is at index (y * w + x) * c_count + c. */
typedef struct qd_tensor {
    qd_dtype dtype;
    uint32_t h, w, c;
    size_t bytes;
} qd_tensor;

typedef struct qd_op_description {
    const char *name; /* UTF-8 inside the file, not terminated */
    size_t name_length;
    const char *opcode; /* "CONV", "SIGN", ... */
    uint64_t macs;      /* multiply-accumulates of a CONV with every tap counted; 0 for others */
    qd_tensor input;    /* the first */
    qd_tensor output;
    uint32_t weight_planes; /* of a CONV by bits 1, by trits 2; else 0 */
} qd_op_description;

/*
 * Checks the whole file and fills *model.
 * data: 64-byte aligned, `size` bytes, readable and unchanged for as long as the model is used. detail: may be NULL.
 * Returns QD_OK, or the first reason to refuse; *detail then says where, and *model must not be used.
 * Any bytes are safe to pass. Time: linear in the file, plus buffers times (buffers + operators).
 * Stack: about 4 bytes for each of QD_MAX_BUFFERS and less than 2 kB besides.
 */
qd_status qd_open(qd_model *model, const void *data, size_t size, qd_error *detail);

/* All below: model was filled by a qd_open that returned QD_OK. */
size_t qd_arena_bytes(const qd_model *model); /* a multiple of 64 */
qd_tensor qd_input(const qd_model *model);
qd_tensor qd_output(const qd_model *model);
uint64_t qd_macs(const qd_model *model);
uint32_t qd_op_count(const qd_model *model);

/* index < qd_op_count(model). The name lies inside the file. */
qd_op_description qd_op_info(const qd_model *model, uint32_t index);

/* 1 if this build and this machine have the family (AUTO and REF: always), else 0. */
int qd_kernels_available(qd_family family);

/* Called after each operator with its output, which stays valid until the function returns. */
typedef void (*qd_observer)(void *user, uint32_t op, const void *output, size_t bytes);

/*
 * Calls work(context, part) for every part in [0, parts), on any threads and in any order, and returns once all calls have
 * returned. Parts write different memory; what the caller wrote before must be seen by all, and what they wrote by the caller.
 */
typedef void (*qd_parallel)(void *pool, size_t parts, void (*work)(void *context, size_t part), void *context);

/* Zero the rest of it: qd_options options = {0}. */
typedef struct qd_options {
    qd_family kernels;
    qd_observer observer; /* may be NULL */
    void *user;           /* handed to the observer */
    qd_parallel parallel; /* NULL: one thread, and the rest is ignored */
    void *pool;           /* handed to parallel */
    uint32_t threads;     /* parts that large operators are split into, at most; 0 counts as 1 */
    void *workspace;      /* (threads - 1) * qd_workspace_bytes(model) bytes, 64-byte aligned; may be NULL for one thread */
} qd_options;

/* Bytes that each thread after the first needs of its own while qd_run runs; a multiple of 64. */
size_t qd_workspace_bytes(const qd_model *model);

/*
 * Runs the network once.
 * options: NULL means AUTO and no observer. arena: 64-byte aligned, at least qd_arena_bytes(model) bytes, any contents, written over.
 * input: qd_input(model).bytes bytes, no alignment needed; spare bits of a bit map are 0, and signs of trits where their mask is.
 * output: qd_output(model).bytes bytes are written, no alignment needed. Neither may overlap the arena.
 * Returns QD_OK, QD_ARGUMENT, QD_MISALIGNED, QD_ARENA or QD_KERNELS; nothing is written unless QD_OK.
 * Deterministic: the same input gives the same bytes, with every family and any number of threads.
 * Stack: about 2 kB with the portable kernels; up to 48 kB (AVX2: 96), on every thread, where a kernel keeps patches there (AVX2, AVX-512, NEON).
 */
qd_status qd_run(const qd_model *model, const qd_options *options, void *arena, size_t arena_bytes, const void *input,
                 void *output);

#ifdef __cplusplus
}
#endif

#endif
