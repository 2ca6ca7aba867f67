/* Rows of the verifier's test: weights of depthwise convolutions. */
#ifndef QD_TEST_ROWS_DEPTHWISE_H
#define QD_TEST_ROWS_DEPTHWISE_H

#include "rows_conv.h"

/* A depthwise convolution of two taps, all of its weights -1 (masks: 1): what is spare, since when there is such a thing, its bytes. */
static void depthwise(uint32_t dtype, uint32_t c, uint32_t kind) {
    static int8_t weights[2 * 64];
    const uint32_t bits = kind == 2 ? 8 : kind == 3 ? 2 : kind == 4 ? 4 : 1;
    uint32_t n, data;
    w_op op = alone(1, SHAPE(dtype, 1, 2, c), SHAPE(4, 1, 1, c));
    memset(weights, kind == 5 ? 1 : -1, sizeof weights);
    n = w_pack_taps(weights, kind, c, 2, (int8_t *)packed);
    op.weights = kind;
    op.groups = c;
    op.kernel[0] = op.stride[0] = op.stride[1] = 1;
    op.kernel[1] = 2;
    op.constants[0] = w_constant(&w, kind == 2 ? 2 : 1, n, packed);
    op.scratch_bytes = 4 * align_to(2 * c, 64) + 16 * (align_to(c, 32) + 32);
    made(&op);
    data = get(sound + get(sound + 40, 4) + 8, 4);
    row("", QD_OK, "header");
    if (n % 64 != 0) row("x.k0:count+1", QD_CONSTANT, "x");
    row("header:minor=2", kind == 2 ? QD_OK : QD_VARIANT, kind == 2 ? "header" : "x");
    for (uint32_t at = 0; at < n && kind != 2; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            const int spare = (packed[at] >> bit & 1) == 0 || (kind == 3 && at % bits == 1);
            qd_status status;
            memcpy(file, sound, size);
            file[data + at] ^= (uint8_t)(1u << bit);
            status = opened().status;
            CHECK(status == (spare ? QD_SPARE : QD_OK), "type %u, %u channels, kind %u, byte %u, bit %u: %d", (unsigned)dtype, (unsigned)c,
                  (unsigned)kind, (unsigned)at, bit, (int)status);
        }
    }
}

static void all_depthwise(void) {
    static const uint32_t types[] = {2, 3, 6, 7}, channels[] = {3, 8, 9, 64};
    for (size_t i = 0; i < 16; i++) {
        for (uint32_t kind = 1; kind <= 5; kind++) depthwise(types[i / 4], channels[i % 4], kind);
    }
    convolution(2, 1, 8, 1); /* one channel in one group is nothing of the kind */
    row("header:minor=2", QD_OK, "header");
}

#endif
