/* Rows of every other operator, of the work of one run, and of who is alive when. */
#ifndef QD_TEST_ROWS_REST_H
#define QD_TEST_ROWS_REST_H

#include "rows.h"

static void simple_operators(void) {
    row("sign:inputs=2 sign:in1=0", QD_INPUTS, "sign");
    row("pool:inputs=2 pool:in1=0", QD_INPUTS, "pool");
    row("max:inputs=2 max:in1=0", QD_INPUTS, "max");
    row("sum:inputs=2 sum:in1=0", QD_INPUTS, "sum");
    row("quantize:inputs=2 quantize:in1=0", QD_INPUTS, "quantize");
    row("concat:inputs=1 concat:in1=0xFFFF", QD_INPUTS, "concat");
    row("sign:in0=0", QD_DTYPE, "sign");
    row("sign:out=5", QD_DTYPE, "sign");
    row("sign:out=1", QD_SHAPE, "sign");
    row("pool:in0=0", QD_DTYPE, "pool");
    row("pool:out=3", QD_DTYPE, "pool");
    row("pool:out=4", QD_SHAPE, "pool");
    row("pool:k7=0xFFFF", QD_CONSTANT, "pool");
    row("pool:k7=0", QD_CONSTANT, "pool");
    row("max:in0=1", QD_DTYPE, "max");
    row("max:out=7", QD_DTYPE, "max");
    row("max:stride_h=3", QD_OK, "header");
    row("quantize:in0=0", QD_DTYPE, "quantize");
    row("quantize:out=6", QD_DTYPE, "quantize");
    row("quantize:real0=0", QD_RANGE, "quantize");
    row("quantize:real0=0x80000001", QD_RANGE, "quantize");
    row("quantize:real0=0x7F800000", QD_RANGE, "quantize");
    row("quantize:real0=0x7F7FFFFF", QD_OK, "header");
    row("quantize:real0=1", QD_OK, "header");
    row("quantize:real1=1", QD_RESERVED, "quantize");
    row("quantize:low=0xFFFFFF7F", QD_RANGE, "quantize");
    row("quantize:low=0xFFFFFF80", QD_OK, "header");
    row("quantize:high=128", QD_RANGE, "quantize");
    row("quantize:high=127", QD_OK, "header");
    row("quantize:low=101", QD_RANGE, "quantize");
    row("quantize:low=100", QD_OK, "header");
    row("quantize2:low=0xFFFF7FFF", QD_RANGE, "quantize2");
    row("quantize2:low=0xFFFF8000", QD_OK, "header");
    row("quantize2:high=32768", QD_RANGE, "quantize2");
    row("quantize2:high=32767", QD_OK, "header");
    row("quantize2:in0=7", QD_DTYPE, "quantize2");
    row("quantize:out=10", QD_SHAPE, "quantize");
    row("sum:in0=1", QD_DTYPE, "sum");
    row("sum:out=8", QD_DTYPE, "sum");
    row("sum:in0=7", QD_SHAPE, "sum");
    row("concat:in1=6", QD_DTYPE, "concat");
    row("concat:out=10", QD_DTYPE, "concat");
    row("concat:in0=8", QD_SHAPE, "concat");
    row("concat:inputs=3 concat:in2=7", QD_SHAPE, "concat");
    row("r\xC3\xA9sidu:in0=0", QD_DTYPE, "r\xC3\xA9sidu");
    row("r\xC3\xA9sidu:out=4", QD_DTYPE, "r\xC3\xA9sidu");
    row("r\xC3\xA9sidu:out=6", QD_SHAPE, "r\xC3\xA9sidu");
}

/* One operator that needs nothing but buffers, of any types and shapes. */
static void shapes(uint32_t opcode, const uint32_t in[4], const uint32_t out[4], uint32_t kernel_h, uint32_t kernel_w, qd_status status) {
    w_op op = alone(opcode, in, out);
    static const uint8_t mask[8192];
    op.kernel[0] = kernel_h;
    op.kernel[1] = kernel_w;
    op.stride[0] = op.stride[1] = kernel_h != 0;
    if (opcode == 5) op.reals[0] = 1.0f;
    if (opcode == 3) op.constants[7] = w_constant(&w, 1, w_pixel(6, in[3]), mask);
    if (opcode == 7) op.n_inputs = 2, op.inputs[1] = 0;
    made(&op);
    row("", status, status == QD_OK ? "header" : "x");
}

static void shapes_of_simple_operators(void) {
    shapes(2, SHAPE(5, 2, 3, 4), SHAPE(6, 2, 3, 4), 0, 0, QD_OK);
    shapes(2, SHAPE(5, 2, 3, 4), SHAPE(6, 1, 3, 4), 0, 0, QD_SHAPE);
    shapes(2, SHAPE(5, 2, 3, 4), SHAPE(6, 2, 2, 4), 0, 0, QD_SHAPE);
    shapes(2, SHAPE(5, 2, 3, 4), SHAPE(6, 2, 3, 5), 0, 0, QD_SHAPE);
    shapes(2, SHAPE(4, 2, 3, 4), SHAPE(6, 2, 3, 4), 0, 0, QD_DTYPE);
    shapes(2, SHAPE(5, 2, 3, 4), SHAPE(5, 2, 3, 4), 0, 0, QD_DTYPE);
    shapes(3, SHAPE(6, 2, 3, 4), SHAPE(6, 1, 2, 4), 2, 2, QD_OK);
    shapes(3, SHAPE(6, 2, 3, 4), SHAPE(6, 1, 2, 5), 2, 2, QD_SHAPE);
    shapes(3, SHAPE(6, 2, 3, 4), SHAPE(6, 1, 1, 4), 2, 3, QD_OK);
    shapes(3, SHAPE(6, 2, 3, 4), SHAPE(6, 1, 1, 4), 2, 4, QD_WINDOW);
    shapes(3, SHAPE(6, 2, 3, 4), SHAPE(6, 1, 2, 4), 3, 2, QD_WINDOW);
    shapes(3, SHAPE(6, 2, 3, 4), SHAPE(6, 2, 2, 4), 2, 2, QD_SHAPE);
    shapes(3, SHAPE(6, 2, 3, 4), SHAPE(6, 1, 3, 4), 2, 2, QD_SHAPE);
    shapes(5, SHAPE(5, 2, 3, 4), SHAPE(2, 2, 3, 4), 0, 0, QD_OK);
    shapes(5, SHAPE(4, 2, 3, 4), SHAPE(3, 2, 3, 4), 0, 0, QD_OK);
    shapes(5, SHAPE(3, 2, 3, 4), SHAPE(3, 2, 3, 4), 0, 0, QD_DTYPE);
    shapes(5, SHAPE(4, 2, 3, 4), SHAPE(1, 2, 3, 4), 0, 0, QD_DTYPE);
    shapes(6, SHAPE(2, 2, 3, 4), SHAPE(4, 1, 1, 4), 0, 0, QD_OK);
    shapes(6, SHAPE(1, 2, 3, 4), SHAPE(4, 1, 1, 4), 0, 0, QD_DTYPE);
    shapes(6, SHAPE(2, 2, 3, 4), SHAPE(5, 1, 1, 4), 0, 0, QD_DTYPE);
    shapes(6, SHAPE(2, 2, 3, 4), SHAPE(4, 2, 1, 4), 0, 0, QD_SHAPE);
    shapes(6, SHAPE(2, 2, 3, 4), SHAPE(4, 1, 3, 4), 0, 0, QD_SHAPE);
    shapes(6, SHAPE(2, 2, 3, 4), SHAPE(4, 1, 1, 5), 0, 0, QD_SHAPE);
    shapes(6, SHAPE(3, 5, 13107, 1), SHAPE(4, 1, 1, 1), 0, 0, QD_OK);
    shapes(6, SHAPE(3, 2, 32768, 1), SHAPE(4, 1, 1, 1), 0, 0, QD_ACCUMULATOR);
    shapes(6, SHAPE(2, 4095, 4097, 1), SHAPE(4, 1, 1, 1), 0, 0, QD_OK);
    shapes(6, SHAPE(2, 4096, 4096, 1), SHAPE(4, 1, 1, 1), 0, 0, QD_ACCUMULATOR);
    shapes(7, SHAPE(2, 2, 3, 4), SHAPE(2, 2, 3, 8), 0, 0, QD_OK);
    shapes(7, SHAPE(2, 2, 3, 4), SHAPE(2, 2, 3, 7), 0, 0, QD_SHAPE);
    shapes(7, SHAPE(2, 2, 3, 4), SHAPE(2, 1, 3, 8), 0, 0, QD_SHAPE);
    shapes(7, SHAPE(2, 2, 3, 4), SHAPE(2, 2, 2, 8), 0, 0, QD_SHAPE);
    shapes(3, SHAPE(2, 2, 3, 9), SHAPE(2, 1, 2, 9), 2, 2, QD_OK);
    row("header:minor=1", QD_DTYPE, "x");
    shapes(3, SHAPE(7, 2, 3, 9), SHAPE(7, 1, 2, 9), 2, 2, QD_OK);
    shapes(3, SHAPE(3, 2, 3, 9), SHAPE(3, 1, 2, 9), 2, 2, QD_DTYPE);
    shapes(3, SHAPE(2, 2, 3, 9), SHAPE(7, 1, 2, 9), 2, 2, QD_DTYPE);
    shapes(4, SHAPE(4, 2, 3, 4), SHAPE(4, 1, 2, 4), 2, 2, QD_DTYPE);
    shapes(4, SHAPE(5, 2, 3, 4), SHAPE(5, 1, 2, 4), 2, 2, QD_OK);
    shapes(5, SHAPE(5, 2, 3, 4), SHAPE(7, 2, 3, 4), 0, 0, QD_OK);
    row("x:low=0xFFFFFFFF x:high=1", QD_OK, "header");
    row("x:low=0xFFFFFFFE x:high=1", QD_RANGE, "x");
    row("x:high=2", QD_RANGE, "x");
    for (uint32_t c = 7; c < 130; c++) shapes(2, SHAPE(5, 1, 1, c), SHAPE(6, 1, 1, c), 0, 0, QD_OK);
    shapes(8, SHAPE(4, 2, 3, 4), SHAPE(5, 2, 3, 4), 0, 0, QD_OK);
    shapes(8, SHAPE(3, 2, 3, 4), SHAPE(5, 2, 3, 4), 0, 0, QD_DTYPE);
    shapes(8, SHAPE(4, 2, 3, 4), SHAPE(4, 2, 3, 4), 0, 0, QD_DTYPE);
    shapes(8, SHAPE(4, 2, 3, 4), SHAPE(5, 2, 4, 4), 0, 0, QD_SHAPE);
}

/* QD_MAX_WORK, 10^12 steps, to the step. */
static void work(void) {
    w_op op;
    static const uint8_t mask[1];
    shapes(3, SHAPE(6, 1999, 1999, 1), SHAPE(6, 1000, 1000, 1), 1000, 1000, QD_OK);
    shapes(3, SHAPE(6, 1999, 2000, 1), SHAPE(6, 1000, 1000, 1), 1000, 1001, QD_LIMIT);
    shapes(3, SHAPE(6, 32768, 32768, 8), SHAPE(6, 16384, 16384, 8), 16385, 16385, QD_LIMIT);
    for (uint32_t more = 0; more < 2; more++) {
        op = alone(3, SHAPE(6, 1999, 1999, 1), SHAPE(6, 1000, 1000, 1));
        w_buffer(&w, 6, 1, 1 + more, 1); /* 10^12 - 10^6 steps, then 10^6, or twice as many */
        op.kernel[0] = 1000;
        op.kernel[1] = 1000;
        op.stride[0] = op.stride[1] = 1;
        op.constants[7] = w_constant(&w, 1, 1, mask);
        w_add(&w, &op, "x");
        op = w_op_new(3, 1, 2);
        op.kernel[0] = 1000;
        op.kernel[1] = 1000 - more;
        op.stride[0] = op.stride[1] = 1;
        op.constants[7] = 0;
        w_add(&w, &op, "y");
        keep(w_finish(&w, 0, 2, file));
        row("", QD_LIMIT, "y");
    }
}

/* A stream whose second input has this shape; the first is 2 x 3 x 4. */
static void second_input(uint32_t h, uint32_t width, uint32_t c, qd_status status) {
    w_op op;
    memset(&w, 0, sizeof w);
    w_buffer(&w, 5, 1, 1, h * width * c);
    w_buffer(&w, 5, h, width, c);
    w_buffer(&w, 5, 2, 3, 4);
    w_buffer(&w, 5, 2, 3, 4);
    /* Where the shape differs nothing but this check is wrong: it comes before who writes what. */
    op = w_op_new(8, 2, 3);
    op.inputs[1] = 1;
    op.n_inputs = 2;
    op.steps = 8;
    w_add(&w, &op, "x");
    keep(w_finish(&w, 0, 3, file));
    row("", status, "x");
}

/* b0 -> b1 -> b2 -> b3 of 64 bytes each, at these multiples of 64. buffer: the one refused. */
static void chain(const uint32_t at[4], uint32_t output, qd_status status, uint32_t buffer) {
    qd_error error;
    memset(&w, 0, sizeof w);
    for (uint32_t i = 0; i < 4; i++) {
        w_buffer(&w, 5, 1, 1, 16);
        put32(w.buffers + 24 * i + 16, 64 * at[i]);
    }
    for (uint32_t i = 0; i < 3; i++) {
        const w_op op = w_op_new(8, i, i + 1);
        w_add(&w, &op, "x");
    }
    keep(w_finish(&w, 0, output, file));
    error = opened();
    CHECK(error.status == status && error.index == buffer, "chain at %u %u %u %u: %d, buffer %u", (unsigned)at[0], (unsigned)at[1],
          (unsigned)at[2], (unsigned)at[3], (int)error.status, (unsigned)error.index);
}

#define AT(...) ((const uint32_t[4]){__VA_ARGS__})

/* Who writes and reads what when, and who is alive at the same time. */
static void memory(void) {
    keep(write_network(file, 1));
    row("sign:in0=5", QD_LIFETIME, "sign"); /* read before it is written */
    row("r\xC3\xA9sidu:out=3", QD_LIFETIME, "r\xC3\xA9sidu"); /* written twice */
    row("header:input=1", QD_LIFETIME, "first");
    row("header:output=0", QD_OK, "header");
    row("first:scratch+1", QD_BOUNDS, "first");
    row("first:scratch+32", QD_BOUNDS, "first");
    row("first:scratch=0x00100000", QD_BOUNDS, "first");
    row("first:scratch=0xFFFFFFC0", QD_BOUNDS, "first");
    row("header:arena-64", QD_BOUNDS, "head");
    row("first:scratch=0", QD_OVERLAP, "first");
    row("second:scratch=&second.out", QD_OVERLAP, "second");
    row("first:scratch=&second.out", QD_OK, "header"); /* not alive yet */
    row("head:scratch=&second.out", QD_OK, "header");  /* not alive any more */
    row("head:scratch=&head.in head:scratch-960", QD_OVERLAP, "head");
    chain(AT(0, 1, 2, 3), 3, QD_OK, 0);
    chain(AT(0, 1, 0, 1), 3, QD_OK, 0);
    chain(AT(1, 0, 1, 0), 3, QD_OK, 0);
    chain(AT(3, 2, 1, 0), 3, QD_OK, 0);
    chain(AT(0, 0, 1, 2), 3, QD_OVERLAP, 1);
    chain(AT(0, 1, 1, 2), 3, QD_OVERLAP, 2);
    chain(AT(0, 1, 2, 2), 3, QD_OVERLAP, 3);
    chain(AT(0, 1, 2, 1), 1, QD_OVERLAP, 3);
    chain(AT(0, 1, 2, 0), 0, QD_OVERLAP, 3);
    {
        const w_op op = alone(2, SHAPE(5, 1, 1, 1), SHAPE(6, 1, 1, 1));
        qd_error error;
        w_buffer(&w, 5, 1, 1, 1);
        made(&op);
        error = opened();
        CHECK(error.status == QD_LIFETIME && error.place == QD_IN_BUFFER && error.index == 2, "a buffer that nobody writes");
    }
    second_input(2, 3, 4, QD_LIFETIME); /* as it should be, up to who writes it */
    second_input(1, 3, 4, QD_SHAPE);
    second_input(2, 2, 4, QD_SHAPE);
    second_input(2, 3, 5, QD_SHAPE);
}

#endif
