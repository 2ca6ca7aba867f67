/* Everything that must hold for the file as a whole: header, checksum, placement of tables and data, buffers, constants. */
#include "qd_verify.h"

#include <string.h>

#include "qd_cpu.h"
#include "qd_crc.h"
#include "qd_read.h"

static int file_error(qd_error *error, qd_status status) { return qd_refuse(error, status, QD_IN_FILE, 0); }

static uint64_t align64(uint64_t n) { return (n + 63) / 64 * 64; }

static int zero_bytes(const qd_model *model, uint64_t from, uint64_t to) {
    for (; from < to; from++) {
        if (model->data[from] != 0) return 0;
    }
    return 1;
}

static int check_header(qd_model *model, const uint8_t *data, size_t size, qd_error *error) {
    static const uint8_t magic[4] = {0x51, 0x44, 0x4D, 0x1A};
    qd_cursor in;
    const uint8_t *found;
    uint16_t major;
    uint32_t file_size, crc, reserved;

    in.p = data;
    in.end = data + size;
    in.failed = 0;
    found = qd_take(&in, sizeof magic);
    if (!found) return file_error(error, QD_TRUNCATED);
    if (memcmp(found, magic, sizeof magic) != 0) return file_error(error, QD_MAGIC);
    major = qd_u16(&in);
    model->minor = qd_u16(&in);
    file_size = qd_u32(&in);
    crc = qd_u32(&in);
    model->flags = qd_u32(&in);
    model->n_buffers = qd_u32(&in);
    model->n_operators = qd_u32(&in);
    model->n_constants = qd_u32(&in);
    model->buffers_at = qd_u32(&in);
    model->operators_at = qd_u32(&in);
    model->constants_at = qd_u32(&in);
    model->names_at = qd_u32(&in);
    model->names_size = qd_u32(&in);
    model->arena_bytes = qd_u32(&in);
    model->input = qd_u16(&in);
    model->output = qd_u16(&in);
    reserved = qd_u32(&in);
    if (in.failed) return file_error(error, QD_TRUNCATED);
    if (major != QD_FORMAT_MAJOR || model->minor > QD_FORMAT_MINOR) return file_error(error, QD_VERSION);
    if (file_size != size) return file_error(error, QD_SIZE);
    model->data = data;
    model->size = size;
    if (crc != qd_crc32(data + QD_CRC_FROM, size - QD_CRC_FROM, qd_cpu_features())) return file_error(error, QD_CRC);
    if (reserved != 0 || (model->flags & ~(uint32_t)QD_FLAG_FLOAT) != 0) return file_error(error, QD_RESERVED);
    return 1;
}

/* Tables one after another, names, zeros up to a multiple of 64: returns where the constants' data begin, 0 if refused. */
static uint64_t check_tables(const qd_model *model, qd_error *error) {
    uint64_t at = QD_HEADER_BYTES, data_at;
    if (model->n_buffers < 1 || model->n_buffers > QD_MAX_BUFFERS || model->n_operators < 1 ||
        model->n_operators > QD_MAX_OPERATORS || model->n_constants > QD_MAX_CONSTANTS) {
        file_error(error, QD_COUNT);
        return 0;
    }
    if (model->buffers_at == at) at += (uint64_t)model->n_buffers * QD_BUFFER_BYTES; else at = 0;
    if (at && model->operators_at == at) at += (uint64_t)model->n_operators * QD_OPERATOR_BYTES; else at = 0;
    if (at && model->constants_at == at) at += (uint64_t)model->n_constants * QD_CONSTANT_BYTES; else at = 0;
    if (at && model->names_at == at) at += model->names_size; else at = 0;
    data_at = align64(at);
    if (at == 0 || data_at > model->size) {
        file_error(error, QD_PLACEMENT);
        return 0;
    }
    if (!zero_bytes(model, at, data_at)) {
        file_error(error, QD_PADDING);
        return 0;
    }
    return data_at;
}

static int check_constants(const qd_model *model, uint64_t at, qd_error *error) {
    uint32_t i;
    for (i = 0; i < model->n_constants; i++) {
        const qd_constant constant = qd_load_constant(model, i);
        const size_t element = qd_element_bytes(constant.dtype);
        uint64_t end;
        if (constant.reserved != 0) return qd_refuse(error, QD_RESERVED, QD_IN_CONSTANT, i);
        if (element == 0) return qd_refuse(error, QD_DTYPE, QD_IN_CONSTANT, i);
        if (constant.count < 1) return qd_refuse(error, QD_COUNT, QD_IN_CONSTANT, i);
        if (constant.offset != at) return qd_refuse(error, QD_PLACEMENT, QD_IN_CONSTANT, i);
        end = at + (uint64_t)constant.count * element;
        at = align64(end);
        if (at > model->size) return qd_refuse(error, QD_PLACEMENT, QD_IN_CONSTANT, i);
        if (!zero_bytes(model, end, at)) return qd_refuse(error, QD_PADDING, QD_IN_CONSTANT, i);
    }
    return at == model->size ? 1 : file_error(error, QD_SIZE);
}

static qd_status buffer_problem(const qd_model *model, const qd_buffer *buffer) {
    uint64_t bytes;
    if (buffer->reserved != 0) return QD_RESERVED;
    if (buffer->dtype < QD_U8 || buffer->dtype > (model->minor < 2 ? QD_BITS : QD_TRITS)) return QD_DTYPE;
    if (buffer->h < 1 || buffer->h > QD_MAX_SIDE || buffer->w < 1 || buffer->w > QD_MAX_SIDE || buffer->c < 1 ||
        buffer->c > QD_MAX_CHANNELS) {
        return QD_DIMENSIONS;
    }
    bytes = (uint64_t)buffer->h * buffer->w * qd_pixel_bytes(buffer->dtype, buffer->c);
    if (bytes != buffer->bytes) return QD_BYTES;
    if (buffer->offset % QD_ALIGNMENT != 0 || buffer->offset > model->arena_bytes ||
        buffer->bytes > model->arena_bytes - buffer->offset) {
        return QD_BOUNDS;
    }
    return QD_OK;
}

static int check_buffers(const qd_model *model, qd_error *error) {
    uint32_t i;
    if (model->arena_bytes % QD_ALIGNMENT != 0) return file_error(error, QD_BOUNDS);
    if (model->input >= model->n_buffers || model->output >= model->n_buffers) return file_error(error, QD_INDEX);
    for (i = 0; i < model->n_buffers; i++) {
        const qd_buffer buffer = qd_load_buffer(model, i);
        const qd_status problem = buffer_problem(model, &buffer);
        if (problem != QD_OK) return qd_refuse(error, problem, QD_IN_BUFFER, i);
    }
    return 1;
}

int qd_verify_file(qd_model *model, const uint8_t *data, size_t size, qd_error *error) {
    uint64_t data_at;
    if (!check_header(model, data, size, error)) return 0;
    data_at = check_tables(model, error);
    return data_at != 0 && check_constants(model, data_at, error) && check_buffers(model, error);
}

qd_status qd_open(qd_model *model, const void *data, size_t size, qd_error *detail) {
    qd_error error;
    error.status = QD_OK;
    error.place = QD_IN_FILE;
    error.index = 0;
    if (!model || !data) {
        error.status = QD_ARGUMENT;
    } else if ((uintptr_t)data % QD_ALIGNMENT != 0) {
        error.status = QD_MISALIGNED;
    } else {
        memset(model, 0, sizeof *model);
        if (qd_verify_file(model, (const uint8_t *)data, size, &error) && qd_verify_operators(model, &error) &&
            qd_verify_memory(model, &error)) {
            model->cpu = qd_cpu_features();
        }
    }
    if (detail) *detail = error;
    return error.status;
}
