/*
 * The verifier. A small network with every kind of operator is written in memory and run; then
 * every byte is changed and the file cut at every length: the checksum must catch all of it;
 * then the same with the checksum made right again: no crash, and what is accepted must run without touching memory that is
 * not its own (the file and the arena are allocated exactly, for AddressSanitizer to see).
 */
#define _POSIX_C_SOURCE 200809L
#include "qd/qd.h"
#include "test.h"
#include "network.h"

static uint8_t file[W_MAX];
static long accepted, refused[QD_STATUS_COUNT];

/* A 64-byte aligned block that ends where the allocation ends. */
static void *exact(size_t n) {
    void *p = NULL;
    return posix_memalign(&p, 64, n ? n : 1) == 0 ? p : NULL;
}

static qd_status open_only(const uint8_t *bytes, uint32_t size) {
    uint8_t *data = (uint8_t *)exact(size);
    qd_model model;
    qd_status status;
    memcpy(data, bytes, size);
    status = qd_open(&model, data, size, NULL);
    free(data);
    return status;
}

static qd_status open_and_run(const uint8_t *bytes, uint32_t size) {
    uint8_t *data = (uint8_t *)exact(size);
    qd_model model;
    qd_error error;
    qd_status status;
    memcpy(data, bytes, size);
    status = qd_open(&model, data, size, &error);
    refused[status]++;
    if (status == QD_OK && qd_arena_bytes(&model) < 1 << 22) {
        uint8_t *arena = (uint8_t *)exact(qd_arena_bytes(&model));
        uint8_t *input = (uint8_t *)exact(qd_input(&model).bytes), *output = (uint8_t *)exact(qd_output(&model).bytes);
        accepted++;
        memset(arena, 0xEE, qd_arena_bytes(&model));
        memset(input, 0, qd_input(&model).bytes);
        for (uint32_t i = 0; i < qd_op_count(&model); i++) {
            const qd_op_description info = qd_op_info(&model, i);
            CHECK((const uint8_t *)info.name >= data && (const uint8_t *)info.name + info.name_length <= data + size, "name");
        }
        CHECK(qd_run(&model, NULL, arena, qd_arena_bytes(&model), input, output) == QD_OK, "run");
        free(arena);
        free(input);
        free(output);
    }
    free(data);
    return status;
}

enum { OPS_AT = 64 + 12 * 24, CONSTANTS_AT = OPS_AT + 11 * 96, SECOND_AT = OPS_AT + 2 * 96, STREAM_AT = OPS_AT + 4 * 96, SLOPE_AT = CONSTANTS_AT + 9 * 16 };

static qd_status open_changed(const uint8_t *bytes, uint32_t size, uint32_t at, uint32_t length, uint32_t value) {
    static uint8_t changed[W_MAX];
    memcpy(changed, bytes, size);
    for (uint32_t i = 0; i < length; i++) changed[at + i] = (uint8_t)(value >> 8 * i);
    w_seal(changed, size);
    return open_only(changed, size);
}

static uint32_t get32(const uint8_t *p) { return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24; }

/* Files of 1.0 open as before; what a minor version added opens in files that say so only; a later version is refused by name. */
static void versions(void) {
    uint32_t size = write_network(file, 0);
    CHECK(file[6] == 0 && open_and_run(file, size) == QD_OK, "1.0");
    CHECK(open_changed(file, size, 6, 2, QD_FORMAT_MINOR) == QD_OK, "a minor version newer than needed");
    CHECK(open_changed(file, size, 6, 2, QD_FORMAT_MINOR + 1) == QD_VERSION, "a later minor version");
    CHECK(open_changed(file, size, 4, 2, 2) == QD_VERSION, "another major version");
    size = write_network(file, 1);
    CHECK(file[6] == 1 && open_and_run(file, size) == QD_OK, "1.1");
    CHECK(open_changed(file, size, 6, 2, 0) == QD_VARIANT, "prelu in a file of 1.0");
    size = write_network(file, 2);
    CHECK(file[6] == 2 && open_and_run(file, size) == QD_OK, "1.2");
    CHECK(open_changed(file, size, 6, 2, 1) == QD_VARIANT, "margins of +1 in a file of 1.1");
    CHECK(open_changed(file, size, SECOND_AT + 64, 4, 0) == QD_OK, "without them 1.2 stays");
    CHECK(open_changed(file, size, SECOND_AT + 64, 4, 2) == QD_RANGE, "margins of +2 around bits");
    CHECK(open_changed(file, size, SECOND_AT + 68, 4, 1) == QD_RESERVED, "a second value");
    CHECK(open_changed(file, size, SECOND_AT + 36, 4, 0) == QD_WINDOW, "no group");
    CHECK(open_changed(file, size, SECOND_AT + 36, 4, 2) == QD_SHAPE, "groups that do not divide the channels");
    CHECK(open_changed(file, size, SECOND_AT + 36, 4, 3) == QD_VARIANT, "groups of three bits");
    CHECK(open_changed(file, size, SECOND_AT + 32, 2, 0) == QD_WINDOW, "no dilation");
    CHECK(open_changed(file, size, SECOND_AT + 32, 2, 2) == QD_SHAPE, "another dilation");
    CHECK(open_changed(file, size, SECOND_AT + 24, 2, 3) == QD_WINDOW, "padding as wide as the reach");
    size = write_network(file, 3);
    CHECK(file[6] == 3 && open_and_run(file, size) == QD_OK, "1.3");
    CHECK(open_changed(file, size, 6, 2, 2) == QD_VARIANT, "a first relu in a file of 1.2");
}

static void slopes(void) {
    const uint32_t size = write_network(file, 1), data = get32(file + SLOPE_AT + 8);
    CHECK(open_changed(file, size, STREAM_AT + 14, 2, 8 + 16 + 32) == QD_CONSTANT, "slopes without the step");
    CHECK(open_changed(file, size, STREAM_AT + 54, 2, W_NONE) == QD_CONSTANT, "the step without slopes");
    CHECK(open_changed(file, size, STREAM_AT + 54, 2, 0) == QD_CONSTANT, "slopes of another type");
    CHECK(open_changed(file, size, SLOPE_AT + 4, 4, 17) == QD_CONSTANT, "a slope too few");
    CHECK(open_changed(file, size, data, 4, 0x7FC00000u) == QD_NOT_FINITE, "a NaN");
    CHECK(open_changed(file, size, data + 4 * 17, 4, 0xFF800000u) == QD_NOT_FINITE, "an infinity");
    CHECK(open_changed(file, size, data, 4, 0x80000000u) == QD_OK, "a negative zero");
    CHECK(open_changed(file, size, STREAM_AT + 14, 2, 128 + 64 + 8 + 16 + 32) == QD_VARIANT, "an unknown step");
}

int main(void) {
    static uint8_t changed[W_MAX];
    const uint32_t size = write_network(file, 1);
    const uint32_t tables_end = align_to(CONSTANTS_AT + 11 * 16, 64);
    qd_error error;
    qd_model model;
    uint8_t *whole = (uint8_t *)exact(size);

    memcpy(whole, file, size);
    CHECK(qd_open(&model, whole, size, &error) == QD_OK, "%s, place %d index %u", qd_status_str(error.status), (int)error.place,
          (unsigned)error.index);
    CHECK(qd_open(&model, whole + 1, size - 1, NULL) == QD_MISALIGNED, "misaligned");
    CHECK(qd_open(NULL, whole, size, NULL) == QD_ARGUMENT && qd_open(&model, NULL, size, NULL) == QD_ARGUMENT, "null");
    free(whole);
    CHECK(open_and_run(file, size) == QD_OK, "does not run");
    for (uint32_t n = 0; n < size; n++) CHECK(open_only(file, n) != QD_OK, "cut at %u", (unsigned)n);
    memcpy(changed, file, size);
    for (uint32_t i = 0; i < size; i++) { /* every byte, every bit flipped at once and one of them */
        changed[i] ^= 0xFF;
        CHECK(open_only(changed, size) != QD_OK, "byte %u inverted", (unsigned)i);
        changed[i] ^= (uint8_t)(0xFF ^ 1u << i % 8);
        CHECK(open_only(changed, size) != QD_OK, "byte %u one bit", (unsigned)i);
        changed[i] = file[i];
    }
    for (uint32_t i = 0; i < size; i++) { /* the same with a right checksum; tables get more values */
        static const uint8_t values[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 16, 32, 63, 64, 65, 127, 128, 192, 254, 255};
        const size_t n = i < tables_end ? sizeof values : 2;
        for (size_t v = 0; v < n; v++) {
            changed[i] = i < tables_end ? values[v] : (uint8_t)(file[i] ^ (v ? 0xFF : 1));
            w_seal(changed, size);
            open_and_run(changed, size);
        }
        changed[i] = file[i];
    }
    for (int round = 0; round < 20000; round++) { /* two to four bytes of the tables at once */
        uint32_t at[4];
        const int n = random_in(2, 4);
        for (int k = 0; k < n; k++) {
            at[k] = (uint32_t)random_in(16, (int32_t)tables_end - 1);
            changed[at[k]] = (uint8_t)(random_in(0, 1) ? random_in(0, 8) : random_in(0, 255));
        }
        w_seal(changed, size);
        open_and_run(changed, size);
        for (int k = 0; k < n; k++) changed[at[k]] = file[at[k]];
    }
    versions();
    slopes();
    CHECK(accepted > 0, "nothing was accepted");
    printf("resealed files: %ld accepted and run; reasons to refuse:", accepted);
    for (int i = 1; i < QD_STATUS_COUNT; i++) {
        if (refused[i]) printf(" %d:%ld", i, refused[i]);
    }
    putchar('\n');
    CHECK(strcmp(qd_status_str((qd_status)9999), "unknown status") == 0, "status text");
    return finish("file");
}
