/* Writes small .qdm files in memory, byte by byte from docs/qdm.md, sharing no code with the reader. */
#ifndef QD_TEST_WRITER_H
#define QD_TEST_WRITER_H

#include "test.h"

enum { W_MAX = 1 << 20, W_NONE = 0xFFFF };

typedef struct writer {
    uint8_t buffers[32 * 24], ops[32 * 96], constants[64 * 16], names[256];
    uint32_t n_buffers, n_ops, n_constants, names_size, arena, flags, minor;
    const void *data[64];
    uint32_t data_bytes[64];
} writer;

/* One operator; set what it uses, zero the rest with w_op_new. */
typedef struct w_op {
    uint32_t opcode, epilogue, weights, steps, n_inputs, inputs[4], output;
    uint32_t kernel[2], stride[2], padding[4], dilation[2], groups, constants[8];
    float reals[2];
    int32_t range[2];
    uint32_t scratch_bytes;
} w_op;

static inline void put16(uint8_t *to, uint32_t v) {
    to[0] = (uint8_t)v;
    to[1] = (uint8_t)(v >> 8);
}

static inline void put32(uint8_t *to, uint32_t v) {
    put16(to, v);
    put16(to + 2, v >> 16);
}

static inline void put_float(uint8_t *to, float v) {
    uint32_t bits;
    memcpy(&bits, &v, 4);
    put32(to, bits);
}

static inline uint32_t align_to(uint32_t n, uint32_t to) { return (n + to - 1) / to * to; }

static inline uint32_t w_crc(const uint8_t *p, size_t n) {
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int k = 0; k < 8; k++) crc = crc & 1 ? crc >> 1 ^ 0xEDB88320u : crc >> 1;
    }
    return ~crc;
}

static inline uint32_t w_pixel(uint32_t dtype, uint32_t c) {
    if (dtype >= 6) return (c <= 8 ? 1 : c <= 16 ? 2 : c <= 32 ? 4 : (c + 63) / 64 * 8) * (dtype - 5);
    return c * (dtype <= 2 ? 1 : dtype == 3 ? 2 : 4);
}

/* Each buffer gets memory of its own. */
static inline uint32_t w_buffer(writer *w, uint32_t dtype, uint32_t h, uint32_t width, uint32_t c) {
    uint8_t *r = w->buffers + 24 * w->n_buffers;
    const uint32_t bytes = h * width * w_pixel(dtype, c);
    memset(r, 0, 24);
    r[0] = (uint8_t)dtype;
    put32(r + 4, h);
    put32(r + 8, width);
    put32(r + 12, c);
    put32(r + 16, w->arena);
    put32(r + 20, bytes);
    w->arena = align_to(w->arena + bytes, 64);
    return w->n_buffers++;
}

/* data stays the caller's until the file is finished. The offset is filled in then. */
static inline uint32_t w_constant(writer *w, uint32_t dtype, uint32_t count, const void *data) {
    uint8_t *r = w->constants + 16 * w->n_constants;
    memset(r, 0, 16);
    r[0] = (uint8_t)dtype;
    put32(r + 4, count);
    w->data[w->n_constants] = data;
    w->data_bytes[w->n_constants] = count * (dtype <= 2 ? 1u : dtype == 3 ? 2u : 4u);
    return w->n_constants++;
}

static inline w_op w_op_new(uint32_t opcode, uint32_t input, uint32_t output) {
    w_op op;
    memset(&op, 0, sizeof op);
    op.opcode = opcode;
    op.n_inputs = 1;
    op.inputs[0] = input;
    op.inputs[1] = op.inputs[2] = op.inputs[3] = W_NONE;
    op.output = output;
    op.dilation[0] = op.dilation[1] = op.groups = opcode == 1;
    for (int i = 0; i < 8; i++) op.constants[i] = W_NONE;
    return op;
}

/* The oldest minor version that has the operator. */
static inline uint32_t w_minor(const writer *w, const w_op *op) {
    const uint32_t in = w->buffers[24 * op->inputs[0]], out = w->buffers[24 * op->output];
    const int pool = op->opcode == 3 || op->opcode == 4;
    const uint8_t *c = w->buffers + 24 * op->inputs[0] + 12;
    const uint32_t channels = c[0] | (uint32_t)c[1] << 8 | (uint32_t)c[2] << 16;
    if (op->opcode == 1 && op->groups > 1 && op->groups == channels && op->weights != 2) return 3;
    if (op->opcode >= 9 || (op->opcode == 7 && (op->n_inputs < 2 || out >= 6))) return 3;
    if (op->steps & 128) return 3;
    if (pool && (op->padding[0] | op->padding[1] | op->padding[2] | op->padding[3])) return 3;
    for (uint32_t i = 0; op->opcode == 7 && i < op->n_inputs; i++) {
        if (w->buffers[24 * op->inputs[i]] != out) return 3;
    }
    if (op->epilogue == 3 || op->weights > 2 || out == 7 || in == 7 || (op->opcode == 3 && in != 6)) return 2;
    if (op->opcode == 1 && (op->weights == 1) != (in == 6)) return 2;
    if (op->opcode == 1 && (op->dilation[0] > 1 || op->dilation[1] > 1 || op->groups > 1 || op->range[0] != 0)) return 2;
    return op->steps & 64 ? 1 : 0;
}

static inline void w_add(writer *w, const w_op *op, const char *name) {
    uint8_t *r = w->ops + 96 * w->n_ops++;
    const uint32_t length = (uint32_t)strlen(name);
    memset(r, 0, 96);
    r[0] = (uint8_t)op->opcode;
    r[1] = (uint8_t)op->epilogue;
    r[2] = (uint8_t)op->weights;
    r[3] = (uint8_t)op->n_inputs;
    for (int i = 0; i < 4; i++) put16(r + 4 + 2 * i, op->inputs[i]);
    put16(r + 12, op->output);
    put16(r + 14, op->steps);
    for (int i = 0; i < 2; i++) {
        put16(r + 16 + 2 * i, op->kernel[i]);
        put16(r + 20 + 2 * i, op->stride[i]);
        put16(r + 32 + 2 * i, op->dilation[i]);
        put_float(r + 56 + 4 * i, op->reals[i]);
        put32(r + 64 + 4 * i, (uint32_t)op->range[i]);
    }
    for (int i = 0; i < 4; i++) put16(r + 24 + 2 * i, op->padding[i]);
    put32(r + 36, op->groups);
    for (int i = 0; i < 8; i++) put16(r + 40 + 2 * i, op->constants[i]);
    if (op->scratch_bytes) put32(r + 72, w->arena);
    put32(r + 76, op->scratch_bytes);
    w->arena = align_to(w->arena + op->scratch_bytes, 64);
    put32(r + 80, w->names_size);
    put32(r + 84, length);
    memcpy(w->names + w->names_size, name, length);
    w->names_size += length;
    w->minor = w->minor > w_minor(w, op) ? w->minor : w_minor(w, op);
    if (op->opcode == 2 || op->opcode == 4 || op->opcode == 5 || op->opcode == 8 || op->opcode >= 16 || op->epilogue == 2) w->flags = 1;
}

/* Recomputes size-independent check: the checksum of a file that was changed on purpose. */
static inline void w_seal(uint8_t *file, uint32_t size) { put32(file + 12, w_crc(file + 16, size - 16)); }

/* Elements in little-endian order. */
static inline void w_data(uint8_t *to, uint32_t dtype, uint32_t bytes, const void *from) {
    const uint32_t element = dtype <= 2 ? 1 : dtype == 3 ? 2 : 4;
    for (uint32_t i = 0; i < bytes; i += element) {
        uint16_t half = 0;
        uint32_t word = 0;
        if (element == 1) {
            to[i] = ((const uint8_t *)from)[i];
        } else if (element == 2) {
            memcpy(&half, (const uint8_t *)from + i, 2);
            put16(to + i, half);
        } else {
            memcpy(&word, (const uint8_t *)from + i, 4);
            put32(to + i, word);
        }
    }
}

/* The whole file; `to` holds W_MAX bytes. Returns its size. */
static inline uint32_t w_finish(writer *w, uint32_t input, uint32_t output, uint8_t *to) {
    const uint32_t at[5] = {64, 64 + 24 * w->n_buffers, 64 + 24 * w->n_buffers + 96 * w->n_ops,
                            64 + 24 * w->n_buffers + 96 * w->n_ops + 16 * w->n_constants, 0};
    uint32_t end = align_to(at[3] + w->names_size, 64);
    memset(to, 0, W_MAX);
    for (uint32_t i = 0; i < w->n_constants; i++) {
        put32(w->constants + 16 * i + 8, end);
        w_data(to + end, w->constants[16 * i], w->data_bytes[i], w->data[i]);
        end = align_to(end + w->data_bytes[i], 64);
    }
    memcpy(to, "QDM\x1a\x01", 5);
    put16(to + 6, w->minor);
    put32(to + 8, end);
    put32(to + 16, w->flags);
    put32(to + 20, w->n_buffers);
    put32(to + 24, w->n_ops);
    put32(to + 28, w->n_constants);
    for (int i = 0; i < 4; i++) put32(to + 32 + 4 * i, at[i]);
    put32(to + 48, w->names_size);
    put32(to + 52, w->arena);
    put16(to + 56, input);
    put16(to + 58, output);
    memcpy(to + at[0], w->buffers, 24 * w->n_buffers);
    memcpy(to + at[1], w->ops, 96 * w->n_ops);
    memcpy(to + at[2], w->constants, 16 * w->n_constants);
    memcpy(to + at[3], w->names, w->names_size);
    w_seal(to, end);
    return end;
}

/* Packs weights [O][taps][C] of +1/-1 lane-major; returns the bytes. */
static inline uint32_t w_pack_bits(const int8_t *from, uint32_t o, uint32_t taps, uint32_t c, uint8_t *to) {
    const uint32_t lanes = o <= 16 ? 16 : 32, s = w_pixel(6, c), kb = taps * s, bytes = (o + lanes - 1) / lanes * kb * lanes;
    memset(to, 0, bytes);
    for (uint32_t i = 0; i < o; i++) {
        for (uint32_t t = 0; t < taps; t++) {
            for (uint32_t k = 0; k < c; k++) {
                if (from[(i * taps + t) * c + k] < 0) {
                    to[((i / lanes) * kb + t * s + k / 8) * lanes + i % lanes] |= (uint8_t)(1u << k % 8);
                }
            }
        }
    }
    return bytes;
}

/* Packs ternary weights [O][taps][C] lane-major, a byte of signs of each lane, then of masks; returns the bytes. */
static inline uint32_t w_pack_trits(const int8_t *from, uint32_t o, uint32_t taps, uint32_t c, uint8_t *to) {
    const uint32_t lanes = o <= 16 ? 16 : 32, s = w_pixel(6, c), kb = taps * s, bytes = (o + lanes - 1) / lanes * kb * lanes * 2;
    memset(to, 0, bytes);
    for (uint32_t i = 0; i < o; i++) {
        for (uint32_t t = 0; t < taps; t++) {
            for (uint32_t k = 0; k < c; k++) {
                const int8_t w = from[(i * taps + t) * c + k];
                uint8_t *at = to + ((i / lanes) * kb + t * s + k / 8) * 2 * lanes + i % lanes;
                if (w < 0) at[0] |= (uint8_t)(1u << k % 8);
                if (w != 0) at[lanes] |= (uint8_t)(1u << k % 8);
            }
        }
    }
    return bytes;
}

/* Packs weights [O][K] of kind 1, 3, 4 or 5 pair-major; returns the bytes. */
static inline uint32_t w_pack_small(const int8_t *from, uint32_t kind, uint32_t o, uint32_t k, uint8_t *to) {
    const uint32_t bits = kind == 3 ? 2 : kind == 4 ? 4 : 1, pairs = (k + 1) / 2, bytes = (o + 7) / 8 * pairs * 2 * bits;
    memset(to, 0, bytes);
    for (uint32_t i = 0; i < o; i++) {
        for (uint32_t n = 0; n < k; n++) {
            uint8_t *pair = to + ((i / 8) * pairs + n / 2) * 2 * bits;
            const uint32_t j = i % 8 * 2 + n % 2;
            const int8_t w = from[i * k + n];
            if (bits == 4) {
                pair[j / 2] |= (uint8_t)((w & 15) << 4 * (j % 2));
            } else {
                if (kind == 5 ? w != 0 : w < 0) pair[j / 8] |= (uint8_t)(1u << j % 8);
                if (bits == 2 && w != 0) pair[2 + j / 8] |= (uint8_t)(1u << j % 8);
            }
        }
    }
    return bytes;
}

/* Packs weights [O][taps] of any kind tap-major, as those of a depthwise convolution; returns the bytes. */
static inline uint32_t w_pack_taps(const int8_t *from, uint32_t kind, uint32_t o, uint32_t taps, int8_t *to) {
    const uint32_t bits = kind == 2 ? 8 : kind == 3 ? 2 : kind == 4 ? 4 : 1, tap = kind == 2 ? o : (o + 7) / 8 * bits;
    memset(to, 0, taps * tap);
    for (uint32_t i = 0; i < o * taps; i++) {
        const uint32_t c = i / taps;
        const int8_t w = from[i];
        uint8_t *eight = (uint8_t *)to + i % taps * tap + c / 8 * bits;
        if (bits == 8) to[i % taps * o + c] = w;
        else if (bits == 4) eight[c % 8 / 2] |= (uint8_t)((w & 15) << 4 * (c % 2));
        else eight[0] |= (uint8_t)((kind == 5 ? w != 0 : w < 0) << c % 8);
        if (bits == 2) eight[1] |= (uint8_t)((w != 0) << c % 8);
    }
    return taps * tap;
}

/* Packs weights [O][K] pair-major; returns the bytes. */
static inline uint32_t w_pack_int8(const int8_t *from, uint32_t o, uint32_t k, int8_t *to) {
    const uint32_t k2 = k + k % 2, bytes = (o + 7) / 8 * k2 * 8;
    memset(to, 0, bytes);
    for (uint32_t i = 0; i < o; i++) {
        for (uint32_t j = 0; j < k; j++) to[((i / 8 * (k2 / 2) + j / 2) * 8 + i % 8) * 2 + j % 2] = from[i * k + j];
    }
    return bytes;
}

#endif
