/* One, two and four threads give the same bytes, with every family; under ThreadSanitizer, that no two of them share what they write. */
#include "../port/port.h"
#include "network.h"
#include "qd/qd.h"
#include "test.h"

static _Alignas(64) uint8_t file[W_MAX], arena[W_MAX], workspace[1 << 20];
static uint8_t input[24 * 24 * 64], wanted[24 * 24 * 72 * 4], got[24 * 24 * 72 * 4];

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

int main(void) {
    port_pool *pools[5] = {NULL, port_pool_new(1), port_pool_new(2), NULL, port_pool_new(4)};
    for (int pixels = 0; pixels < 2; pixels++) {
        for (uint32_t epilogue = 0; epilogue < 3; epilogue++) {
            const uint32_t size = write_conv(pixels, epilogue);
            qd_model model;
            const qd_status opened = qd_open(&model, file, size, NULL);
            CHECK(opened == QD_OK, "%s", qd_status_str(opened));
            if (opened != QD_OK) continue;
            CHECK(3 * qd_workspace_bytes(&model) <= sizeof workspace, "%zu", qd_workspace_bytes(&model));
            random_bytes(input, sizeof input);
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
                        CHECK(memcmp(got, wanted, qd_output(&model).bytes) == 0, "family %d, %u threads, pixels %d, epilogue %u",
                              family, (unsigned)threads, pixels, (unsigned)epilogue);
                    }
                }
                options.workspace = NULL;
                CHECK(qd_run(&model, &options, arena, sizeof arena, input, got) == QD_ARGUMENT, "no workspace");
            }
        }
    }
    for (int i = 0; i < 5; i++) port_pool_free(pools[i]);
    return finish("threads");
}
