/* A small network with every kind of operator, for the tests of the verifier and as a seed of the fuzzers. */
#ifndef QD_TEST_NETWORK_H
#define QD_TEST_NETWORK_H

#include "writer.h"

/* file: W_MAX bytes. minor: with what format 1.minor and those before it added. Returns the size. */
static inline uint32_t write_network(uint8_t *file, int minor) {
    static writer w;
    static int8_t first[9 * 9 * 2], second[18 * 9 * 9], head[3 * 36], bytes1[1024], bytes3[1024];
    static uint8_t bytes2[8192], mask[2];
    static int16_t zero[2] = {7, 255};
    static int32_t thresholds[9];
    static float scale[1] = {0.5f}, a[18], b[18], bias[18], slope[18];
    uint32_t in, signs, pooled, stream, signs2, again, small, narrow, wide, sum, narrow2, out, size;
    w_op op;
    memset(&w, 0, sizeof w);
    for (size_t i = 0; i < sizeof first; i++) first[i] = (int8_t)random_u32();
    for (size_t i = 0; i < sizeof second; i++) second[i] = random_in(0, 1) ? 1 : -1;
    for (size_t i = 0; i < sizeof head; i++) head[i] = (int8_t)random_u32();
    for (int i = 0; i < 9; i++) thresholds[i] = random_in(-1000, 1000);
    for (int i = 0; i < 18; i++) a[i] = 1.0f / (float)(i + 3), b[i] = (float)(i - 9), bias[i] = 0.25f, slope[i] = 0.125f * (float)(i % 5 - 2); /* the last one is 0, as padding is */
    mask[0] = 0x5A;
    in = w_buffer(&w, 1, 6, 5, 2);
    signs = w_buffer(&w, 6, 6, 5, 9);
    pooled = w_buffer(&w, 6, 5, 4, 9);
    stream = w_buffer(&w, 5, 5, 4, 18);
    signs2 = w_buffer(&w, 6, 5, 4, 18);
    again = w_buffer(&w, 5, 5, 4, 18);
    small = w_buffer(&w, 5, 2, 2, 18);
    narrow = w_buffer(&w, 2, 2, 2, 18);
    wide = w_buffer(&w, 2, 2, 2, 36);
    sum = w_buffer(&w, 4, 1, 1, 36);
    narrow2 = w_buffer(&w, 3, 1, 1, 36);
    out = w_buffer(&w, 4, 1, 1, 3);

    op = w_op_new(1, in, signs);
    op.epilogue = 1;
    op.weights = 2;
    op.constants[0] = w_constant(&w, 2, w_pack_int8(first, 9, 18, bytes1), bytes1);
    op.constants[1] = w_constant(&w, 3, 2, zero);
    op.constants[2] = w_constant(&w, 4, 9, thresholds);
    op.kernel[0] = op.kernel[1] = 3;
    op.stride[0] = op.stride[1] = 1;
    for (int i = 0; i < 4; i++) op.padding[i] = 1;
    op.scratch_bytes = 4 * 64 + 16 * 32;
    w_add(&w, &op, "first");
    op = w_op_new(3, signs, pooled);
    op.kernel[0] = op.kernel[1] = 2;
    op.stride[0] = op.stride[1] = 1;
    op.constants[7] = w_constant(&w, 1, 2, mask);
    w_add(&w, &op, "pool");
    op = w_op_new(1, pooled, stream);
    op.epilogue = 2;
    op.weights = 1;
    op.steps = 1 + 2 + 4 + (minor >= 3 ? 128 : 0);
    op.constants[0] = w_constant(&w, 1, w_pack_bits(second, 18, 9, 9, bytes2), bytes2);
    op.constants[3] = w_constant(&w, 5, 1, scale);
    op.constants[4] = w_constant(&w, 5, 18, a);
    op.constants[5] = w_constant(&w, 5, 18, b);
    op.constants[6] = w_constant(&w, 5, 18, bias);
    op.range[0] = minor >= 2; /* margins of +1 */
    op.kernel[0] = op.kernel[1] = 3;
    op.stride[0] = op.stride[1] = 1;
    for (int i = 0; i < 4; i++) op.padding[i] = 1;
    op.scratch_bytes = 4 * 64 + 16 * 32;
    w_add(&w, &op, "second");
    op = w_op_new(2, stream, signs2);
    w_add(&w, &op, "sign");
    op = w_op_new(8, stream, again);
    op.n_inputs = 2;
    op.inputs[1] = stream;
    op.steps = 8 + 16 + 32;
    op.reals[1] = 6.0f;
    if (minor >= 1) {
        op.steps |= 64;
        op.constants[7] = w_constant(&w, 5, 18, slope);
    }
    w_add(&w, &op, "r\xC3\xA9sidu");
    op = w_op_new(4, again, small);
    op.kernel[0] = op.kernel[1] = 2;
    op.stride[0] = op.stride[1] = 2;
    w_add(&w, &op, "max");
    op = w_op_new(5, small, narrow);
    op.reals[0] = 0.125f;
    op.range[0] = -100;
    op.range[1] = 100;
    w_add(&w, &op, "quantize");
    op = w_op_new(7, narrow, wide);
    op.n_inputs = 2;
    op.inputs[1] = narrow;
    w_add(&w, &op, "concat");
    op = w_op_new(6, wide, sum);
    w_add(&w, &op, "sum");
    op = w_op_new(5, sum, narrow2);
    op.reals[0] = 2.0f;
    op.range[0] = -1000;
    op.range[1] = 1000;
    w_add(&w, &op, "quantize2");
    op = w_op_new(1, narrow2, out);
    op.weights = 2;
    op.constants[0] = w_constant(&w, 2, w_pack_int8(head, 3, 36, bytes3), bytes3);
    op.kernel[0] = op.kernel[1] = op.stride[0] = op.stride[1] = 1;
    op.scratch_bytes = 4 * 128 + 16 * 32;
    w_add(&w, &op, "head");
    size = w_finish(&w, in, out, file);
    return size;
}

#endif
