/*
 * One row for every check of the verifier: a sound file, a few fields changed, the checksum made right again, and the very
 * reason and place of the refusal. tools/mutants.py removes the checks one by one; each time some row here must fail.
 */
#define _DEFAULT_SOURCE
#include <sys/mman.h>

#include "qd/qd.h"
#include "network.h"
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

static void whole_file(void) {
    uint32_t whole;
    keep(write_network(file, 1));
    whole = size;
    row("", QD_OK, "header");
    row("header:@0=0x50", QD_MAGIC, "header");
    row("header:@3=0x1B", QD_MAGIC, "header");
    row("header:major=0", QD_VERSION, "header");
    row("header:major=2", QD_VERSION, "header");
    row("header:size+1", QD_SIZE, "header");
    row("header:size-1", QD_SIZE, "header");
    row("header:flags=2", QD_RESERVED, "header");
    row("header:flags=0x80000001", QD_RESERVED, "header");
    row("header:flags=0", QD_FLAGS, "header");
    row("header:last=1", QD_RESERVED, "header");
    row("header:last=0x1000000", QD_RESERVED, "header");
    row("header:buffers=0", QD_COUNT, "header");
    row("header:buffers=4097", QD_COUNT, "header");
    row("header:buffers=4096", QD_PLACEMENT, "header");
    row("header:buffers=1", QD_PLACEMENT, "header");
    row("header:operators=0", QD_COUNT, "header");
    row("header:operators=4097", QD_COUNT, "header");
    row("header:operators=4096", QD_PLACEMENT, "header");
    row("header:operators=1", QD_PLACEMENT, "header");
    row("header:constants=32769", QD_COUNT, "header");
    row("header:constants=32768", QD_PLACEMENT, "header");
    row("header:buffers_at=65", QD_PLACEMENT, "header");
    row("header:buffers_at=0", QD_PLACEMENT, "header");
    row("header:operators_at+1", QD_PLACEMENT, "header");
    row("header:constants_at-1", QD_PLACEMENT, "header");
    row("header:names_at+1", QD_PLACEMENT, "header");
    row("header:names_size+10000", QD_PLACEMENT, "header");
    row("header:names_size=0xFFFFFFFF", QD_PLACEMENT, "header");
    row("header:arena+1", QD_BOUNDS, "header");
    row("header:arena+32", QD_BOUNDS, "header");
    row("header:input=0xFFFF", QD_INDEX, "header");
    row("header:input=12", QD_INDEX, "header");
    row("header:output=12", QD_INDEX, "header");
    {
        char text[160];
        const uint32_t names_at = get(sound + 44, 4), ops = get(sound + 24, 4) * 96, constants = get(sound + 28, 4) * 16;
        snprintf(text, sizeof text, "header:@%u=1", (unsigned)(names_at + get(sound + 48, 4)));
        row(text, QD_PADDING, "header");
        /* A table in the wrong place is not made good by the next one at 0. */
        snprintf(text, sizeof text, "header:buffers_at=0 header:operators_at=0 header:constants_at=%u header:names_at=%u", (unsigned)ops,
                 (unsigned)(ops + constants));
        row(text, QD_PLACEMENT, "header");
        snprintf(text, sizeof text, "header:operators_at=0 header:constants_at=0 header:names_at=%u", (unsigned)constants);
        row(text, QD_PLACEMENT, "header");
        row("header:constants_at=0 header:names_at=0", QD_PLACEMENT, "header");
        snprintf(text, sizeof text, "header:minor=%u", QD_FORMAT_MINOR);
        row(text, QD_OK, "header");
        snprintf(text, sizeof text, "header:minor=%u", QD_FORMAT_MINOR + 1);
        row(text, QD_VERSION, "header");
    }
    memcpy(file, sound, size);
    file[size - 1] ^= 1;
    CHECK(opened_as(0).status == QD_CRC, "a damaged file");
    {
        qd_model model;
        CHECK(qd_open(NULL, sound, size, NULL) == QD_ARGUMENT && qd_open(&model, NULL, size, NULL) == QD_ARGUMENT, "null");
        CHECK(qd_open(&model, sound + 1, size, NULL) == QD_MISALIGNED, "misaligned");
        CHECK(qd_open(&model, sound, size, NULL) == QD_OK, "no detail asked for");
    }
    for (size = 0; size < 64; size++) {
        qd_model model;
        qd_error error;
        CHECK(qd_open(&model, sound, size, &error) == QD_TRUNCATED && error.place == QD_IN_FILE, "%u bytes", (unsigned)size);
    }
    size = whole;
}


static void buffers_and_constants(void) {
    row("first.out:dtype=0", QD_DTYPE, "first.out");
    row("first.out:dtype=7", QD_DTYPE, "first.out");
    row("first.out:dtype=1", QD_BYTES, "first.out");
    row("first.out:empty1=1", QD_RESERVED, "first.out");
    row("first.out:empty2=1", QD_RESERVED, "first.out");
    row("first.out:empty3=128", QD_RESERVED, "first.out");
    row("first.out:h=0", QD_DIMENSIONS, "first.out");
    row("first.out:w=0", QD_DIMENSIONS, "first.out");
    row("first.out:c=0", QD_DIMENSIONS, "first.out");
    row("first.out:h=1", QD_BYTES, "first.out");
    row("first.out:w=1", QD_BYTES, "first.out");
    row("first.in:c=1", QD_BYTES, "first.in");
    row("first.out:h=32769", QD_DIMENSIONS, "first.out");
    row("first.out:w=32769", QD_DIMENSIONS, "first.out");
    row("first.out:c=65537", QD_DIMENSIONS, "first.out");
    row("first.out:h=32768", QD_BYTES, "first.out");
    row("first.out:w=32768", QD_BYTES, "first.out");
    row("first.out:c=65536", QD_BYTES, "first.out");
    row("first.out:bytes+1", QD_BYTES, "first.out");
    row("first.out:bytes-1", QD_BYTES, "first.out");
    row("first.out:offset+1", QD_BOUNDS, "first.out");
    row("first.out:offset+32", QD_BOUNDS, "first.out");
    row("first.out:offset=0x00100000", QD_BOUNDS, "first.out");
    row("first.out:offset=0xFFFFFFC0", QD_BOUNDS, "first.out");
    row("header:arena=64", QD_BOUNDS, "first.out");
    row("first.k1:empty1=1", QD_RESERVED, "first.k1");
    row("first.k1:empty2=1", QD_RESERVED, "first.k1");
    row("first.k1:empty3=1", QD_RESERVED, "first.k1");
    row("first.k1:empty4=1", QD_RESERVED, "first.k1");
    row("first.k1:dtype=0", QD_DTYPE, "first.k1");
    row("first.k1:dtype=6", QD_DTYPE, "first.k1");
    row("first.k1:count=0", QD_COUNT, "first.k1");
    row("first.k1:data_at+64", QD_PLACEMENT, "first.k1");
    row("first.k1:data_at+1", QD_PLACEMENT, "first.k1");
    row("first.k1:count=0x10000000", QD_PLACEMENT, "first.k1");
    row("first.k1:data[4]=1", QD_PADDING, "first.k1");
    row("first.k1:data[63]=1", QD_PADDING, "first.k1");
    row("head.k0:count=64", QD_SIZE, "header");
}

/* What holds for every operator. */
static void operators(void) {
    row("first:spare0=1", QD_RESERVED, "first");
    row("first:spare1=0x80000000", QD_RESERVED, "first");
    row("first:inputs=0", QD_INPUTS, "first");
    row("first:inputs=5", QD_INPUTS, "first");
    row("concat:inputs=4", QD_INDEX, "concat");
    row("first:in0=12", QD_INDEX, "first");
    row("first:in0=0xFFFF", QD_INDEX, "first");
    row("first:in1=0", QD_RESERVED, "first");
    row("first:in3=0", QD_RESERVED, "first");
    row("concat:in1=12", QD_INDEX, "concat");
    row("first:out=12", QD_INDEX, "first");
    row("first:out=0xFFFF", QD_INDEX, "first");
    row("first:k7=15", QD_INDEX, "first");
    row("first:k7=11", QD_INDEX, "first");
    row("first:k0=0xFFFE", QD_INDEX, "first");
    row("first:name=56", QD_NAME, "first");
    row("first:name=0xFFFFFFFF", QD_NAME, "first");
    row("first:length=100", QD_NAME, "first");
    row("first:length=0xFFFFFFFF", QD_NAME, "first");
    row("head:length+1", QD_NAME, "head");
    row("first:opcode=0", QD_OPCODE, "first");
    row("first:opcode=255", QD_OPCODE, "first");
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

/* A name is `n` bytes of UTF-8: status QD_OK or QD_NAME. */
static void name(const char *bytes, uint32_t n, qd_status status) {
    w_op op = alone(2, SHAPE(5, 1, 1, 1), SHAPE(6, 1, 1, 1));
    uint32_t at;
    w_add(&w, &op, "x");
    memcpy(w.names, bytes, n);
    w.names_size = n;
    put32(w.ops + 84, n);
    keep(w_finish(&w, 0, 1, file));
    at = opened().status;
    CHECK(at == (uint32_t)status, "name of %u bytes beginning %02X %02X: %u", (unsigned)n, (unsigned)(uint8_t)bytes[0], (unsigned)(uint8_t)bytes[n - 1], (unsigned)at);
}

static void names(void) {
    name("a", 1, QD_OK);
    name("\x7F", 1, QD_OK);
    name("a\0b", 3, QD_NAME);
    name("\x80", 1, QD_NAME);
    name("\x80\x80", 2, QD_NAME);
    name("\xF9\x80\x80\x80", 4, QD_NAME);
    name("\xC1\x81", 2, QD_NAME);
    name("\xBF\x80", 2, QD_NAME);
    name("\xC2\x80", 2, QD_OK);
    name("\xC2", 1, QD_NAME);
    name("\xC3\xA9", 2, QD_OK);
    name("\xDF\xBF", 2, QD_OK);
    name("\xDF\x40", 2, QD_NAME);
    name("\xDF\xC0", 2, QD_NAME);
    name("\xE0\x9F\xBF", 3, QD_NAME);
    name("\xE0\xA0\x80", 3, QD_OK);
    name("\xE1\x80", 2, QD_NAME);
    name("\xE1\x80\x41", 3, QD_NAME);
    name("\xED\x9F\xBF", 3, QD_OK);
    name("\xED\xA0\x80", 3, QD_NAME);
    name("\xED\xBF\xBF", 3, QD_NAME);
    name("\xEE\x80\x80", 3, QD_OK);
    name("\xEF\xBF\xBF", 3, QD_OK);
    name("\xF0\x8F\xBF\xBF", 4, QD_NAME);
    name("\xF0\x90\x80\x80", 4, QD_OK);
    name("\xF4\x8F\xBF\xBF", 4, QD_OK);
    name("\xF4\x90\x80\x80", 4, QD_NAME);
    name("\xF5\x80\x80\x80", 4, QD_NAME);
    name("\xF0\x90\x80", 3, QD_NAME);
    name("\xE2\x82\xAC\xF0\x9F\x98\x80z", 8, QD_OK);
    {   /* names that end where the file ends: nothing may be read behind them */
        char text[48];
        memset(text, 'n', sizeof text);
        name(text, 48, QD_OK);
        CHECK(size == 256, "%u bytes", (unsigned)size);
        put(file + 112 + 84, 4, 49);
        CHECK(opened().status == QD_NAME, "one byte too long");
        put(file + 112 + 84, 4, 0);
        put(file + 112 + 80, 4, 48);
        CHECK(opened().status == QD_OK, "no name, at the end");
        text[47] = '\xC2';
        name(text, 48, QD_NAME);
    }
}

/* The fields that one operator does not use, one by one: [first, last] of these names. */
static void unused(const char *op, const char *const *names_of, size_t n) {
    for (size_t i = 0; i < n; i++) {
        char text[64];
        snprintf(text, sizeof text, "%s:%s=1", op, names_of[i]);
        row(text, QD_RESERVED, op);
    }
}

#define UNUSED(op, ...)                                               \
    do {                                                              \
        static const char *const list[] = {__VA_ARGS__};              \
        unused(op, list, sizeof list / sizeof *list);                 \
    } while (0)
#define CONV_FIELDS "epilogue", "weights", "dilation_h", "dilation_w", "groups", "scratch", "scratch_bytes"
#define WINDOW_FIELDS "kernel_h", "kernel_w", "stride_h", "stride_w"
#define PADDING_FIELDS "top", "left", "bottom", "right"
#define REAL_FIELDS "real0", "real1"
#define RANGE_FIELDS "low", "high"

static void unused_fields(void) {
    UNUSED("sign", CONV_FIELDS, WINDOW_FIELDS, PADDING_FIELDS, "steps", REAL_FIELDS, RANGE_FIELDS);
    UNUSED("concat", CONV_FIELDS, WINDOW_FIELDS, PADDING_FIELDS, "steps", REAL_FIELDS, RANGE_FIELDS);
    UNUSED("sum", CONV_FIELDS, WINDOW_FIELDS, PADDING_FIELDS, "steps", REAL_FIELDS, RANGE_FIELDS);
    UNUSED("pool", CONV_FIELDS, PADDING_FIELDS, "steps", REAL_FIELDS, RANGE_FIELDS);
    UNUSED("max", CONV_FIELDS, PADDING_FIELDS, "steps", REAL_FIELDS, RANGE_FIELDS);
    UNUSED("quantize", CONV_FIELDS, WINDOW_FIELDS, PADDING_FIELDS, "steps");
    UNUSED("r\xC3\xA9sidu", CONV_FIELDS, WINDOW_FIELDS, PADDING_FIELDS, RANGE_FIELDS);
    UNUSED("first", RANGE_FIELDS, "steps", REAL_FIELDS);
    UNUSED("head", RANGE_FIELDS, "steps", REAL_FIELDS);
    UNUSED("second", RANGE_FIELDS, REAL_FIELDS);
}

/* Constants that an operator has no use for: any slot but its own. */
static void unused_constants(void) {
    static const struct {
        const char *op;
        unsigned slots; /* its own */
    } rows[] = {{"first", 1u << 0 | 1u << 1 | 1u << 2}, {"pool", 1u << 7}, {"second", 0xF9}, {"sign", 0}, {"r\xC3\xA9sidu", 0xF8},
                {"max", 0}, {"quantize", 0}, {"concat", 0}, {"sum", 0}, {"head", 1u << 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (int slot = 0; slot < 8; slot++) {
            char text[64];
            snprintf(text, sizeof text, "%s:k%d=0", rows[i].op, slot);
            if ((rows[i].slots >> slot & 1) == 0) row(text, QD_CONSTANT, rows[i].op);
        }
    }
}

static void windows(void) {
    static const char *const ops[] = {"first", "pool", "max"};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        static const char *const edits[] = {"kernel_h=0", "kernel_w=0", "stride_h=0", "stride_w=0", "kernel_h=9", "kernel_w=9"};
        for (size_t k = 0; k < sizeof edits / sizeof *edits; k++) {
            char text[64];
            snprintf(text, sizeof text, "%s:%s", ops[i], edits[k]);
            row(text, QD_WINDOW, ops[i]);
        }
    }
    row("first:kernel_h=8 first:top=2 first:bottom=0", QD_SHAPE, "first");
    row("first:kernel_w=7", QD_SHAPE, "first");
    row("first:top=3", QD_WINDOW, "first");
    row("first:left=3", QD_WINDOW, "first");
    row("first:bottom=3", QD_WINDOW, "first");
    row("first:right=3", QD_WINDOW, "first");
    row("first:top=2", QD_SHAPE, "first");
    row("first:left=2", QD_SHAPE, "first");
    row("first:bottom=2", QD_SHAPE, "first");
    row("first:right=2", QD_SHAPE, "first");
    row("first:top=2 first:bottom=0", QD_OK, "header");
    row("first:left=2 first:right=0", QD_OK, "header");
    row("first:bottom=2 first:top=0", QD_OK, "header");
    row("first:right=2 first:left=0", QD_OK, "header");
    row("first:stride_h=2", QD_SHAPE, "first");
    row("first:stride_w=2", QD_SHAPE, "first");
    row("first:dilation_h=2", QD_WINDOW, "first");
    row("first:dilation_w=0", QD_WINDOW, "first");
    row("first:groups=2", QD_WINDOW, "first");
    row("first:groups=0", QD_WINDOW, "first");
}

static void steps(void) {
    static const char *const stream = "r\xC3\xA9sidu";
    row("second:steps=0", QD_CONSTANT, "second");
    row("second:steps=128", QD_VARIANT, "second");
    row("second:steps=0x8007", QD_VARIANT, "second");
    row("second:steps=6", QD_CONSTANT, "second");
    row("second:steps=5", QD_CONSTANT, "second");
    row("second:steps=3", QD_CONSTANT, "second");
    row("second:steps=71", QD_CONSTANT, "second");
    row("second:k3=0xFFFF", QD_CONSTANT, "second");
    row("second:k4=0xFFFF", QD_CONSTANT, "second");
    row("second:k5=0xFFFF", QD_CONSTANT, "second");
    row("second:k6=0xFFFF", QD_CONSTANT, "second");
    row("second.k3:count=2", QD_CONSTANT, "second");
    row("second.k3:dtype=4", QD_CONSTANT, "second");
    row("second.k4:dtype=4", QD_CONSTANT, "second");
    row("second.k6:count=17", QD_PADDING, "second.k6");
    row("second.k6:count=19", QD_CONSTANT, "second");
    row("second.k3:data[3]=0x7F second.k3:data[2]=0x80", QD_NOT_FINITE, "second");
    row("second.k5:data[71]=0x7F second.k5:data[70]=0xC0", QD_NOT_FINITE, "second");
    row("second.k4:data[71]=0x7F second.k4:data[70]=0x7F", QD_OK, "header");
    row("second:k4=5", QD_CONSTANT, "second"); /* one element for all, where every channel has its own */
    row("second:steps=39 second:real1=0x40C00000", QD_OK, "header");
    row("second:steps=15", QD_INPUTS, "second");
    row("second:inputs=2 second:in1=0", QD_INPUTS, "second");
    row("second:steps=15 second:inputs=2 second:in1=0", QD_DTYPE, "second");
    row("\x72\xC3\xA9sidu:steps=80", QD_INPUTS, stream);
    row("\x72\xC3\xA9sidu:inputs=3 \x72\xC3\xA9sidu:in2=3", QD_INPUTS, stream);
    row("\x72\xC3\xA9sidu:in1=0", QD_DTYPE, stream);
    row("\x72\xC3\xA9sidu:in1=6", QD_SHAPE, stream);
    row("\x72\xC3\xA9sidu:real0=0x7FC00000", QD_RANGE, stream);
    row("\x72\xC3\xA9sidu:real0=0xFFC00000", QD_RANGE, stream);
    row("\x72\xC3\xA9sidu:real1=0x7FC00000", QD_RANGE, stream);
    row("\x72\xC3\xA9sidu:real1=0xFF800001", QD_RANGE, stream);
    row("\x72\xC3\xA9sidu:real0=0x7F800001", QD_RANGE, stream);
    row("\x72\xC3\xA9sidu:real0=0x40C00001", QD_RANGE, stream);
    row("\x72\xC3\xA9sidu:real0=0x40C00000", QD_OK, "header");
    row("\x72\xC3\xA9sidu:real0=0xFF800000", QD_OK, "header");
    row("\x72\xC3\xA9sidu:real1=0x7F800000", QD_OK, "header");
    row("\x72\xC3\xA9sidu:real1=0x80000001", QD_RANGE, stream);
    row("\x72\xC3\xA9sidu:real0=0xC0000000 \x72\xC3\xA9sidu:real1=0xC0000001", QD_RANGE, stream);
    row("\x72\xC3\xA9sidu:real0=0xC0000001 \x72\xC3\xA9sidu:real1=0xC0000000", QD_OK, "header");
    row("\x72\xC3\xA9sidu:steps=88", QD_RESERVED, stream);
    row("\x72\xC3\xA9sidu:steps=88 \x72\xC3\xA9sidu:real1=0 \x72\xC3\xA9sidu:real0=1", QD_RESERVED, stream);
    row("\x72\xC3\xA9sidu:steps=88 \x72\xC3\xA9sidu:real1=0", QD_OK, "header");
    row("header:minor=0", QD_VARIANT, stream);
}

static void convolutions(void) {
    row("first:weights=1", QD_VARIANT, "first");
    row("second:weights=2", QD_VARIANT, "second");
    row("second:weights=0", QD_VARIANT, "second");
    row("first:in0=3 first:out=3", QD_DTYPE, "first");
    row("head:epilogue=3", QD_VARIANT, "head");
    row("first:epilogue=0 first:k2=0xFFFF", QD_DTYPE, "first");
    row("head:epilogue=1", QD_DTYPE, "head");
    row("head:epilogue=2", QD_DTYPE, "head");
    row("second:epilogue=0 second:steps=0", QD_CONSTANT, "second");
    row("first:inputs=2 first:in1=0", QD_INPUTS, "first");
    row("head:inputs=2 head:in1=0", QD_INPUTS, "head");
    row("first:k0=0xFFFF", QD_CONSTANT, "first");
    row("first:k1=0xFFFF", QD_CONSTANT, "first");
    row("first:k2=0xFFFF", QD_CONSTANT, "first");
    row("first.k0:dtype=1", QD_CONSTANT, "first");
    row("second.k0:dtype=2", QD_CONSTANT, "second");
    row("first.k0:count-1", QD_CONSTANT, "first");
    row("first.k1:count=3", QD_CONSTANT, "first");
    row("first.k1:dtype=1 first.k1:count=2", QD_PADDING, "first.k1");
    row("first.k2:count=8", QD_PADDING, "first.k2");
    row("first.k2:count=10", QD_CONSTANT, "first");
    row("first.k2:dtype=5", QD_CONSTANT, "first");
    row("first.k1:data[1]=1", QD_ZERO_POINT, "first");
    row("first.k1:data[3]=1", QD_ZERO_POINT, "first");
    row("first.k1:data[0]=255", QD_OK, "header");
    row("first:scratch_bytes+64", QD_SCRATCH, "first");
    row("first:scratch_bytes=0", QD_SCRATCH, "first");
    row("second:scratch_bytes-1", QD_SCRATCH, "second");
}

/* Spare bits, lanes and elements of weights: every one of them. */
static void spare_weights(void) {
    static const struct {
        uint32_t dtype, c, o;
    } shapes[] = {{6, 3, 5}, {6, 9, 17}, {6, 8, 16}, {6, 16, 32}, {6, 65, 17}, {2, 3, 5}, {2, 2, 8}, {3, 5, 9}, {2, 1, 16}};
    static uint8_t packed[1 << 16];
    static int8_t weights[80 * 80];
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const uint32_t dtype = shapes[i].dtype, c = shapes[i].c, o = shapes[i].o;
        const int bits = dtype == 6;
        uint32_t n, data;
        w_op op = alone(1, SHAPE(dtype, 1, 1, c), SHAPE(4, 1, 1, o));
        memset(weights, 0xFF, sizeof weights);
        n = bits ? w_pack_bits(weights, o, 1, c, packed) : w_pack_int8(weights, o, c, (int8_t *)packed);
        op.weights = bits ? 1 : 2;
        op.kernel[0] = op.kernel[1] = op.stride[0] = op.stride[1] = 1;
        op.constants[0] = w_constant(&w, bits ? 1 : 2, n, packed);
        op.scratch_bytes = 4 * align_to(bits ? w_pixel(6, c) : 2 * align_to(c, 2), 64) + 16 * align_to(o, 32);
        made(&op);
        row("", QD_OK, "header");
        data = get(sound + get(sound + 40, 4) + 8, 4);
        for (uint32_t at = 0; at < n; at++) {
            /* All weights are negative, so a bit that is 0, or an element that is, is spare. */
            for (unsigned bit = 0; bit < 8; bit += 1u + (bit > c % 8)) {
                const int spare = bits ? (packed[at] >> bit & 1) == 0 : packed[at] == 0;
                qd_status status;
                memcpy(file, sound, size);
                file[data + at] ^= (uint8_t)(1u << bit);
                status = opened().status;
                CHECK(status == (spare ? QD_SPARE : QD_OK), "shape %u, byte %u, bit %u: %d", (unsigned)i, (unsigned)at, bit, (int)status);
            }
        }
    }
}

/* A convolution whose weights nobody has written: what is checked before them gives its reason, what passes gives CONSTANT. */
static void geometry(uint32_t dtype, uint32_t c, uint32_t kernel_h, uint32_t kernel_w, uint32_t left, uint32_t right, qd_status status) {
    const uint32_t w_in = kernel_w + 1 - left - right;
    w_op op = alone(1, SHAPE(dtype, kernel_h, w_in, c), SHAPE(4, 1, 2, 1));
    op.weights = dtype == 6 ? 1 : 2;
    op.kernel[0] = kernel_h;
    op.kernel[1] = kernel_w;
    op.stride[0] = op.stride[1] = 1;
    op.padding[1] = left;
    op.padding[3] = right;
    made(&op);
    row("", status, "x");
}

static void accumulators(void) {
    geometry(6, 65535, 1, 1, 0, 0, QD_CONSTANT);
    geometry(6, 65536, 1, 1, 0, 0, QD_ACCUMULATOR);
    geometry(1, 21931, 1, 3, 0, 0, QD_CONSTANT);
    geometry(1, 32897, 1, 2, 0, 0, QD_ACCUMULATOR);
    geometry(2, 65535, 1, 2, 0, 0, QD_CONSTANT);
    geometry(2, 65536, 1, 2, 0, 0, QD_ACCUMULATOR);
    geometry(3, 511, 1, 1, 0, 0, QD_CONSTANT);
    geometry(3, 512, 1, 1, 0, 0, QD_ACCUMULATOR);
    geometry(6, 3, 64, 2, 1, 0, QD_CONSTANT);
    geometry(6, 3, 65, 2, 1, 0, QD_LIMIT);
    geometry(6, 3, 65, 2, 0, 1, QD_LIMIT);
    geometry(6, 3, 65, 2, 0, 0, QD_CONSTANT);
    geometry(2, 3, 65, 2, 1, 0, QD_CONSTANT);
}

static void simple_operators(void) {
    row("sign:inputs=2 sign:in1=0", QD_INPUTS, "sign");
    row("pool:inputs=2 pool:in1=0", QD_INPUTS, "pool");
    row("max:inputs=2 max:in1=0", QD_INPUTS, "max");
    row("sum:inputs=2 sum:in1=0", QD_INPUTS, "sum");
    row("quantize:inputs=2 quantize:in1=0", QD_INPUTS, "quantize");
    row("concat:inputs=1 concat:in1=0xFFFF", QD_INPUTS, "concat");
    row("sign:in0=0", QD_DTYPE, "sign");
    row("sign:out=5", QD_DTYPE, "sign");
    row("sign:out=1", QD_SHAPE, "sign");
    row("pool:in0=0", QD_DTYPE, "pool");
    row("pool:out=3", QD_DTYPE, "pool");
    row("pool:out=4", QD_SHAPE, "pool");
    row("pool:k7=0xFFFF", QD_CONSTANT, "pool");
    row("pool:k7=0", QD_CONSTANT, "pool");
    row("max:in0=1", QD_DTYPE, "max");
    row("max:out=7", QD_DTYPE, "max");
    row("max:stride_h=3", QD_OK, "header");
    row("quantize:in0=0", QD_DTYPE, "quantize");
    row("quantize:out=6", QD_DTYPE, "quantize");
    row("quantize:real0=0", QD_RANGE, "quantize");
    row("quantize:real0=0x80000001", QD_RANGE, "quantize");
    row("quantize:real0=0x7F800000", QD_RANGE, "quantize");
    row("quantize:real0=0x7F7FFFFF", QD_OK, "header");
    row("quantize:real0=1", QD_OK, "header");
    row("quantize:real1=1", QD_RESERVED, "quantize");
    row("quantize:low=0xFFFFFF7F", QD_RANGE, "quantize");
    row("quantize:low=0xFFFFFF80", QD_OK, "header");
    row("quantize:high=128", QD_RANGE, "quantize");
    row("quantize:high=127", QD_OK, "header");
    row("quantize:low=101", QD_RANGE, "quantize");
    row("quantize:low=100", QD_OK, "header");
    row("quantize2:low=0xFFFF7FFF", QD_RANGE, "quantize2");
    row("quantize2:low=0xFFFF8000", QD_OK, "header");
    row("quantize2:high=32768", QD_RANGE, "quantize2");
    row("quantize2:high=32767", QD_OK, "header");
    row("quantize2:in0=7", QD_DTYPE, "quantize2");
    row("quantize:out=10", QD_SHAPE, "quantize");
    row("sum:in0=1", QD_DTYPE, "sum");
    row("sum:out=8", QD_DTYPE, "sum");
    row("sum:in0=7", QD_SHAPE, "sum");
    row("concat:in1=6", QD_DTYPE, "concat");
    row("concat:out=10", QD_DTYPE, "concat");
    row("concat:in0=8", QD_SHAPE, "concat");
    row("concat:inputs=3 concat:in2=7", QD_SHAPE, "concat");
    row("r\xC3\xA9sidu:in0=0", QD_DTYPE, "r\xC3\xA9sidu");
    row("r\xC3\xA9sidu:out=4", QD_DTYPE, "r\xC3\xA9sidu");
    row("r\xC3\xA9sidu:out=6", QD_SHAPE, "r\xC3\xA9sidu");
}

/* One operator that needs nothing but buffers, of any types and shapes. */
static void shapes(uint32_t opcode, const uint32_t in[4], const uint32_t out[4], uint32_t kernel_h, uint32_t kernel_w, qd_status status) {
    w_op op = alone(opcode, in, out);
    static const uint8_t mask[8192];
    op.kernel[0] = kernel_h;
    op.kernel[1] = kernel_w;
    op.stride[0] = op.stride[1] = kernel_h != 0;
    if (opcode == 5) op.reals[0] = 1.0f;
    if (opcode == 3) op.constants[7] = w_constant(&w, 1, w_pixel(6, in[3]), mask);
    if (opcode == 7) op.n_inputs = 2, op.inputs[1] = 0;
    made(&op);
    row("", status, status == QD_OK ? "header" : "x");
}

static void shapes_of_simple_operators(void) {
    shapes(2, SHAPE(5, 2, 3, 4), SHAPE(6, 2, 3, 4), 0, 0, QD_OK);
    shapes(2, SHAPE(5, 2, 3, 4), SHAPE(6, 1, 3, 4), 0, 0, QD_SHAPE);
    shapes(2, SHAPE(5, 2, 3, 4), SHAPE(6, 2, 2, 4), 0, 0, QD_SHAPE);
    shapes(2, SHAPE(5, 2, 3, 4), SHAPE(6, 2, 3, 5), 0, 0, QD_SHAPE);
    shapes(2, SHAPE(4, 2, 3, 4), SHAPE(6, 2, 3, 4), 0, 0, QD_DTYPE);
    shapes(2, SHAPE(5, 2, 3, 4), SHAPE(5, 2, 3, 4), 0, 0, QD_DTYPE);
    shapes(3, SHAPE(6, 2, 3, 4), SHAPE(6, 1, 2, 4), 2, 2, QD_OK);
    shapes(3, SHAPE(6, 2, 3, 4), SHAPE(6, 1, 2, 5), 2, 2, QD_SHAPE);
    shapes(3, SHAPE(6, 2, 3, 4), SHAPE(6, 1, 1, 4), 2, 3, QD_OK);
    shapes(3, SHAPE(6, 2, 3, 4), SHAPE(6, 1, 1, 4), 2, 4, QD_WINDOW);
    shapes(3, SHAPE(6, 2, 3, 4), SHAPE(6, 1, 2, 4), 3, 2, QD_WINDOW);
    shapes(3, SHAPE(6, 2, 3, 4), SHAPE(6, 2, 2, 4), 2, 2, QD_SHAPE);
    shapes(3, SHAPE(6, 2, 3, 4), SHAPE(6, 1, 3, 4), 2, 2, QD_SHAPE);
    shapes(5, SHAPE(5, 2, 3, 4), SHAPE(2, 2, 3, 4), 0, 0, QD_OK);
    shapes(5, SHAPE(4, 2, 3, 4), SHAPE(3, 2, 3, 4), 0, 0, QD_OK);
    shapes(5, SHAPE(3, 2, 3, 4), SHAPE(3, 2, 3, 4), 0, 0, QD_DTYPE);
    shapes(5, SHAPE(4, 2, 3, 4), SHAPE(1, 2, 3, 4), 0, 0, QD_DTYPE);
    shapes(6, SHAPE(2, 2, 3, 4), SHAPE(4, 1, 1, 4), 0, 0, QD_OK);
    shapes(6, SHAPE(1, 2, 3, 4), SHAPE(4, 1, 1, 4), 0, 0, QD_DTYPE);
    shapes(6, SHAPE(2, 2, 3, 4), SHAPE(5, 1, 1, 4), 0, 0, QD_DTYPE);
    shapes(6, SHAPE(2, 2, 3, 4), SHAPE(4, 2, 1, 4), 0, 0, QD_SHAPE);
    shapes(6, SHAPE(2, 2, 3, 4), SHAPE(4, 1, 3, 4), 0, 0, QD_SHAPE);
    shapes(6, SHAPE(2, 2, 3, 4), SHAPE(4, 1, 1, 5), 0, 0, QD_SHAPE);
    shapes(6, SHAPE(3, 5, 13107, 1), SHAPE(4, 1, 1, 1), 0, 0, QD_OK);
    shapes(6, SHAPE(3, 2, 32768, 1), SHAPE(4, 1, 1, 1), 0, 0, QD_ACCUMULATOR);
    shapes(6, SHAPE(2, 4095, 4097, 1), SHAPE(4, 1, 1, 1), 0, 0, QD_OK);
    shapes(6, SHAPE(2, 4096, 4096, 1), SHAPE(4, 1, 1, 1), 0, 0, QD_ACCUMULATOR);
    shapes(7, SHAPE(2, 2, 3, 4), SHAPE(2, 2, 3, 8), 0, 0, QD_OK);
    shapes(7, SHAPE(2, 2, 3, 4), SHAPE(2, 2, 3, 7), 0, 0, QD_SHAPE);
    shapes(7, SHAPE(2, 2, 3, 4), SHAPE(2, 1, 3, 8), 0, 0, QD_SHAPE);
    shapes(7, SHAPE(2, 2, 3, 4), SHAPE(2, 2, 2, 8), 0, 0, QD_SHAPE);
    shapes(7, SHAPE(2, 2, 3, 4), SHAPE(3, 2, 3, 8), 0, 0, QD_DTYPE);
    shapes(7, SHAPE(6, 2, 3, 4), SHAPE(6, 2, 3, 8), 0, 0, QD_DTYPE);
    shapes(4, SHAPE(5, 2, 3, 4), SHAPE(5, 1, 2, 4), 2, 2, QD_OK);
    for (uint32_t c = 7; c < 130; c++) shapes(2, SHAPE(5, 1, 1, c), SHAPE(6, 1, 1, c), 0, 0, QD_OK);
    shapes(8, SHAPE(4, 2, 3, 4), SHAPE(5, 2, 3, 4), 0, 0, QD_OK);
    shapes(8, SHAPE(3, 2, 3, 4), SHAPE(5, 2, 3, 4), 0, 0, QD_DTYPE);
    shapes(8, SHAPE(4, 2, 3, 4), SHAPE(4, 2, 3, 4), 0, 0, QD_DTYPE);
    shapes(8, SHAPE(4, 2, 3, 4), SHAPE(5, 2, 4, 4), 0, 0, QD_SHAPE);
}

/* QD_MAX_WORK, 10^12 steps, to the step. */
static void work(void) {
    w_op op;
    static const uint8_t mask[1];
    shapes(3, SHAPE(6, 1999, 1999, 1), SHAPE(6, 1000, 1000, 1), 1000, 1000, QD_OK);
    shapes(3, SHAPE(6, 1999, 2000, 1), SHAPE(6, 1000, 1000, 1), 1000, 1001, QD_LIMIT);
    shapes(3, SHAPE(6, 32768, 32768, 8), SHAPE(6, 16384, 16384, 8), 16385, 16385, QD_LIMIT);
    for (uint32_t more = 0; more < 2; more++) {
        op = alone(3, SHAPE(6, 1999, 1999, 1), SHAPE(6, 1000, 1000, 1));
        w_buffer(&w, 6, 1, 1 + more, 1); /* 10^12 - 10^6 steps, then 10^6, or twice as many */
        op.kernel[0] = 1000;
        op.kernel[1] = 1000;
        op.stride[0] = op.stride[1] = 1;
        op.constants[7] = w_constant(&w, 1, 1, mask);
        w_add(&w, &op, "x");
        op = w_op_new(3, 1, 2);
        op.kernel[0] = 1000;
        op.kernel[1] = 1000 - more;
        op.stride[0] = op.stride[1] = 1;
        op.constants[7] = 0;
        w_add(&w, &op, "y");
        keep(w_finish(&w, 0, 2, file));
        row("", QD_LIMIT, "y");
    }
}

/* A convolution of one output channel with a threshold, as large as its work allows. */
static void convolution_work(uint32_t dtype, uint32_t h, uint32_t kernel, uint32_t c, qd_status status) {
    static const int8_t none[416];
    static const int32_t threshold[1];
    const uint32_t taps = kernel * kernel, bits = dtype == 6;
    w_op op = alone(1, SHAPE(dtype, h, 32768, c), SHAPE(6, h, 32768, 1));
    op.epilogue = 1;
    op.weights = bits ? 1 : 2;
    op.kernel[0] = op.kernel[1] = kernel;
    op.stride[0] = op.stride[1] = 1;
    for (int i = 0; i < 4; i++) op.padding[i] = kernel / 2;
    op.constants[0] = w_constant(&w, bits ? 1 : 2, bits ? taps * 16 : align_to(taps, 2) * 8, none);
    op.constants[2] = w_constant(&w, 4, 1, threshold);
    op.scratch_bytes = 4 * 64 + 16 * 32;
    made(&op);
    row("", status, status == QD_OK ? "header" : "x");
}

static void work_of_convolutions(void) {
    static const int8_t none[16];
    w_op op = alone(1, SHAPE(2, 1, 1, 1), SHAPE(5, 1, 1, 1)); /* the only operator that computes in binary32 */
    op.epilogue = 2;
    op.weights = 2;
    op.kernel[0] = op.kernel[1] = op.stride[0] = op.stride[1] = 1;
    op.constants[0] = w_constant(&w, 2, 16, none);
    op.scratch_bytes = 4 * 64 + 16 * 32;
    made(&op);
    row("", QD_OK, "header");
    convolution_work(6, 26490, 3, 8, QD_OK);
    convolution_work(6, 26491, 3, 8, QD_LIMIT);
    convolution_work(2, 32768, 5, 1, QD_OK);
}

/* A stream whose second input has this shape; the first is 2 x 3 x 4. */
static void second_input(uint32_t h, uint32_t width, uint32_t c, qd_status status) {
    w_op op;
    memset(&w, 0, sizeof w);
    w_buffer(&w, 5, 1, 1, h * width * c);
    w_buffer(&w, 5, h, width, c);
    w_buffer(&w, 5, 2, 3, 4);
    w_buffer(&w, 5, 2, 3, 4);
    /* Where the shape differs nothing but this check is wrong: it comes before who writes what. */
    op = w_op_new(8, 2, 3);
    op.inputs[1] = 1;
    op.n_inputs = 2;
    op.steps = 8;
    w_add(&w, &op, "x");
    keep(w_finish(&w, 0, 3, file));
    row("", status, "x");
}

/* b0 -> b1 -> b2 -> b3 of 64 bytes each, at these multiples of 64. buffer: the one refused. */
static void chain(const uint32_t at[4], uint32_t output, qd_status status, uint32_t buffer) {
    qd_error error;
    memset(&w, 0, sizeof w);
    for (uint32_t i = 0; i < 4; i++) {
        w_buffer(&w, 5, 1, 1, 16);
        put32(w.buffers + 24 * i + 16, 64 * at[i]);
    }
    for (uint32_t i = 0; i < 3; i++) {
        const w_op op = w_op_new(8, i, i + 1);
        w_add(&w, &op, "x");
    }
    keep(w_finish(&w, 0, output, file));
    error = opened();
    CHECK(error.status == status && error.index == buffer, "chain at %u %u %u %u: %d, buffer %u", (unsigned)at[0], (unsigned)at[1],
          (unsigned)at[2], (unsigned)at[3], (int)error.status, (unsigned)error.index);
}

#define AT(...) ((const uint32_t[4]){__VA_ARGS__})

/* Who writes and reads what when, and who is alive at the same time. */
static void memory(void) {
    keep(write_network(file, 1));
    row("sign:in0=5", QD_LIFETIME, "sign"); /* read before it is written */
    row("r\xC3\xA9sidu:out=3", QD_LIFETIME, "r\xC3\xA9sidu"); /* written twice */
    row("header:input=1", QD_LIFETIME, "first");
    row("header:output=0", QD_OK, "header");
    row("first:scratch+1", QD_BOUNDS, "first");
    row("first:scratch+32", QD_BOUNDS, "first");
    row("first:scratch=0x00100000", QD_BOUNDS, "first");
    row("first:scratch=0xFFFFFFC0", QD_BOUNDS, "first");
    row("header:arena-64", QD_BOUNDS, "head");
    row("first:scratch=0", QD_OVERLAP, "first");
    row("second:scratch=&second.out", QD_OVERLAP, "second");
    row("first:scratch=&second.out", QD_OK, "header"); /* not alive yet */
    row("head:scratch=&second.out", QD_OK, "header");  /* not alive any more */
    row("head:scratch=&head.in head:scratch-960", QD_OVERLAP, "head");
    chain(AT(0, 1, 2, 3), 3, QD_OK, 0);
    chain(AT(0, 1, 0, 1), 3, QD_OK, 0);
    chain(AT(1, 0, 1, 0), 3, QD_OK, 0);
    chain(AT(3, 2, 1, 0), 3, QD_OK, 0);
    chain(AT(0, 0, 1, 2), 3, QD_OVERLAP, 1);
    chain(AT(0, 1, 1, 2), 3, QD_OVERLAP, 2);
    chain(AT(0, 1, 2, 2), 3, QD_OVERLAP, 3);
    chain(AT(0, 1, 2, 1), 1, QD_OVERLAP, 3);
    chain(AT(0, 1, 2, 0), 0, QD_OVERLAP, 3);
    {
        const w_op op = alone(2, SHAPE(5, 1, 1, 1), SHAPE(6, 1, 1, 1));
        qd_error error;
        w_buffer(&w, 5, 1, 1, 1);
        made(&op);
        error = opened();
        CHECK(error.status == QD_LIFETIME && error.place == QD_IN_BUFFER && error.index == 2, "a buffer that nobody writes");
    }
    second_input(2, 3, 4, QD_LIFETIME); /* as it should be, up to who writes it */
    second_input(1, 3, 4, QD_SHAPE);
    second_input(2, 2, 4, QD_SHAPE);
    second_input(2, 3, 5, QD_SHAPE);
}

static void reader(void) {
    static const uint8_t bytes[8] = {1, 2, 3, 4, 0xFF, 0xFF, 0xFF, 0xFF};
    volatile uint64_t nothing = 0; /* or the compiler divides by it in its own way */
    qd_cursor in = {bytes, bytes + 8, 0};
    CHECK(qd_u8(&in) == 1 && qd_u16(&in) == 0x0302 && qd_u8(&in) == 4 && qd_i32(&in) == -1 && !in.failed, "in order");
    CHECK(qd_u8(&in) == 0 && in.failed, "past the end");
    in.p = bytes + 6;
    in.failed = 0;
    CHECK(qd_u32(&in) == 0 && in.failed && qd_u8(&in) == 0 && qd_u16(&in) == 0, "once failed, always failed");
    CHECK(qd_product(5, nothing) == 0 && qd_product(nothing, 5) == 0 && qd_product(UINT64_MAX / 2, 2) == UINT64_MAX - 1, "a product");
    CHECK(qd_product(UINT64_MAX / 2 + 1, 2) == UINT64_MAX, "a product that is too large");
}

int main(void) {
    whole_file();
    buffers_and_constants();
    operators();
    unused_fields();
    unused_constants();
    windows();
    steps();
    convolutions();
    simple_operators();
    names();
    accumulators();
    shapes_of_simple_operators();
    work();
    work_of_convolutions();
    memory();
    reader();
    spare_weights(); /* last: it takes longest */
    return finish("verify");
}
