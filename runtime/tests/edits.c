/*
 * edits [VALUES [FILE...]]: every truncation and every single-byte change of model files, as they are and with size and checksum made
 * right again; what is accepted runs. By default six small networks of different kinds, and all 255 other values.
 *
 * Build with AddressSanitizer: the file, the arena, input and output are blocks of exactly their size. A run is bounded by QD_MAX_WORK.
 */
#define _POSIX_C_SOURCE 200809L
#include "qd/qd.h"
#include "network.h"
#include "network_island.h"
#include "network_move.h"

static long loads, accepted, runs;

static uint8_t *block(size_t n) {
    void *memory = NULL;
    if (posix_memalign(&memory, 64, n ? n : 1) != 0) exit(2);
    return (uint8_t *)memory;
}

static qd_status attempt(const uint8_t *bytes, uint32_t size) {
    uint8_t *data = block(size);
    qd_model model;
    qd_status status;
    memcpy(data, bytes, size);
    status = qd_open(&model, data, size, NULL);
    loads++;
    if (status == QD_OK) {
        accepted++;
        if (qd_arena_bytes(&model) <= 1 << 24 && qd_macs(&model) <= 1 << 24) {
            uint8_t *arena = block(qd_arena_bytes(&model)), *in = block(qd_input(&model).bytes), *out = block(qd_output(&model).bytes);
            memset(arena, 0xEE, qd_arena_bytes(&model));
            memset(in, 0, qd_input(&model).bytes);
            CHECK(qd_run(&model, NULL, arena, qd_arena_bytes(&model), in, out) == QD_OK, "accepted, but does not run");
            runs++;
            free(arena);
            free(in);
            free(out);
        }
    }
    free(data);
    return status;
}

/* `sound` has size bytes and is changed only for the moment. */
static void all_edits(uint8_t *sound, uint32_t size, uint32_t values) {
    static uint8_t cut[W_MAX];
    CHECK(attempt(sound, size) == QD_OK, "the file itself is refused");
    for (uint32_t n = 0; n < size; n++) {
        CHECK(attempt(sound, n) != QD_OK, "cut off at %u", (unsigned)n);
        memcpy(cut, sound, n);
        if (n < 64) continue;
        put32(cut + 8, n);
        w_seal(cut, n);
        attempt(cut, n);
    }
    for (uint32_t at = 0; at < size; at++) {
        const uint8_t was = sound[at], checksum[4] = {sound[12], sound[13], sound[14], sound[15]};
        for (uint32_t v = 1; v <= values; v++) {
            sound[at] = (uint8_t)(was ^ (values == 255 ? v : random_u32() % 255 + 1));
            /* The checksum covers all but the first 16 bytes; of these only the minor version may be another one that is known. */
            CHECK(attempt(sound, size) != QD_OK || (at == 6 && sound[at] <= QD_FORMAT_MINOR), "byte %u as %u is accepted", (unsigned)at,
                  (unsigned)sound[at]);
            w_seal(sound, size);
            attempt(sound, size);
            memcpy(sound + 12, checksum, 4);
            sound[at] = was;
        }
    }
}

/* One convolution and one more operator: a dense layer of bits, one of 8-bit pixels, one of trits. */
static uint32_t write_dense(uint8_t *file, uint32_t kind) {
    static writer w;
    static int8_t weights[10 * 40];
    static uint8_t packed[4096];
    static int16_t zero[40];
    static int32_t thresholds[20];
    const uint32_t c = kind == 1 ? 12 : 19, o = 5, dtype = kind == 0 ? 6 : kind == 1 ? 1 : 7;
    uint32_t in, out, n;
    w_op op;
    memset(&w, 0, sizeof w);
    for (size_t i = 0; i < sizeof weights; i++) weights[i] = (int8_t)(kind == 2 ? random_in(-1, 1) : random_in(0, 1) ? 1 : -1);
    for (int i = 0; i < 20; i++) thresholds[i] = 4 * (i / 5) - 2;
    in = w_buffer(&w, dtype, 2, 1, c);
    out = w_buffer(&w, kind == 0 ? 6 : kind == 1 ? 4 : 2, 2, 1, o);
    op = w_op_new(1, in, out);
    op.epilogue = kind == 0 ? 1 : kind == 1 ? 0 : 3;
    op.weights = kind == 0 ? 1 : kind == 1 ? 2 : 3;
    n = kind == 0   ? w_pack_bits(weights, o, 1, c, packed)
        : kind == 1 ? w_pack_int8(weights, o, c, (int8_t *)packed)
                    : w_pack_trits(weights, o, 1, c, packed);
    op.constants[0] = w_constant(&w, kind == 1 ? 2 : 1, n, packed);
    if (kind == 1) op.constants[1] = w_constant(&w, 3, c, zero);
    if (kind != 1) op.constants[2] = w_constant(&w, 4, kind == 0 ? o : 2 * o, thresholds);
    if (kind == 2) op.range[1] = -1;
    op.kernel[0] = op.kernel[1] = op.stride[0] = op.stride[1] = 1;
    op.scratch_bytes = 4 * 64 + 16 * 32;
    w_add(&w, &op, "dense");
    return w_finish(&w, in, out, file);
}

static uint32_t write_kind(uint8_t *file, int kind) {
    if (kind >= 5) return kind == 6 ? write_islands(file) : write_moves(file);
    return kind < 2 ? write_network(file, kind) : write_dense(file, (uint32_t)kind - 2);
}

int main(int argc, char **argv) {
    static uint8_t file[W_MAX];
    const uint32_t values = argc > 1 ? (uint32_t)atoi(argv[1]) : 255;
    for (int i = 0; argc <= 2 && i < 7; i++) all_edits(file, write_kind(file, i), values);
    for (int i = 2; i < argc; i++) {
        FILE *from = fopen(argv[i], "rb");
        uint32_t size;
        if (!from) {
            perror(argv[i]);
            return 2;
        }
        size = (uint32_t)fread(file, 1, sizeof file, from);
        fclose(from);
        all_edits(file, size, values);
    }
    printf("%ld files opened, %ld accepted, %ld of them run\n", loads, accepted, runs);
    return finish("edits");
}
