/* Calls a fuzz target with each file named: a corpus without libFuzzer. Prints "NAME: N passed, 0 failed"; a finding ends the program. */
#define _POSIX_C_SOURCE 200809L
#include "fuzz.h"

int main(int argc, char **argv) {
    static uint8_t data[1 << 20];
    for (int i = 1; i < argc; i++) {
        FILE *file = fopen(argv[i], "rb");
        size_t size;
        if (!file) {
            perror(argv[i]);
            return 2;
        }
        size = fread(data, 1, sizeof data, file);
        fclose(file);
        fprintf(stderr, "%s\n", argv[i]);
        LLVMFuzzerTestOneInput(data, size);
    }
    printf("%s: %d passed, 0 failed\n", argv[0], argc - 1);
    return 0;
}
