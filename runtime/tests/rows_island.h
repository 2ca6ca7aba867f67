/* Rows of the operators of float islands, and of the argmax. */
#ifndef QD_TEST_ROWS_ISLAND_H
#define QD_TEST_ROWS_ISLAND_H

#include "rows.h"
#include "rows_rest.h"

/* Every one of these fields must be 0 in the operator "x" as it is kept. */
static void must_be_empty(const char *const *names, size_t n) {
    for (size_t i = 0; i < n; i++) {
        char text[64];
        snprintf(text, sizeof text, "x:%s=1", names[i]);
        row(text, QD_RESERVED, "x");
    }
}

#define EMPTY(...) must_be_empty((const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

/* in 4 x 5 x 4 by 3 x 2 to 3 x 5 x 6 in two groups: margins of 1 above and on the right. */
static w_op float_conv(uint32_t in, uint32_t count) {
    static const float weights[80];
    static const int16_t zero[4] = {0, 255, 7, 9};
    w_op op = alone(16, SHAPE(in, 4, 5, 4), SHAPE(5, 3, 5, 6));
    op.kernel[0] = 3;
    op.kernel[1] = 2;
    op.stride[0] = op.stride[1] = op.dilation[0] = op.dilation[1] = 1;
    op.padding[0] = op.padding[3] = 1;
    op.groups = 2;
    op.constants[0] = w_constant(&w, 5, count, weights);
    if (in == 1) op.constants[1] = w_constant(&w, 3, 4, zero);
    return op;
}

static void float_convolutions(void) {
    for (uint32_t in = 1; in <= 7; in++) {
        w_op op = float_conv(in, 72);
        made(&op);
        row("", QD_OK, "header");
        row("header:minor=2", QD_OPCODE, "x");
    }
    for (uint32_t kind = 0; kind < 2; kind++) { /* of pixels, of reals */
        w_op op = float_conv(kind ? 5 : 1, 72);
        made(&op);
        EMPTY("epilogue", "weights", "scratch_bytes", "steps", "real0", "real1", "low", "high");
        row("x:scratch=64", QD_RESERVED, "x");
        row("x:inputs=2 x:in1=0", QD_INPUTS, "x");
        for (int slot = kind ? 1 : 2; slot < 8; slot++) {
            char text[64];
            snprintf(text, sizeof text, "x:k%d=0", slot);
            row(text, QD_CONSTANT, "x");
        }
        row("x:k0=0xFFFF", QD_CONSTANT, "x");
        row("x.k0:dtype=4", QD_CONSTANT, "x");
        row("x.out:dtype=4", QD_DTYPE, "x");
        row("x:dilation_h=0", QD_WINDOW, "x");
        row("x:dilation_w=0", QD_WINDOW, "x");
        row("x:groups=0", QD_WINDOW, "x");
        row("x:groups=4", QD_SHAPE, "x"); /* divides 4, not 6 */
        row("x:groups=3", QD_SHAPE, "x"); /* divides 6, not 4 */
        row("x:groups=1", QD_CONSTANT, "x");
        row("x:kernel_h=0", QD_WINDOW, "x");
        row("x:top=0 x:bottom=1", QD_OK, "header");
        row("x:top=3", QD_WINDOW, "x");
        row("x:stride_h=2", QD_SHAPE, "x");
        row("x:dilation_h=2", QD_SHAPE, "x");
        row("x.k0:data[287]=0x7F x.k0:data[286]=0x80", QD_NOT_FINITE, "x");
        row("x.k0:data[3]=0xFF x.k0:data[2]=0xC0", QD_NOT_FINITE, "x");
        row("x.k0:data[287]=0x7F x.k0:data[286]=0x7F", QD_OK, "header");
    }
    {
        w_op op = float_conv(1, 72);
        made(&op);
        row("x:k1=0xFFFF", QD_CONSTANT, "x");
        row("x:k1=0", QD_CONSTANT, "x");
        row("x.k1:data[3]=1", QD_ZERO_POINT, "x");
        op = float_conv(5, 73);
        made(&op);
        row("", QD_CONSTANT, "x");
        op = float_conv(5, 71);
        made(&op);
        row("", QD_CONSTANT, "x");
    }
}

/* 4 x 5 x 3 by 3 x 2, stride 2 and margins, to 3 x 3 x 3. */
static void float_pools(void) {
    static const uint8_t byte[1];
    w_op op = alone(17, SHAPE(5, 4, 5, 3), SHAPE(5, 3, 3, 3));
    op.kernel[0] = 3;
    op.kernel[1] = op.stride[0] = op.stride[1] = 2;
    op.padding[0] = 2;
    op.padding[1] = op.padding[2] = 1;
    w_constant(&w, 1, 1, byte);
    made(&op);
    row("", QD_OK, "header");
    row("header:minor=2", QD_OPCODE, "x");
    EMPTY("epilogue", "weights", "dilation_h", "dilation_w", "groups", "scratch_bytes", "steps", "real0", "real1", "low", "high");
    row("x:scratch=64", QD_RESERVED, "x");
    row("x:inputs=2 x:in1=0", QD_INPUTS, "x");
    for (int slot = 0; slot < 8; slot++) {
        char text[64];
        snprintf(text, sizeof text, "x:k%d=0", slot);
        row(text, QD_CONSTANT, "x");
    }
    row("x.in:dtype=4", QD_DTYPE, "x");
    row("x.out:dtype=4", QD_DTYPE, "x");
    row("x.out:c=2 x.out:bytes=72", QD_SHAPE, "x");
    row("x:top=3", QD_WINDOW, "x");
    row("x:bottom=0", QD_SHAPE, "x");
    row("x:stride_w=0", QD_WINDOW, "x");
}

static void arg_max(void) {
    static const uint8_t byte[1];
    for (uint32_t in = 1; in <= 7; in++) {
        shapes(11, SHAPE(in, 2, 3, 4), SHAPE(4, 2, 3, 1), 0, 0, in == 4 || in == 5 ? QD_OK : QD_DTYPE);
        shapes(11, SHAPE(4, 2, 3, 4), SHAPE(in, 2, 3, 1), 0, 0, in == 4 ? QD_OK : QD_DTYPE);
    }
    shapes(11, SHAPE(4, 2, 3, 4), SHAPE(4, 1, 3, 1), 0, 0, QD_SHAPE);
    shapes(11, SHAPE(4, 2, 3, 4), SHAPE(4, 2, 2, 1), 0, 0, QD_SHAPE);
    shapes(11, SHAPE(4, 2, 3, 4), SHAPE(4, 2, 3, 2), 0, 0, QD_SHAPE);
    {
        w_op op = alone(11, SHAPE(4, 2, 3, 4), SHAPE(4, 2, 3, 1));
        w_constant(&w, 1, 1, byte);
        made(&op);
        row("", QD_OK, "header");
        row("header:minor=2", QD_OPCODE, "x");
        row("x:inputs=2 x:in1=0", QD_INPUTS, "x");
        row("x:k0=0", QD_CONSTANT, "x");
        row("x:k7=0", QD_CONSTANT, "x");
        EMPTY("epilogue", "weights", "kernel_h", "stride_w", "top", "groups", "scratch_bytes", "steps", "real0", "low");
    }
}

static void islands(void) {
    float_convolutions();
    float_pools();
    arg_max();
    shapes(17, SHAPE(5, 1999, 2000, 1), SHAPE(5, 1000, 1000, 1), 1000, 1001, QD_LIMIT);
    keep(write_islands(file));
    row("", QD_OK, "header");
    row("header:flags=0", QD_FLAGS, "header");
    row("header:minor=2", QD_OPCODE, "stem");
}

#endif
