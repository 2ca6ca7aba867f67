/* Constants of the file format 1.3 (docs/qdm.md). */
#ifndef QD_FORMAT_H
#define QD_FORMAT_H

#include <stdint.h>

enum {
    QD_HEADER_BYTES = 64,
    QD_BUFFER_BYTES = 24,
    QD_CONSTANT_BYTES = 16,
    QD_OPERATOR_BYTES = 96,
    QD_CRC_FROM = 16,
    QD_NONE = 0xFFFF, /* an unused buffer or constant */
    QD_FLAG_FLOAT = 1
};

enum { QD_ACCUMULATORS = 0, QD_THRESHOLD = 1, QD_STREAMED = 2, QD_LEVELS = 3 /* since 1.2 */ };
enum { QD_WEIGHTS_BITS = 1, QD_WEIGHTS_INT8 = 2, QD_WEIGHTS_TRITS = 3, QD_WEIGHTS_INT4 = 4, QD_WEIGHTS_MASKS = 5 /* from 3 on since 1.2 */ };

enum {
    QD_STEP_SCALE = 1,
    QD_STEP_NORM = 2,
    QD_STEP_BIAS = 4,
    QD_STEP_ADD = 8,
    QD_STEP_RELU = 16,
    QD_STEP_CLIP = 32,
    QD_STEP_PRELU = 64,       /* since 1.1 */
    QD_STEP_FIRST_RELU = 128, /* behind the scale; since 1.3 */
    QD_STEP_ALL_1_0 = 63,
    QD_STEP_ALL_1_1 = 127,
    QD_STEP_ALL = 255
};

/* Slots of the constants of an operator. */
enum {
    QD_C_WEIGHTS,
    QD_C_ZERO_POINTS,
    QD_C_THRESHOLDS,
    QD_C_SCALE,
    QD_C_NORM_A,
    QD_C_NORM_B,
    QD_C_BIAS,
    QD_C_MASK,
    QD_C_SLOPE = QD_C_MASK, /* of a stream, which has no mask; since 1.1 */
    QD_C_INDEX = QD_C_MASK, /* of a rearrangement; since 1.3 */
    QD_C_COUNT
};

enum {
#define QD_OP(code, name, check, run) QD_OP_##name = (code),
#include "qd_ops.def"
#undef QD_OP
    QD_OP_END
};

#endif
