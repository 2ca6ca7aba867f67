/*
 * The verifier's rules for bit-planes, small weights and levels, and that a network of them that is changed anywhere is refused
 * or runs within its memory (file and arena are allocated exactly, for AddressSanitizer to see).
 */
#define _POSIX_C_SOURCE 200809L
#include "qd/qd.h"
#include "test.h"
#include "writer.h"

enum { FIRST, POOL, SECOND, THIRD, QUANTIZE, FOURTH, MASKS, BUFFERS = 8, OPS_AT = 64 + BUFFERS * 24 };

static uint8_t file[W_MAX], changed[W_MAX];
static uint32_t constants_at;

static void put_conv(w_op *op, uint32_t kernel, uint32_t patch, uint32_t outputs) {
    for (int i = 0; i < 2; i++) {
        op->kernel[i] = kernel;
        op->stride[i] = 1;
    }
    for (int i = 0; i < 4; i++) op->padding[i] = kernel / 2;
    op->scratch_bytes = 4 * align_to(patch, 64) + 16 * align_to(outputs, 32);
}

/* pixels - int4 - trits - pool - trits by trits - bits - bits by trits - i32 - quantised to trits - trits by bits - i8 - masks - head */
static uint32_t write_planes(void) {
    static writer w;
    static int8_t plain[4096];
    static uint8_t first[1024], second[4096], third[4096], fourth[4096], masks[1024], mask[2] = {0x5A, 1};
    static int16_t zero[3] = {7, 0, 255};
    static int32_t levels[2 * 9], signs[17], many[3 * 10];
    uint32_t b[BUFFERS];
    w_op op;
    memset(&w, 0, sizeof w);
    b[0] = w_buffer(&w, 1, 6, 5, 3);
    b[1] = w_buffer(&w, 7, 6, 5, 9);
    b[2] = w_buffer(&w, 7, 5, 4, 9);
    b[3] = w_buffer(&w, 6, 5, 4, 17);
    b[4] = w_buffer(&w, 4, 5, 4, 9);
    b[5] = w_buffer(&w, 7, 5, 4, 9);
    b[6] = w_buffer(&w, 2, 5, 4, 10);
    b[7] = w_buffer(&w, 4, 1, 1, 3);
    for (int i = 0; i < 9; i++) levels[i] = -i * 40, levels[9 + i] = 30 * i - 100 * (i % 2) > levels[i] ? 30 * i : levels[i];
    for (int i = 0; i < 17; i++) signs[i] = i - 8;
    for (int i = 0; i < 30; i++) many[i] = i / 10 * 4 - 5;

    op = w_op_new(1, b[0], b[1]);
    op.epilogue = 3;
    op.weights = 4;
    for (int i = 0; i < 9 * 27; i++) plain[i] = (int8_t)random_in(-8, 7);
    op.constants[0] = w_constant(&w, 1, w_pack_small(plain, 4, 9, 27, first), first);
    op.constants[1] = w_constant(&w, 3, 3, zero);
    op.constants[2] = w_constant(&w, 4, 18, levels);
    op.range[1] = -1;
    put_conv(&op, 3, 2 * 28, 9);
    w_add(&w, &op, "int4");
    op = w_op_new(3, b[1], b[2]);
    op.kernel[0] = op.kernel[1] = 2;
    op.stride[0] = op.stride[1] = 1;
    op.constants[7] = w_constant(&w, 1, 2, mask);
    w_add(&w, &op, "pool");
    op = w_op_new(1, b[2], b[3]);
    op.epilogue = 1;
    op.weights = 3;
    for (int i = 0; i < 17 * 81; i++) plain[i] = (int8_t)random_in(-1, 1);
    op.constants[0] = w_constant(&w, 1, w_pack_trits(plain, 17, 9, 9, second), second);
    op.constants[2] = w_constant(&w, 4, 17, signs);
    put_conv(&op, 3, 9 * 4, 17);
    w_add(&w, &op, "trits");
    op = w_op_new(1, b[3], b[4]);
    op.weights = 3;
    for (int i = 0; i < 9 * 17; i++) plain[i] = (int8_t)random_in(-1, 1);
    op.constants[0] = w_constant(&w, 1, w_pack_trits(plain, 9, 1, 17, third), third);
    put_conv(&op, 1, 4, 9);
    w_add(&w, &op, "on bits");
    op = w_op_new(5, b[4], b[5]);
    op.reals[0] = 3.0f;
    op.range[0] = -1;
    op.range[1] = 1;
    w_add(&w, &op, "quantize");
    op = w_op_new(1, b[5], b[6]);
    op.epilogue = 3;
    op.weights = 1;
    for (int i = 0; i < 10 * 81; i++) plain[i] = random_in(0, 1) ? 1 : -1;
    op.constants[0] = w_constant(&w, 1, w_pack_bits(plain, 10, 9, 9, fourth), fourth);
    op.constants[2] = w_constant(&w, 4, 30, many);
    put_conv(&op, 3, 9 * 4, 10);
    w_add(&w, &op, "bits on trits");
    op = w_op_new(1, b[6], b[7]);
    op.weights = 5;
    for (int i = 0; i < 3 * 200; i++) plain[i] = (int8_t)random_in(0, 1);
    op.constants[0] = w_constant(&w, 1, w_pack_small(plain, 5, 3, 200, masks), masks);
    put_conv(&op, 1, 2 * 200, 3);
    op.kernel[0] = 5;
    op.kernel[1] = 4;
    w_add(&w, &op, "masks");
    constants_at = OPS_AT + w.n_ops * 96;
    return w_finish(&w, b[0], b[7], file);
}

static uint8_t *exact(size_t n) {
    void *p = NULL;
    return posix_memalign(&p, 64, n ? n : 1) == 0 ? (uint8_t *)p : NULL;
}

/* Opens, and if that succeeds runs with every family, which must agree. */
static qd_status open_and_run(const uint8_t *bytes, uint32_t size) {
    uint8_t *data = exact(size);
    qd_model model;
    qd_error error;
    memcpy(data, bytes, size);
    if (qd_open(&model, data, size, &error) == QD_OK && qd_arena_bytes(&model) < 1 << 22) {
        uint8_t *arena = exact(qd_arena_bytes(&model)), *input = exact(qd_input(&model).bytes);
        uint8_t *reference = exact(qd_output(&model).bytes), *output = exact(qd_output(&model).bytes);
        for (uint32_t i = 0; i < qd_input(&model).bytes; i++) input[i] = qd_input(&model).dtype >= QD_BITS ? 0 : (uint8_t)(37 * i);
        for (int family = QD_REF; family <= QD_FAMILY_COUNT; family++) {
            uint8_t *to = family == QD_REF ? reference : output;
            qd_options options;
            memset(&options, 0, sizeof options);
            options.kernels = family == QD_FAMILY_COUNT ? QD_AUTO : (qd_family)family;
            if (!qd_kernels_available(options.kernels)) continue;
            memset(arena, 0xEE, qd_arena_bytes(&model));
            CHECK(qd_run(&model, &options, arena, qd_arena_bytes(&model), input, to) == QD_OK, "run");
            CHECK(memcmp(reference, to, qd_output(&model).bytes) == 0, "family %d differs", family);
        }
        free(arena);
        free(input);
        free(reference);
        free(output);
    }
    free(data);
    return error.status;
}

static qd_status with(uint32_t size, uint32_t at, uint32_t length, uint32_t value) {
    memcpy(changed, file, size);
    for (uint32_t i = 0; i < length; i++) changed[at + i] = (uint8_t)(value >> 8 * i);
    w_seal(changed, size);
    return open_and_run(changed, size);
}

static uint32_t get32(const uint8_t *p) { return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24; }

/* Where the data of an operator's constant begin. */
static uint32_t data_of(uint32_t op, uint32_t slot) {
    const uint8_t *record = file + OPS_AT + op * 96 + 40 + 2 * slot;
    return get32(file + constants_at + (record[0] | (uint32_t)record[1] << 8) * 16 + 8);
}

static void rules(uint32_t size) {
    const uint32_t first = data_of(FIRST, 0), second = data_of(SECOND, 0), masks = data_of(MASKS, 0), levels = data_of(FIRST, 2);
#define OP_AT(op, field) (OPS_AT + (uint32_t)(op) * 96 + (field))
    CHECK(with(size, 6, 2, 1) != QD_OK, "planes in a file of 1.1");
    CHECK(with(size, OP_AT(SECOND, 2), 1, 2) == QD_CONSTANT, "int8 weights of a ternary map are int8, not planes");
    CHECK(with(size, OP_AT(SECOND, 2), 1, 4) == QD_VARIANT && with(size, OP_AT(SECOND, 2), 1, 5) == QD_VARIANT, "nor by others");
    CHECK(with(size, OP_AT(SECOND, 2), 1, 1) == QD_CONSTANT, "trits called bits");
    CHECK(with(size, OP_AT(MASKS, 2), 1, 6) == QD_VARIANT, "an unknown kind");
    CHECK(with(size, 64 + 3 * 24, 1, 7) != QD_OK, "bits called trits");
    CHECK(with(size, 64 + 1 * 24, 1, 6) != QD_OK, "trits called bits");
    CHECK(with(size, 64 + 1 * 24, 1, 8) == QD_DTYPE, "an unknown type");
    CHECK(with(size, OP_AT(FIRST, 68), 4, (uint32_t)-2) == QD_RANGE, "levels below -1 in trits");
    CHECK(with(size, OP_AT(FIRST, 68), 4, 0) == QD_RANGE, "levels above 1 in trits");
    CHECK(with(size, OP_AT(FOURTH, 68), 4, 125) == QD_RANGE, "levels past int8");
    CHECK(with(size, OP_AT(SECOND, 68), 4, 1) == QD_RESERVED, "a level where there are none");
    CHECK(with(size, levels, 4, 0x7FFFFFFF) == QD_RANGE, "falling thresholds");
    CHECK(with(size, OP_AT(QUANTIZE, 64), 4, (uint32_t)-2) == QD_RANGE, "quantised below -1");
    CHECK(with(size, second + 32 * 2 * 2 - 1, 1, 1) == QD_SPARE, "a mask past the channels or in a spare lane");
    CHECK(with(size, second, 1, file[second] | (uint8_t)~file[second + 32]) == QD_SPARE || file[second + 32] == 0xFF, "the sign of a zero");
    CHECK(with(size, first + 13 * 8, 1, file[first + 13 * 8] | 0x10) == QD_SPARE, "the weight past an odd K");
    CHECK(with(size, masks + 1, 1, 0x80) == QD_SPARE, "a mask past the outputs");
}

int main(void) {
    const uint32_t size = write_planes();
    uint32_t tables_end = 0, accepted = 0;
    CHECK(file[6] == 2, "format 1.%u", file[6]);
    CHECK(open_and_run(file, size) == QD_OK, "does not run");
    rules(size);
    tables_end = get32(file + 44);
    memcpy(changed, file, size);
    for (uint32_t i = 0; i < size; i++) {
        static const uint8_t values[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 64, 127, 255};
        const size_t n = i < tables_end ? sizeof values : 2;
        for (size_t v = 0; v < n; v++) {
            changed[i] = i < tables_end ? values[v] : (uint8_t)(file[i] ^ (v ? 0xFF : 1));
            w_seal(changed, size);
            accepted += open_and_run(changed, size) == QD_OK;
        }
        changed[i] = file[i];
    }
    CHECK(accepted > 100, "%u accepted", (unsigned)accepted);
    return finish("planes");
}
