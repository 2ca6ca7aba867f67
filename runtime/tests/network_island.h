/* A small network of float islands and an argmax, for the verifier, the edits and the fuzzers. */
#ifndef QD_TEST_NETWORK_ISLAND_H
#define QD_TEST_NETWORK_ISLAND_H

#include "writer.h"

/* pixels - grouped convolution - pool - dense layer over the map, all in binary32 - argmax. Returns the size. */
static inline uint32_t write_islands(uint8_t *file) {
    static writer w;
    static float weights[6 * 6 * 3], dense[5 * 6 * 6];
    static int16_t zero[9] = {0, 255, 128, 1, 2, 3, 4, 5, 6};
    uint32_t in, maps, pooled, out, class;
    w_op op;
    memset(&w, 0, sizeof w);
    in = w_buffer(&w, 1, 4, 5, 9);
    maps = w_buffer(&w, 5, 4, 4, 6);
    pooled = w_buffer(&w, 5, 3, 2, 6);
    out = w_buffer(&w, 5, 1, 1, 5);
    class = w_buffer(&w, 4, 1, 1, 1);
    for (int i = 0; i < 108; i++) weights[i] = (float)(i * 37 % 101 - 50) / 64.0f;
    for (int i = 0; i < 180; i++) dense[i] = (float)(i * 53 % 97 - 48) / 48.0f;
    op = w_op_new(16, in, maps);
    op.kernel[0] = 3;
    op.kernel[1] = 2;
    op.stride[0] = op.stride[1] = op.dilation[0] = op.dilation[1] = 1;
    op.padding[0] = op.padding[2] = 1;
    op.groups = 3;
    op.constants[0] = w_constant(&w, 5, 108, weights);
    op.constants[1] = w_constant(&w, 3, 9, zero);
    w_add(&w, &op, "stem");
    op = w_op_new(17, maps, pooled);
    op.kernel[0] = op.kernel[1] = 2;
    op.stride[0] = 1;
    op.stride[1] = 2;
    w_add(&w, &op, "pool");
    op = w_op_new(16, pooled, out);
    op.kernel[0] = 3;
    op.kernel[1] = 2;
    op.stride[0] = op.stride[1] = op.dilation[0] = op.dilation[1] = op.groups = 1;
    op.constants[0] = w_constant(&w, 5, 180, dense);
    w_add(&w, &op, "head");
    op = w_op_new(11, out, class);
    w_add(&w, &op, "class");
    return w_finish(&w, in, class, file);
}

#endif
