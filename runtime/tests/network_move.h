/* A small network of the operators that move values, for the verifier, the edits and the fuzzers. */
#ifndef QD_TEST_NETWORK_MOVE_H
#define QD_TEST_NETWORK_MOVE_H

#include "writer.h"

/* trits - rearranged, padded pool - beside the same of bits, widened - depth to space - interleaved with itself. Returns the size. */
static inline uint32_t write_moves(uint8_t *file) {
    static writer w;
    static int32_t index[2 * 11], blocks[4 * 5];
    static uint8_t mask[2] = {0x5A, 1};
    uint32_t in, turned, pooled, bits, both, wide, large, twice;
    w_op op;
    memset(&w, 0, sizeof w);
    in = w_buffer(&w, 7, 4, 3, 9);
    turned = w_buffer(&w, 7, 4, 3, 11);
    pooled = w_buffer(&w, 7, 3, 2, 11);
    bits = w_buffer(&w, 6, 3, 2, 3);
    both = w_buffer(&w, 7, 3, 2, 14);
    wide = w_buffer(&w, 3, 3, 2, 14);
    large = w_buffer(&w, 3, 5, 4, 5);
    twice = w_buffer(&w, 3, 5, 8, 5);
    for (int i = 0; i < 11; i++) index[i] = i * 5 % 9;
    for (int i = 0; i < 20; i++) blocks[i] = i * 3 % 14;
    op = w_op_new(9, in, turned);
    op.kernel[0] = op.kernel[1] = op.stride[0] = op.stride[1] = 1;
    op.constants[7] = w_constant(&w, 4, 11, index);
    w_add(&w, &op, "turn");
    op = w_op_new(3, turned, pooled);
    op.kernel[0] = op.kernel[1] = 3;
    op.stride[0] = op.stride[1] = 2;
    for (int i = 0; i < 4; i++) op.padding[i] = 1 + (i == 2);
    op.constants[7] = w_constant(&w, 1, 2, mask);
    w_add(&w, &op, "pool");
    {
        static int8_t weights[3 * 11];
        static uint8_t packed[256];
        static int32_t thresholds[3] = {-1, 0, 2};
        for (int i = 0; i < 33; i++) weights[i] = (int8_t)(i % 4 == 1 ? 1 : -1);
        op = w_op_new(1, pooled, bits);
        op.epilogue = 1;
        op.weights = 1;
        op.constants[0] = w_constant(&w, 1, w_pack_bits(weights, 3, 1, 11, packed), packed);
        op.constants[2] = w_constant(&w, 4, 3, thresholds);
        op.kernel[0] = op.kernel[1] = op.stride[0] = op.stride[1] = 1;
        op.scratch_bytes = 4 * 64 + 16 * 32;
        w_add(&w, &op, "bits");
    }
    op = w_op_new(7, pooled, both);
    op.n_inputs = 2;
    op.inputs[1] = bits;
    w_add(&w, &op, "beside");
    op = w_op_new(7, both, wide);
    w_add(&w, &op, "widen");
    op = w_op_new(9, wide, large);
    op.kernel[0] = op.kernel[1] = 2;
    op.stride[0] = op.stride[1] = 1;
    op.padding[0] = 1;
    op.constants[7] = w_constant(&w, 4, 20, blocks);
    w_add(&w, &op, "depth");
    op = w_op_new(10, large, twice);
    op.n_inputs = 2;
    op.inputs[1] = large;
    op.kernel[0] = 1;
    op.kernel[1] = 2;
    w_add(&w, &op, "weave");
    return w_finish(&w, in, twice, file);
}

#endif
