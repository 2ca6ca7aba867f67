/* The readers of PNM and .npy files and of manifests of the tools: any bytes end in an answer or in an error message. The first byte chooses a model's input. */
#define _POSIX_C_SOURCE 200809L
#include "fuzz.h"

#include <setjmp.h>

static jmp_buf refused;
static FILE *nowhere;

/* The tools end the program at an error; here that comes back, and says nothing. */
#define exit(status) longjmp(refused, 1 + (status))
#undef stderr
#define stderr nowhere
#include "../tools/check.h"
#include "../tools/tool.h"
#include "../tools/tool_files.h"

static void read_all(const uint8_t *file, size_t size, qd_tensor want, uint8_t *sample) {
    const samples from = samples_of("input", file, size, want);
    for (size_t i = 0; i < from.n && i < 4; i++) take_sample(&from, i, want, sample);
    if (from.n > 4) take_sample(&from, from.n - 1, want, sample);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const qd_tensor wants[] = {{QD_U8, 2, 3, 3, 18}, {QD_U8, 4, 4, 1, 16}, {QD_I8, 1, 1, 5, 5},
                                      {QD_I16, 2, 2, 3, 24}, {QD_F32, 3, 1, 2, 24}, {QD_I32, 1, 1, 2, 8}};
    qd_tensor want;
    uint8_t *file, *sample;
    char hash[HASH_DIGITS + 1];
    if (size == 0) return 0;
    if (!nowhere) nowhere = fopen("/dev/null", "w");
    want = wants[data[0] % (sizeof wants / sizeof *wants)];
    file = exact_copy(data + 1, size - 1);
    sample = exactly(want.bytes);
    if (setjmp(refused) == 0) read_all(file, size - 1, want, sample);
    manifest_hash((const char *)file, size - 1, "model.qdm", hash);
    free(sample);
    free(file);
    return 0;
}
