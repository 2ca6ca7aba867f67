/* What the command-line tools share: messages, options, opening a model. Each tool is one translation unit. */
#ifndef QD_TOOL_H
#define QD_TOOL_H

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../port/port.h"
#include "qd/qd.h"

#if defined(__GNUC__)
#define TOOL_ONCE __attribute__((cold)) /* compiled to be small */
#else
#define TOOL_ONCE
#endif

enum { TOOL_OK = 0, TOOL_FAILED = 1, TOOL_BAD_INPUT = 2 };

#if defined(__GNUC__)
__attribute__((format(printf, 2, 3), noreturn))
#endif
static void die(int code, const char *format, ...) {
    va_list values;
    va_start(values, format);
    fputs("error: ", stderr);
    vfprintf(stderr, format, values);
    fputc('\n', stderr);
    va_end(values);
    exit(code);
}

static const char *const family_names[] = {"auto", "ref", "avx2", "neon", "avx512", "arm32", "dotprod"};

/* A family by name that this machine has; else ends the program. */
static qd_family family_of(const char *name) {
    for (int i = 0; i < QD_FAMILY_COUNT; i++) {
        if (strcmp(name, family_names[i]) == 0) {
            if (!qd_kernels_available((qd_family)i)) die(TOOL_BAD_INPUT, "this machine or build has no %s kernels", name);
            return (qd_family)i;
        }
    }
    die(TOOL_BAD_INPUT, "unknown kernels '%s' (auto, ref, avx2, avx512, neon, dotprod or arm32)", name);
}

/* Release, format, and the families that this machine has. */
static void print_version(const char *tool) {
    printf("%s %s, format %d.%d, kernels", tool, QD_RELEASE, QD_FORMAT_MAJOR, QD_FORMAT_MINOR);
    for (int i = QD_REF; i < QD_FAMILY_COUNT; i++) {
        if (qd_kernels_available((qd_family)i)) printf(" %s", family_names[i]);
    }
    putchar('\n');
}

/* A whole number in [low, high]; else ends the program. */
static long number_of(const char *option, const char *text, long low, long high) {
    char *end;
    const long n = strtol(text, &end, 10);
    if (end == text || *end != '\0' || n < low || n > high) {
        die(TOOL_BAD_INPUT, "%s needs a number from %ld to %ld, not '%s'", option, low, high, text);
    }
    return n;
}

static void *need_memory(size_t n) {
    void *memory = port_alloc(n);
    if (!memory) die(TOOL_FAILED, "not enough memory for %zu bytes", n);
    return memory;
}

/* Opens a model file; says which part is wrong and ends the program if it is not valid. */
static qd_model open_model(const char *path) {
    static const char *const places[] = {"", "buffer", "constant", "operator"};
    const char *why = "";
    size_t size = 0;
    void *data = port_load(path, &size, &why);
    qd_model model;
    qd_error error;
    if (!data) die(TOOL_BAD_INPUT, "%s: %s", path, why);
    if (qd_open(&model, data, size, &error) != QD_OK) {
        if (error.place == QD_IN_FILE) die(TOOL_BAD_INPUT, "%s: %s", path, qd_status_str(error.status));
        die(TOOL_BAD_INPUT, "%s: %s %lu: %s", path, places[error.place], (unsigned long)error.index,
            qd_status_str(error.status));
    }
    return model;
}

#endif
