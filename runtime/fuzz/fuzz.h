/* What the fuzz targets share. A target is LLVMFuzzerTestOneInput; libFuzzer or replay.c calls it. */
#ifndef QD_FUZZ_H
#define QD_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the program as a finding where a promise of qd.h is broken. */
#define PROMISE(condition)                                                       \
    do {                                                                         \
        if (!(condition)) {                                                      \
            fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                             \
        }                                                                        \
    } while (0)

/* A 64-byte aligned block of exactly n bytes, so that a sanitizer sees the first byte past it. */
static inline uint8_t *exactly(size_t n) {
    void *memory = NULL;
    PROMISE(posix_memalign(&memory, 64, n ? n : 1) == 0);
    return (uint8_t *)memory;
}

static inline uint8_t *exact_copy(const uint8_t *data, size_t size) {
    uint8_t *copy = exactly(size);
    if (size) memcpy(copy, data, size);
    return copy;
}

#endif
