/*
 * batch FAMILY < records > outputs: many models in one process. A record is the size of a model and the number of its samples (u32 each),
 * the model, and the samples as qd_run takes them; what qd_run gives for each is written one after the other.
 */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>

#include "qd/qd.h"

static void *block(size_t n) {
    void *memory = NULL;
    if (posix_memalign(&memory, 64, n ? n : 1) != 0) exit(2);
    return memory;
}

static void need(void *to, size_t n) {
    if (fread(to, 1, n, stdin) != n) exit(2);
}

int main(int argc, char **argv) {
    uint32_t head[2];
    qd_options options = {QD_AUTO, NULL, NULL, NULL, NULL, 1, NULL};
    if (argc != 2) return 2;
    options.kernels = (qd_family)atoi(argv[1]);
    for (long number = 0; fread(head, sizeof head, 1, stdin) == 1; number++) {
        void *data = block(head[0]), *arena, *in, *out;
        qd_model model;
        qd_status status;
        need(data, head[0]);
        status = qd_open(&model, data, head[0], NULL);
        if (status != QD_OK) {
            fprintf(stderr, "model %ld is refused: %s\n", number, qd_status_str(status));
            return 1;
        }
        arena = block(qd_arena_bytes(&model));
        in = block(qd_input(&model).bytes);
        out = block(qd_output(&model).bytes);
        for (uint32_t i = 0; i < head[1]; i++) {
            need(in, qd_input(&model).bytes);
            status = qd_run(&model, &options, arena, qd_arena_bytes(&model), in, out);
            if (status != QD_OK) return 1;
            fwrite(out, 1, qd_output(&model).bytes, stdout);
        }
        free(data);
        free(arena);
        free(in);
        free(out);
    }
    return fflush(stdout) != 0;
}
