/* One, two and four threads give the same bytes, convolutions and others, with every family; under ThreadSanitizer, that no two of them share what they write. */
#include "../port/port.h"
#include "network.h"
#include "qd/qd.h"
#include "test.h"

static _Alignas(64) uint8_t file[W_MAX], arena[W_MAX], workspace[1 << 20];
static _Alignas(64) uint8_t input[32 * 32 * 40 * 4], wanted[24 * 24 * 72 * 4], got[24 * 24 * 72 * 4];

/* A binary convolution (u8 pixels if `pixels`) large enough to be split, with an epilogue. */
static uint32_t write_conv(int pixels, uint32_t epilogue) {
    static writer w;
    static int8_t plain[72 * 9 * 64], packed[72 * 9 * 64];
    static int16_t zero[64];
    static int32_t thresholds[72];
    static float a[72], b[72];
    static const uint32_t types[] = {4, 6, 5};
    const uint32_t k = 9 * 64;
    uint32_t bytes, in, out;
    w_op op;
    memset(&w, 0, sizeof w);
    for (size_t i = 0; i < sizeof plain; i++) plain[i] = random_in(0, 1) ? 1 : -1;
    for (int i = 0; i < 72; i++) thresholds[i] = random_in(-40, 40), a[i] = (float)random_in(-99, 99) / 77.0f, b[i] = 0.375f;
    bytes = pixels ? w_pack_int8(plain, 72, k, packed) : w_pack_bits(plain, 72, 9, 64, (uint8_t *)packed);
    in = w_buffer(&w, pixels ? 1 : 6, 24, 24, 64);
    out = w_buffer(&w, types[epilogue], 24, 24, 72);
    op = w_op_new(1, in, out);
    op.epilogue = epilogue;
    op.weights = pixels ? 2 : 1;
    op.constants[0] = w_constant(&w, pixels ? 2 : 1, bytes, packed);
    if (pixels) op.constants[1] = w_constant(&w, 3, 64, zero);
    if (epilogue == 1) op.constants[2] = w_constant(&w, 4, 72, thresholds);
    if (epilogue == 2) {
        op.steps = 2;
        op.constants[4] = w_constant(&w, 5, 72, a);
        op.constants[5] = w_constant(&w, 5, 72, b);
    }
    op.kernel[0] = op.kernel[1] = 3;
    op.stride[0] = op.stride[1] = 1;
    for (int i = 0; i < 4; i++) op.padding[i] = 1;
    op.scratch_bytes = 4 * align_to(pixels ? 2 * k : 72, 64) + 16 * align_to(72, 32);
    w_add(&w, &op, "conv");
    return w_finish(&w, in, out, file);
}

static w_op windowed(uint32_t opcode, uint32_t in, uint32_t out) {
    w_op op = w_op_new(opcode, in, out);
    op.kernel[0] = op.kernel[1] = 2;
    op.stride[0] = op.stride[1] = 1;
    return op;
}

/* A max-pool of a stream, then a quantiser, or signs and a pool of bits; before the signs maybe another stream. */
static uint32_t write_others(int quantized, int streamed) {
    static writer w;
    static float a[40], b[40];
    static const uint8_t mask[8] = {0x5A, 0xFF, 0, 0xA5, 0x3C};
    uint32_t in, last, next;
    w_op op;
    memset(&w, 0, sizeof w);
    for (int i = 0; i < 40; i++) a[i] = (float)random_in(-99, 99) / 77.0f, b[i] = 0.375f;
    in = w_buffer(&w, 5, 32, 32, 40);
    last = w_buffer(&w, 5, 31, 31, 40);
    op = windowed(4, in, last);
    w_add(&w, &op, "max");
    if (streamed) {
        next = w_buffer(&w, 5, 31, 31, 40);
        op = w_op_new(8, last, next);
        op.steps = 2 + 16;
        op.constants[4] = w_constant(&w, 5, 40, a);
        op.constants[5] = w_constant(&w, 5, 40, b);
        w_add(&w, &op, "stream");
        last = next;
    }
    next = w_buffer(&w, quantized ? 2 : 6, 31, 31, 40);
    op = w_op_new(quantized ? 5 : 2, last, next);
    if (quantized) op.reals[0] = 0.125f, op.range[0] = -100, op.range[1] = 100;
    w_add(&w, &op, "narrow");
    last = next;
    if (!quantized) {
        next = w_buffer(&w, 6, 30, 30, 40);
        op = windowed(3, last, next);
        op.constants[7] = w_constant(&w, 1, 8, mask);
        w_add(&w, &op, "bits");
        last = next;
    }
    return w_finish(&w, in, last, file);
}

static port_pool *pools[5];

static void compare(uint32_t size, const char *what, int variant, int other) {
    qd_model model;
    const qd_status opened = qd_open(&model, file, size, NULL);
    CHECK(opened == QD_OK, "%s: %s", what, qd_status_str(opened));
    if (opened != QD_OK) return;
    CHECK(3 * qd_workspace_bytes(&model) <= sizeof workspace, "%zu", qd_workspace_bytes(&model));
    for (int family = QD_REF; family < QD_FAMILY_COUNT; family++) {
        qd_options options = {(qd_family)family, NULL, NULL, NULL, NULL, 1, NULL};
        if (!qd_kernels_available((qd_family)family)) continue;
        CHECK(qd_run(&model, &options, arena, sizeof arena, input, wanted) == QD_OK, "one thread");
        options.parallel = port_pool_run;
        options.workspace = workspace;
        for (uint32_t threads = 1; threads <= 4; threads *= 2) {
            options.pool = pools[threads];
            options.threads = threads;
            for (int repeat = 0; repeat < 3; repeat++) {
                memset(got, 0, sizeof got);
                memset(arena, 0x5A, qd_arena_bytes(&model)); /* or a part that nobody computes is there from the last run */
                CHECK(qd_run(&model, &options, arena, sizeof arena, input, got) == QD_OK, "%u threads", (unsigned)threads);
                CHECK(memcmp(got, wanted, qd_output(&model).bytes) == 0, "family %d, %u threads, %s %d %d", family, (unsigned)threads,
                      what, variant, other);
            }
        }
        options.workspace = NULL;
        CHECK(qd_run(&model, &options, arena, sizeof arena, input, got) == QD_ARGUMENT, "no workspace");
    }
}

int main(void) {
    for (size_t threads = 1; threads <= 4; threads *= 2) pools[threads] = port_pool_new(threads);
    random_bytes(input, sizeof input);
    for (int pixels = 0; pixels < 2; pixels++) {
        for (int epilogue = 0; epilogue < 3; epilogue++) compare(write_conv(pixels, (uint32_t)epilogue), "convolution", pixels, epilogue);
    }
    for (size_t i = 0; i < sizeof input; i += 4) {
        const float value = (float)random_in(-999, 999) / 64.0f;
        memcpy(input + i, &value, 4);
    }
    for (int variant = 0; variant < 4; variant++) compare(write_others(variant % 2, variant / 2), "others", variant % 2, variant / 2);
    for (int i = 0; i < 5; i++) port_pool_free(pools[i]);
    return finish("threads");
}
