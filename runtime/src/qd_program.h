/* Decoded records and the small questions that everyone asks of them. */
#ifndef QD_PROGRAM_H
#define QD_PROGRAM_H

#include "qd/qd.h"
#include "qd_format.h"

typedef struct qd_buffer {
    uint8_t dtype;
    uint32_t h, w, c;
    uint32_t offset, bytes;
    uint32_t reserved; /* the fields that must be 0, or-ed together */
} qd_buffer;

typedef struct qd_constant {
    uint8_t dtype;
    uint32_t count;
    uint32_t offset;
    uint32_t reserved;
} qd_constant;

typedef struct qd_op {
    uint8_t opcode, epilogue, weights, n_inputs;
    uint16_t inputs[4];
    uint16_t output;
    uint16_t steps;
    uint16_t kernel_h, kernel_w, stride_h, stride_w;
    uint16_t top, left, bottom, right;
    uint16_t dilation_h, dilation_w;
    uint32_t groups;
    uint16_t constants[QD_C_COUNT];
    uint32_t reals[2]; /* bit patterns of binary32: only operators that compute in binary32 look at them as numbers */
    int32_t range[2];
    uint32_t scratch, scratch_bytes;
    uint32_t name, name_length;
    uint32_t reserved;
} qd_op;

/* index is inside its table. */
qd_buffer qd_load_buffer(const qd_model *model, uint32_t index);
qd_constant qd_load_constant(const qd_model *model, uint32_t index);
qd_op qd_load_op(const qd_model *model, uint32_t index);

/* Bytes of a bit-plane of a pixel. */
size_t qd_plane_bytes(uint32_t c);
/* Bytes of a pixel, 0 for an unknown type. c <= QD_MAX_CHANNELS. */
size_t qd_pixel_bytes(uint8_t dtype, uint32_t c);
/* Bytes of an element, 0 for bits and unknown types. */
size_t qd_element_bytes(uint8_t dtype);

/* The data of a constant of a verified model. */
static inline const void *qd_constant_data(const qd_model *model, uint16_t index) {
    return index == QD_NONE ? NULL : (const void *)(model->data + qd_load_constant(model, index).offset);
}

/* Sizes of a convolution, made from its operator and its buffers; the verifier and the executor share them. groups >= 1. */
typedef struct qd_conv_shape {
    size_t taps;       /* kernel_h * kernel_w */
    size_t in, out;    /* channels of a group */
    int depthwise;     /* a group per input channel, more than one */
    size_t pixel;      /* bytes of a tap of a patch of bits or trits */
    size_t planes;     /* bit-planes of the input: 1 bits, 2 trits, 0 others */
    size_t bits;       /* of a weight */
    int lane_major;    /* bits or trits times bits or trits, but for a depthwise convolution */
    uint64_t k;        /* taps * in: terms of an accumulator */
    size_t lanes;      /* output channels of a weight block; 1 if depthwise */
    size_t blocks;     /* weight blocks of a group */
    uint64_t row;      /* lane-major: bytes of a plane of a patch; depthwise: K; else elements, K rounded up to even */
    uint64_t block;    /* bytes of a weight block; depthwise: of the weights of a tap */
    uint64_t patch;    /* bytes of a patch (depthwise: of a tap of all channels), rounded up to 64 */
    size_t acc_stride; /* O rounded up to 32, and 32 more if there are groups: a block may reach past its group */
} qd_conv_shape;

qd_conv_shape qd_shape_of_conv(const qd_op *op, const qd_buffer *in, const qd_buffer *out);

#endif
