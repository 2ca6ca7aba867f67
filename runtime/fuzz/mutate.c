/* How libFuzzer changes .qdm files: also whole fields of the tables, and with a size and a checksum that are right again. */
#include "../tests/writer.h"
#include "qd_crc.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

enum { HEADER = 64 };

static uint32_t next(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* A field of two or four bytes becomes a small number, a number of another field, or a neighbour of what it was. */
static void change_field(uint8_t *data, size_t size, uint32_t *state) {
    const uint32_t tables = data[44] | (uint32_t)data[45] << 8; /* where the names begin */
    const size_t end = tables > HEADER && tables < size ? tables : size;
    const size_t width = next(state) % 2 ? 2 : 4, at = 16 + next(state) % (end - 16 - width) / 2 * 2;
    uint8_t *field = data + at;
    switch (next(state) % 4) {
    case 0: memset(field, 0, width); field[0] = (uint8_t)(next(state) % 10); break;
    case 1: memmove(field, data + 16 + next(state) % (end - 16 - width) / 2 * 2, width); break;
    case 2: field[0] = (uint8_t)(field[0] + (next(state) % 2 ? 1 : 255)); break;
    default: memset(field, 0, width); field[next(state) % width] = (uint8_t)(1u << next(state) % 8);
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed) {
    uint32_t state = seed;
    if (size >= HEADER + 8 && next(&state) % 4) {
        for (uint32_t n = 1 + next(&state) % 3; n > 0; n--) change_field(data, size, &state);
    } else {
        size = LLVMFuzzerMutate(data, size, max_size);
    }
    if (size >= HEADER && size <= UINT32_MAX && next(&state) % 32) {
        put32(data + 8, (uint32_t)size);
        put32(data + 12, qd_crc32(data + 16, size - 16, qd_cpu_features())); /* the library's: w_crc goes bit by bit, and took half of the time */
    }
    return size;
}
