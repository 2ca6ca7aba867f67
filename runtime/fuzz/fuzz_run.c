/*
 * What qd_open accepts runs in exactly the memory that it states, and every kernel family gives the same bytes.
 * Built with a small QD_MAX_WORK, so that the library itself refuses what would take long.
 */
#define _POSIX_C_SOURCE 200809L
#include "fuzz.h"

#include "qd/qd.h"

enum { MOST_MACS = 1 << 24, MOST_MEMORY = 1 << 24 };

/* Pseudo-random bytes from the file's own. Spare bits of a bit map must be 0, so bits are all 0 or all as they come. */
static void make_input(qd_tensor t, uint32_t state, uint8_t *to) {
    for (size_t i = 0; i < t.bytes; i++) {
        state = state * 1664525u + 1013904223u;
        to[i] = t.dtype == QD_BITS || t.dtype == QD_TRITS ? 0 : (uint8_t)(state >> 24);
    }
}

static void run(const qd_model *model, qd_family family, const uint8_t *input, uint8_t *output) {
    const qd_options options = {family, NULL, NULL, NULL, NULL, 1, NULL};
    uint8_t *arena = exactly(qd_arena_bytes(model));
#ifndef QD_FUZZ_MEMORY /* under MemorySanitizer it stays unwritten */
    memset(arena, family == QD_REF ? 0xEE : 0x11, qd_arena_bytes(model));
#endif
    PROMISE(qd_run(model, &options, arena, qd_arena_bytes(model), input, output) == QD_OK);
    free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *file = exact_copy(data, size);
    qd_model model;
    if (qd_open(&model, file, size, NULL) == QD_OK && qd_macs(&model) <= MOST_MACS && qd_arena_bytes(&model) <= MOST_MEMORY) {
        const size_t in = qd_input(&model).bytes, out = qd_output(&model).bytes;
        uint8_t *input = exactly(in), *output = exactly(out), *again = exactly(out);
        make_input(qd_input(&model), (uint32_t)file[12] | (uint32_t)file[13] << 8, input);
        run(&model, QD_REF, input, output);
        run(&model, QD_AUTO, input, again);
        PROMISE(memcmp(output, again, out) == 0);
        free(input);
        free(output);
        free(again);
    }
    PROMISE(size == 0 || memcmp(file, data, size) == 0);
    free(file);
    return 0;
}
