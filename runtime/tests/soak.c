/*
 * soak FILE THREADS RUNS: so many inferences of one model by threads that share it, each with its own arena and its own inputs.
 * Every output must equal the one that a single thread computed first with the reference kernels. Build with AddressSanitizer or
 * ThreadSanitizer, or run under valgrind, to see leaks and races.
 */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>

#include "qd/qd.h"
#include "test.h"

enum { INPUTS = 8, MOST_THREADS = 64 };

static qd_model model;
static uint8_t *inputs[INPUTS], *expected[INPUTS];

typedef struct worker {
    pthread_t thread;
    long runs, wrong;
    unsigned number;
} worker;

static uint8_t *block(size_t n) {
    void *memory = NULL;
    if (posix_memalign(&memory, 64, n ? n : 1) != 0) exit(2);
    return (uint8_t *)memory;
}

static void *work(void *argument) {
    worker *w = (worker *)argument;
    const size_t bytes = qd_arena_bytes(&model), out = qd_output(&model).bytes;
    uint8_t *arena = block(bytes), *output = block(out);
    memset(arena, (int)w->number, bytes);
    for (long i = 0; i < w->runs; i++) {
        const size_t k = ((size_t)i + w->number) % INPUTS;
        w->wrong += qd_run(&model, NULL, arena, bytes, inputs[k], output) != QD_OK || memcmp(output, expected[k], out) != 0;
    }
    free(arena);
    free(output);
    return NULL;
}

static uint8_t *read_file(const char *path, size_t *size) {
    FILE *from = fopen(path, "rb");
    uint8_t *data;
    if (!from || fseek(from, 0, SEEK_END) != 0) {
        perror(path);
        exit(2);
    }
    *size = (size_t)ftell(from);
    rewind(from);
    data = block(*size);
    if (fread(data, 1, *size, from) != *size) exit(2);
    fclose(from);
    return data;
}

int main(int argc, char **argv) {
    static worker workers[MOST_THREADS];
    qd_options reference;
    const long threads = argc > 3 ? atol(argv[2]) : 0, runs = argc > 3 ? atol(argv[3]) : 0;
    size_t size;
    uint8_t *data, *arena;
    if (threads < 1 || threads > MOST_THREADS || runs < 1) {
        puts("use: soak FILE THREADS RUNS");
        return 2;
    }
    memset(&reference, 0, sizeof reference);
    reference.kernels = QD_REF;
    data = read_file(argv[1], &size);
    if (qd_open(&model, data, size, NULL) != QD_OK) return 2;
    arena = block(qd_arena_bytes(&model));
    for (size_t k = 0; k < INPUTS; k++) {
        const qd_tensor in = qd_input(&model);
        inputs[k] = block(in.bytes);
        expected[k] = block(qd_output(&model).bytes);
        random_bytes(inputs[k], in.bytes);
        if (in.dtype >= QD_F32) memset(inputs[k], 0, in.bytes); /* not every byte is a number, and spare bits are 0 */
        CHECK(qd_run(&model, &reference, arena, qd_arena_bytes(&model), inputs[k], expected[k]) == QD_OK, "the first run");
    }
    for (long i = 0; i < threads; i++) {
        workers[i].runs = runs / threads + (i < runs % threads);
        workers[i].number = (unsigned)i;
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0) return 2;
    }
    for (long i = 0; i < threads; i++) {
        pthread_join(workers[i].thread, NULL);
        CHECK(workers[i].wrong == 0, "thread %ld: %ld of %ld outputs differ", i, workers[i].wrong, workers[i].runs);
    }
    for (size_t k = 0; k < INPUTS; k++) {
        free(inputs[k]);
        free(expected[k]);
    }
    free(arena);
    free(data);
    printf("%ld inferences by %ld threads over one model\n", runs, threads);
    return finish("soak");
}
