/* Rows of concatenations, rearrangements and interleavings, and of margins of pools. */
#ifndef QD_TEST_ROWS_MOVE_H
#define QD_TEST_ROWS_MOVE_H

#include "rows.h"

/* One concatenation of inputs of these types and 4 channels each. */
static void concat_of(uint32_t n, const uint32_t *types, uint32_t out, qd_status status) {
    w_op op = alone(7, SHAPE(types[0], 2, 3, 4), SHAPE(out, 2, 3, 4 * n));
    op.n_inputs = n;
    for (uint32_t i = 1; i < n; i++) op.inputs[i] = types[i] == types[0] ? 0 : w_buffer(&w, types[i], 2, 3, 4);
    if (n > 1 && types[1] != types[0]) {
        /* Written by nobody: the check before who writes what is all that is asked for. */
        made(&op);
        row("", status == QD_OK ? QD_LIFETIME : status, "x");
        return;
    }
    made(&op);
    row("", status, status == QD_OK ? "header" : "x");
}

#define TYPES(...) sizeof((const uint32_t[]){__VA_ARGS__}) / 4, (const uint32_t[]){__VA_ARGS__}

static void concatenations(void) {
    concat_of(TYPES(6, 6), 6, QD_OK);
    row("header:minor=2", QD_DTYPE, "x");
    concat_of(TYPES(7, 7), 7, QD_OK);
    row("header:minor=2", QD_DTYPE, "x");
    concat_of(TYPES(6), 6, QD_OK);
    concat_of(TYPES(2), 2, QD_OK);
    row("header:minor=2", QD_INPUTS, "x");
    concat_of(TYPES(2, 2), 3, QD_OK);
    row("header:minor=2", QD_DTYPE, "x");
    concat_of(TYPES(6, 7), 7, QD_OK);
    concat_of(TYPES(6, 7), 6, QD_DTYPE);
    concat_of(TYPES(7, 6), 2, QD_OK);
    concat_of(TYPES(3, 2), 4, QD_OK);
    concat_of(TYPES(3), 2, QD_DTYPE);
    concat_of(TYPES(4), 3, QD_DTYPE);
    concat_of(TYPES(2), 7, QD_DTYPE);
    concat_of(TYPES(7), 6, QD_DTYPE);
    concat_of(TYPES(1), 3, QD_DTYPE);
    concat_of(TYPES(1, 1), 1, QD_OK);
    concat_of(TYPES(5), 4, QD_DTYPE);
    concat_of(TYPES(4), 5, QD_DTYPE);
    concat_of(TYPES(5, 5), 5, QD_OK);
}

/* A rearrangement of 7 x 5 x 4 to these sizes: block, stride, offset, with an index of n entries i % limit (n = 0: none). */
static void rearranged(uint32_t kh, uint32_t kw, uint32_t sh, uint32_t sw, uint32_t h, uint32_t width, uint32_t c, uint32_t n,
                       uint32_t limit, qd_status status) {
    static int32_t index[1024];
    w_op op = alone(9, SHAPE(2, 7, 5, 4), SHAPE(2, h, width, c));
    op.kernel[0] = kh;
    op.kernel[1] = kw;
    op.stride[0] = sh;
    op.stride[1] = sw;
    for (uint32_t i = 0; i < n; i++) index[i] = (int32_t)(i % limit);
    if (n) op.constants[7] = w_constant(&w, 4, n, index);
    made(&op);
    row("", status, status == QD_OK ? "header" : "x");
}

static void rearrangements(void) {
    static const char *const none[] = {"epilogue", "weights", "dilation_h", "dilation_w", "groups", "scratch", "scratch_bytes", "bottom",
                                       "right", "steps", "real0", "real1", "low", "high"};
    rearranged(1, 1, 1, 1, 7, 5, 4, 0, 1, QD_OK);
    row("header:minor=2", QD_OPCODE, "x");
    row("x:inputs=2 x:in1=0", QD_INPUTS, "x");
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        char text[64];
        snprintf(text, sizeof text, "x:%s=1", none[i]);
        row(text, QD_RESERVED, "x");
    }
    for (int slot = 0; slot < 7; slot++) {
        char text[64];
        rearranged(1, 1, 1, 1, 7, 5, 4, 4, 4, QD_OK);
        snprintf(text, sizeof text, "x:k%d=0", slot);
        row(text, QD_CONSTANT, "x");
    }
    row("x:kernel_h=0", QD_WINDOW, "x");
    row("x:kernel_w=0", QD_WINDOW, "x");
    row("x:stride_h=0", QD_WINDOW, "x");
    row("x:stride_w=0", QD_WINDOW, "x");
    row("x:top=1", QD_SHAPE, "x");
    row("x:left=1", QD_SHAPE, "x");
    row("x.k7:dtype=5", QD_CONSTANT, "x");
    row("x.k7:data[12]=4", QD_RANGE, "x");
    row("x.k7:data[15]=128", QD_RANGE, "x");
    row("x.k7:data[0]=3", QD_OK, "header");
    rearranged(1, 1, 1, 1, 7, 5, 3, 0, 1, QD_CONSTANT);
    rearranged(1, 1, 2, 1, 3, 5, 4, 0, 1, QD_CONSTANT);
    rearranged(1, 1, 1, 1, 7, 5, 3, 3, 4, QD_OK);
    rearranged(1, 1, 1, 1, 7, 5, 3, 4, 4, QD_CONSTANT);
    rearranged(1, 1, 1, 1, 7, 5, 9, 9, 4, QD_OK);
    rearranged(1, 1, 1, 1, 7, 5, 9, 9, 5, QD_RANGE);
    rearranged(1, 1, 1, 1, 6, 4, 4, 0, 1, QD_OK);
    row("x:top=1 x:left=1", QD_OK, "header");
    row("x:top=2", QD_SHAPE, "x");
    row("x:left=2", QD_SHAPE, "x");
    rearranged(1, 1, 2, 2, 3, 2, 16, 16, 16, QD_OK);
    rearranged(1, 1, 2, 2, 3, 2, 17, 17, 17, QD_RANGE);
    rearranged(1, 1, 2, 2, 4, 2, 16, 16, 16, QD_SHAPE);
    rearranged(1, 1, 2, 2, 3, 3, 16, 16, 16, QD_SHAPE);
    rearranged(2, 3, 1, 1, 14, 15, 2, 12, 4, QD_OK);
    rearranged(2, 3, 1, 1, 15, 15, 2, 12, 4, QD_SHAPE);
    rearranged(2, 3, 1, 1, 14, 16, 2, 12, 4, QD_SHAPE);
    rearranged(2, 3, 1, 1, 14, 15, 2, 10, 4, QD_CONSTANT);
    rearranged(2, 3, 1, 1, 14, 15, 4, 0, 1, QD_OK);
    row("x:stride_h=8", QD_SHAPE, "x");
    {
        const w_op op = alone(9, SHAPE(2, 1, 1, 4), SHAPE(6, 1, 1, 4));
        made(&op);
        row("x:kernel_h=1 x:kernel_w=1 x:stride_h=1 x:stride_w=1", QD_DTYPE, "x");
    }
}

/* n maps of h x w woven into one of 5 x 4 by blocks of kh x kw. */
static void woven(uint32_t kh, uint32_t kw, uint32_t n, uint32_t h, uint32_t width, qd_status status) {
    w_op op = alone(10, SHAPE(5, h, width, 3), SHAPE(5, 5, 4, 3));
    op.n_inputs = n;
    for (uint32_t i = 1; i < n; i++) op.inputs[i] = 0;
    op.kernel[0] = kh;
    op.kernel[1] = kw;
    made(&op);
    row("", status, status == QD_OK ? "header" : "x");
}

static void interleavings(void) {
    static const char *const none[] = {"epilogue", "weights", "dilation_h", "dilation_w", "groups", "scratch", "scratch_bytes", "top", "left",
                                       "bottom", "right", "stride_h", "stride_w", "steps", "real0", "real1", "low", "high"};
    woven(1, 2, 2, 5, 2, QD_OK);
    row("header:minor=2", QD_OPCODE, "x");
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        char text[64];
        snprintf(text, sizeof text, "x:%s=1", none[i]);
        row(text, QD_RESERVED, "x");
    }
    row("x:kernel_h=2", QD_INPUTS, "x");
    row("x:kernel_w=0", QD_INPUTS, "x");
    row("x:kernel_h=0", QD_INPUTS, "x");
    woven(1, 4, 4, 5, 1, QD_OK);
    woven(1, 2, 2, 5, 1, QD_SHAPE);
    woven(1, 2, 2, 4, 2, QD_SHAPE);
    woven(2, 1, 2, 3, 4, QD_SHAPE); /* the second one has rows 1 and 3 only */
    woven(2, 2, 4, 3, 2, QD_SHAPE);
    woven(1, 1, 1, 5, 4, QD_OK);
    for (int slot = 0; slot < 8; slot++) {
        static const uint8_t byte[1];
        char text[64];
        w_op op = alone(10, SHAPE(5, 5, 4, 3), SHAPE(5, 5, 4, 3));
        op.kernel[0] = op.kernel[1] = 1;
        w_constant(&w, 1, 1, byte);
        made(&op);
        snprintf(text, sizeof text, "x:k%d=0", slot);
        row(text, QD_CONSTANT, "x");
    }
    for (uint32_t kind = 0; kind < 3; kind++) {
        w_op op = alone(10, SHAPE(kind == 0 ? 4 : 5, 5, 4, kind == 1 ? 4 : 3), SHAPE(5, 5, 4, 3));
        op.kernel[0] = op.kernel[1] = 1;
        made(&op);
        row("", kind == 0 ? QD_DTYPE : kind == 1 ? QD_SHAPE : QD_OK, kind < 2 ? "x" : "header");
    }
    { /* rows 0, 2, 4 and rows 1, 3 */
        w_op op = alone(10, SHAPE(5, 3, 4, 3), SHAPE(5, 5, 4, 3));
        op.inputs[1] = w_buffer(&w, 5, 2, 4, 3);
        op.n_inputs = op.kernel[0] = 2;
        op.kernel[1] = 1;
        made(&op);
        row("", QD_LIFETIME, "x"); /* up to who writes the second one */
    }
}

static void moves(void) {
    concatenations();
    rearrangements();
    interleavings();
    keep(write_moves(file));
    row("", QD_OK, "header");
    row("header:minor=2", QD_OPCODE, "turn");
}

/* 4 x 5 x 3, window 3 x 2, stride 2: margins up to 2 and 1. */
static void padded_pools(void) {
    for (uint32_t kind = 0; kind < 2; kind++) {
        static const uint8_t mask[1];
        w_op op = alone(kind ? 4 : 3, SHAPE(kind ? 5 : 6, 4, 5, 3), SHAPE(kind ? 5 : 6, 3, 3, 3));
        op.kernel[0] = 3;
        op.kernel[1] = op.stride[0] = op.stride[1] = 2;
        op.padding[0] = 2;
        op.padding[1] = op.padding[2] = 1;
        if (!kind) op.constants[7] = w_constant(&w, 1, 1, mask);
        made(&op);
        row("", QD_OK, "header");
        row("header:minor=2", QD_RESERVED, "x");
        row("x:top=3 x:bottom=0", QD_WINDOW, "x");
        row("x:top=0 x:bottom=3", QD_WINDOW, "x");
        row("x:left=2", QD_WINDOW, "x");
        row("x:left=0 x:right=2", QD_WINDOW, "x");
        row("x:left=0", QD_SHAPE, "x");
        row("x:left=0 x:right=1", QD_OK, "header");
        row("x:bottom=0", QD_SHAPE, "x");
    }
}

#endif
