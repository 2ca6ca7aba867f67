/*
 * One row for every check of the verifier: a sound file, a few fields changed, the checksum made right again, and the very
 * reason and place of the refusal. tools/mutants.py removes the checks one by one; each time some row here must fail.
 */
#define _DEFAULT_SOURCE
#include "rows.h"
#include "rows_conv.h"
#include "rows_depthwise.h"
#include "rows_island.h"
#include "rows_move.h"
#include "rows_rest.h"

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
    row("header:minor=2 first.out:dtype=7", QD_BYTES, "first.out");
    row("header:minor=2 first.out:dtype=8", QD_DTYPE, "first.out");
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
    row("head:epilogue=4", QD_VARIANT, "head");
}

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
    UNUSED("first", "high", "steps", REAL_FIELDS);
    UNUSED("head", RANGE_FIELDS, "steps", REAL_FIELDS);
    UNUSED("second", "high", REAL_FIELDS);
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

/* Asks everything of the kept network; gives a bit for each opcode that it has, in the order of the table. */
static size_t asked(void) {
    static const char *const opcodes[] = {
#define QD_OP(code, name, check, run) #name,
#include "qd_ops.def"
#undef QD_OP
    };
    qd_model model;
    size_t most = 0, seen = 0;
    CHECK(qd_open(&model, sound, size, NULL) == QD_OK && qd_constant_data(&model, QD_NONE) == NULL, "a network of all operators");
    CHECK(qd_arena_bytes(&model) == get(sound + 52, 4), "size of the arena");
    for (uint32_t i = 0; i < qd_op_count(&model); i++) {
        const uint8_t *op = sound + get(sound + 36, 4) + 96 * i;
        const qd_op_description info = qd_op_info(&model, i);
        const int conv = op[0] == QD_OP_CONV;
        size_t k = 0;
        while (k < sizeof opcodes / sizeof *opcodes && strcmp(info.opcode, opcodes[k]) != 0) k++;
        CHECK(k < sizeof opcodes / sizeof *opcodes && (strcmp(info.opcode, "CONV") == 0) == conv, "opcode %s", info.opcode);
        CHECK((info.macs > 0) == (conv || op[0] == QD_OP_FLOAT_CONV) && info.macs <= qd_macs(&model) && info.name_length == get(op + 84, 4), "operator %u", (unsigned)i);
        most = get(op + 76, 4) > most ? get(op + 76, 4) : most;
        seen |= (size_t)1 << k;
    }
    CHECK(qd_input(&model).c == (seen & 2 ? 2 : 9), "channels of the input");
    CHECK(qd_output(&model).c == (seen & 2 ? 3 : seen & 1024 ? 1 : 5), "channels of the output");
    CHECK(qd_workspace_bytes(&model) == (most + 63) / 64 * 64, "%zu", qd_workspace_bytes(&model));
    return seen;
}

/* The rest of what stands between a file and the executor: the checksum, and the questions about an opened model. */
static void questions(void) {
    enum {
        KINDS = 0
#define QD_OP(code, name, check, run) + 1
#include "qd_ops.def"
#undef QD_OP
    };
    size_t seen;
    for (uint32_t n = 0; n < 300; n++) {
        CHECK(qd_crc32(sound + 7, n, 0) == w_crc(sound + 7, n), "checksum of %u bytes", (unsigned)n);
        CHECK(qd_crc32(sound + 7, n, qd_cpu_features()) == w_crc(sound + 7, n), "checksum of %u bytes, folded", (unsigned)n);
    }
    for (int i = 0; i <= QD_STATUS_COUNT; i++) {
        const char *text = qd_status_str((qd_status)i);
        CHECK((strcmp(text, "unknown status") == 0) == (i == QD_STATUS_COUNT), "status %d: %s", i, text);
    }
    CHECK(strcmp(qd_status_str((qd_status)9999), "unknown status") == 0, "no status");
    keep(write_network(file, QD_FORMAT_MINOR));
    seen = asked();
    keep(write_moves(file));
    seen |= asked();
    keep(write_islands(file));
    seen |= asked();
    CHECK(seen == ((size_t)1 << KINDS) - 1, "operators of every kind: %zx", seen);
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
    kinds_of_weights();
    all_depthwise();
    all_levels();
    groups();
    all_margins();
    shapes_of_simple_operators();
    moves();
    padded_pools();
    islands();
    work();
    work_of_convolutions();
    memory();
    reader();
    questions();
    spare_weights(); /* last: it takes longest */
    return finish("verify");
}
