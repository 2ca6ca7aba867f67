/* port.h for POSIX systems. */
#define _POSIX_C_SOURCE 200809L

#include "port.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

void *port_alloc(size_t n) {
    void *memory = NULL;
    if (n == 0) n = 1;
    if (posix_memalign(&memory, 64, n) != 0) return NULL;
    memset(memory, 0, n);
    return memory;
}

void port_free(void *memory) { free(memory); }

/* A file of its own on a disk, mapped: nothing is copied, and pages are read when they are first looked at. Else NULL. */
static void *map_file(const char *path, size_t *size) {
    struct stat about;
    void *memory = MAP_FAILED;
    const int file = open(path, O_RDONLY);
    if (file < 0) return NULL;
    if (fstat(file, &about) == 0 && S_ISREG(about.st_mode) && about.st_size > 0) {
        *size = (size_t)about.st_size;
        memory = mmap(NULL, *size, PROT_READ, MAP_PRIVATE, file, 0);
    }
    close(file);
    return memory == MAP_FAILED ? NULL : memory;
}

/* Reads in pieces instead of asking for the size first, so that pipes work too. */
void *port_load(const char *path, size_t *size, const char **why) {
    void *mapped = map_file(path, size);
    FILE *file = mapped ? NULL : fopen(path, "rb");
    size_t capacity = (size_t)1 << 16, n = 0;
    unsigned char *data;
    if (mapped) return mapped;
    if (!file) {
        *why = strerror(errno);
        return NULL;
    }
    data = (unsigned char *)port_alloc(capacity);
    while (data) {
        n += fread(data + n, 1, capacity - n, file);
        if (n < capacity) break;
        {
            unsigned char *larger = capacity > SIZE_MAX / 2 ? NULL : (unsigned char *)port_alloc(2 * capacity);
            if (larger) memcpy(larger, data, n);
            port_free(data);
            data = larger;
            capacity *= 2;
        }
    }
    *why = data ? strerror(errno) : "not enough memory";
    if (data && ferror(file)) {
        port_free(data);
        data = NULL;
    }
    fclose(file);
    *size = n;
    return data;
}

int port_make_folder(const char *path) { return mkdir(path, 0777) == 0 || errno == EEXIST; }

double port_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
