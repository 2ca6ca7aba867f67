/* Rows of the verifier's test: a sound file, a few fields changed, and the reason and the place of the refusal. Before it: _DEFAULT_SOURCE. */
#ifndef QD_TEST_ROWS_H
#define QD_TEST_ROWS_H

#include <sys/mman.h>

#include "qd/qd.h"
#include "network.h"
#include "qd_crc.h"
#include "network_island.h"
#include "network_move.h"
#include "qd_format.h"
#include "qd_read.h"
#include "qd_verify.h"
#include "test.h"

static _Alignas(64) uint8_t file[W_MAX], sound[W_MAX];
static uint32_t size;

typedef struct record {
    qd_place place;
    uint32_t index, at;
} record;

/* Fields of the records, as docs/qdm.md has them. */
static const struct field {
    const char *name;
    uint32_t at, width;
} fields[] = {
    {"major", 4, 2}, {"minor", 6, 2}, {"size", 8, 4}, {"flags", 16, 4}, {"buffers", 20, 4}, {"operators", 24, 4},
    {"constants", 28, 4}, {"buffers_at", 32, 4}, {"operators_at", 36, 4}, {"constants_at", 40, 4}, {"names_at", 44, 4},
    {"names_size", 48, 4}, {"arena", 52, 4}, {"input", 56, 2}, {"output", 58, 2}, {"last", 60, 4},
    /* of a buffer or a constant */
    {"dtype", 0, 1}, {"empty1", 1, 1}, {"empty2", 2, 1}, {"empty3", 3, 1}, {"h", 4, 4}, {"w", 8, 4}, {"c", 12, 4},
    {"offset", 16, 4}, {"bytes", 20, 4}, {"count", 4, 4}, {"data_at", 8, 4}, {"empty4", 12, 4},
    /* of an operator */
    {"opcode", 0, 1}, {"epilogue", 1, 1}, {"weights", 2, 1}, {"inputs", 3, 1}, {"in0", 4, 2}, {"in1", 6, 2}, {"in2", 8, 2},
    {"in3", 10, 2}, {"out", 12, 2}, {"steps", 14, 2}, {"kernel_h", 16, 2}, {"kernel_w", 18, 2}, {"stride_h", 20, 2},
    {"stride_w", 22, 2}, {"top", 24, 2}, {"left", 26, 2}, {"bottom", 28, 2}, {"right", 30, 2}, {"dilation_h", 32, 2},
    {"dilation_w", 34, 2}, {"groups", 36, 4}, {"k0", 40, 2}, {"k1", 42, 2}, {"k2", 44, 2}, {"k3", 46, 2}, {"k4", 48, 2},
    {"k5", 50, 2}, {"k6", 52, 2}, {"k7", 54, 2}, {"real0", 56, 4}, {"real1", 60, 4}, {"low", 64, 4}, {"high", 68, 4},
    {"scratch", 72, 4}, {"scratch_bytes", 76, 4}, {"name", 80, 4}, {"length", 84, 4}, {"spare0", 88, 4}, {"spare1", 92, 4}};

static uint32_t get(const uint8_t *p, uint32_t width) {
    uint32_t v = 0;
    for (uint32_t i = 0; i < width; i++) v |= (uint32_t)p[i] << 8 * i;
    return v;
}

static void put(uint8_t *p, uint32_t width, uint32_t v) {
    for (uint32_t i = 0; i < width; i++) p[i] = (uint8_t)(v >> 8 * i);
}

static void unknown(const char *what) {
    printf("not understood: %s\n", what);
    exit(2);
}

/* "header", "first", "first.in", "first.second", "first.out", "first.k2"; moves *text behind it. Read from the sound file. */
static record find(const char **text) {
    const uint8_t *ops = sound + get(sound + 36, 4);
    const size_t length = strcspn(*text, ".: ");
    record found = {QD_IN_FILE, 0, 0};
    const char *name = *text;
    *text += length;
    if (length == 6 && memcmp(name, "header", 6) == 0) return found;
    for (uint32_t i = 0; i < get(sound + 24, 4); i++) {
        const uint8_t *op = ops + 96 * i;
        if (get(op + 84, 4) != length || memcmp(sound + get(sound + 44, 4) + get(op + 80, 4), name, length) != 0) continue;
        found.place = QD_IN_OPERATOR;
        found.index = i;
        found.at = (uint32_t)(op - sound);
        if (**text != '.') return found;
        name = ++*text;
        *text += strcspn(*text, ": ");
        if (name[0] == 'k') {
            found.place = QD_IN_CONSTANT;
            found.index = get(op + 40 + 2 * (name[1] - '0'), 2);
            found.at = get(sound + 40, 4) + 16 * found.index;
        } else {
            found.place = QD_IN_BUFFER;
            found.index = get(op + (name[0] == 'i' ? 4 : name[0] == 's' ? 6 : 12), 2);
            found.at = get(sound + 32, 4) + 24 * found.index;
        }
        return found;
    }
    unknown(name);
    return found;
}

/* "first:kernel_h=0", "first.out:h+1", "first.k2:data[5]=255": +, - and = with a decimal or 0x number. */
static void edit(const char **text) {
    const record where = find(text);
    const char *name = ++*text;
    const size_t length = strcspn(name, "=+-");
    char sign, *end;
    uint32_t value;
    struct field f = {NULL, 0, 0};
    if (strncmp(name, "data[", 5) == 0) {
        f.at = get(sound + where.at + 8, 4) - where.at + (uint32_t)strtoul(name + 5, NULL, 10);
        f.width = 1;
    } else if (name[0] == '@') { /* a byte of the file */
        f.at = (uint32_t)strtoul(name + 1, NULL, 10) - where.at;
        f.width = 1;
    }
    for (size_t i = 0; i < sizeof fields / sizeof *fields && f.width == 0; i++) {
        if (strlen(fields[i].name) == length && memcmp(fields[i].name, name, length) == 0) f = fields[i];
    }
    if (f.width == 0) unknown(name);
    sign = name[length];
    if (name[length + 1] == '&') { /* where another buffer is in the arena */
        *text = name + length + 2;
        value = get(sound + find(text).at + 16, 4);
    } else {
        value = (uint32_t)strtoul(name + length + 1, &end, 0);
        *text = end;
    }
    if (sign != '=') value = get(file + where.at + f.at, f.width) + (sign == '+' ? value : 0u - value);
    put(file + where.at + f.at, f.width, value);
}

/* Opens the changed file where the first byte past it cannot be read. */
static qd_error opened_as(int seal) {
    enum { UNREADABLE = 1 << 22 };
    static uint8_t *end;
    uint8_t *data;
    qd_error error;
    qd_model model;
    if (!end) {
        end = (uint8_t *)mmap(NULL, W_MAX + UNREADABLE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (end == (uint8_t *)MAP_FAILED || mprotect(end + W_MAX, UNREADABLE, PROT_NONE) != 0) unknown("no memory");
        end += W_MAX;
    }
    data = end - (size + 63) / 64 * 64;
    memcpy(data, file, size);
    if (seal) w_seal(data, size);
    CHECK(qd_open(&model, data, size, &error) == error.status, "the status is not the one of the detail");
    return error;
}

static qd_error opened(void) { return opened_as(1); }

/* The sound file with edits ("a:b=c d:e+1") is refused for this reason at this place, or accepted (QD_OK, "header"). */
static void row(const char *edits, qd_status status, const char *place) {
    const char *text = edits, *at = place;
    const record where = find(&at);
    qd_error error;
    memcpy(file, sound, size);
    while (*text) {
        edit(&text);
        text += strspn(text, " ");
    }
    error = opened();
    CHECK(error.status == status && error.place == where.place && error.index == where.index,
          "\"%s\": status %d (%s), place %d index %u; expected %d", edits, (int)error.status, qd_status_str(error.status),
          (int)error.place, (unsigned)error.index, (int)status);
}

static void keep(uint32_t bytes) {
    size = bytes;
    memcpy(sound, file, size);
}

static writer w;

/* A network of one operator, named "x". */
static w_op alone(uint32_t opcode, const uint32_t in[4], const uint32_t out[4]) {
    memset(&w, 0, sizeof w);
    w_buffer(&w, in[0], in[1], in[2], in[3]);
    w_buffer(&w, out[0], out[1], out[2], out[3]);
    return w_op_new(opcode, 0, 1);
}

static void made(const w_op *op) {
    w_add(&w, op, "x");
    keep(w_finish(&w, 0, 1, file));
}

#define SHAPE(dtype, h, w, c) ((const uint32_t[4]){dtype, h, w, c})

#endif
