/* Any bytes are safe to pass to qd_open, and what it accepts can be asked everything. */
#define _POSIX_C_SOURCE 200809L
#include "fuzz.h"

#include "qd/qd.h"

static size_t sum; /* of what was read, so that no read is optimised away */

static void ask(const qd_model *model, const uint8_t *file, size_t size) {
    const uint8_t *end = file + size;
    PROMISE(qd_arena_bytes(model) % 64 == 0);
    PROMISE(qd_input(model).bytes <= qd_arena_bytes(model) && qd_output(model).bytes <= qd_arena_bytes(model));
    for (uint32_t i = 0; i < qd_op_count(model); i++) {
        const qd_op_description info = qd_op_info(model, i);
        const uint8_t *name = (const uint8_t *)info.name;
        PROMISE(name >= file && name <= end && info.name_length <= (size_t)(end - name));
        PROMISE(info.macs <= qd_macs(model) && info.output.bytes <= qd_arena_bytes(model));
        for (size_t k = 0; k < info.name_length; k++) sum += name[k];
        sum += strlen(info.opcode);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *file = exact_copy(data, size);
    qd_model model;
    qd_error error;
    const qd_status status = qd_open(&model, file, size, &error);
    PROMISE(status == error.status && strlen(qd_status_str(status)) > 0);
    if (status == QD_OK) ask(&model, file, size);
    free(file);
    return 0;
}
