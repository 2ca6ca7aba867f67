/* Images and arrays: reads PNM and .npy into the model's NHWC input, writes .npy. */
#ifndef QD_TOOL_FILES_H
#define QD_TOOL_FILES_H

#include "tool.h"

/* What an input file holds: n samples in memory, each planar (C,H,W) or interleaved (H,W,C). */
typedef struct samples {
    size_t n;
    int planar;
    const unsigned char *data;
} samples;

static size_t element_size(qd_dtype dtype) {
    return dtype == QD_U8 || dtype == QD_I8 ? 1 : dtype == QD_I16 ? 2 : dtype == QD_BITS || dtype == QD_TRITS ? 0 : 4;
}

/* n elements between this machine's byte order and little-endian, in place, either way; nothing where the two are one. */
static void swap_if_big_endian(void *data, size_t n, size_t element) {
    static const uint16_t one = 1;
    unsigned char *p = (unsigned char *)data;
    if (*(const unsigned char *)&one == 1) return;
    for (; n > 0; n--, p += element) {
        for (size_t i = 0; i < element / 2; i++) {
            const unsigned char byte = p[i];
            p[i] = p[element - 1 - i];
            p[element - 1 - i] = byte;
        }
    }
}

static const char *npy_type(qd_dtype dtype) {
    switch (dtype) {
    case QD_U8: return "|u1";
    case QD_I8: return "|i1";
    case QD_I16: return "<i2";
    case QD_I32: return "<i4";
    case QD_F32: return "<f4";
    default: return "";
    }
}

/* The next number of a PNM header, past white space and comments; -1 if there is none. */
static long pnm_number(const unsigned char **p, const unsigned char *end) {
    long n = -1;
    for (; *p < end; ++*p) {
        if (**p == '#') {
            while (*p < end && **p != '\n') ++*p;
            if (*p == end) break;
        } else if (**p != ' ' && **p != '\t' && **p != '\n' && **p != '\r') {
            break;
        }
    }
    for (; *p < end && **p >= '0' && **p <= '9' && n < 1000000; ++*p) n = (n < 0 ? 0 : n) * 10 + (**p - '0');
    return n;
}

static samples read_pnm(const char *path, const unsigned char *data, size_t size, qd_tensor want) {
    const unsigned char *p = data + 2, *end = data + size;
    const uint32_t channels = data[1] == '6' ? 3 : 1;
    samples result;
    const long w = pnm_number(&p, end), h = pnm_number(&p, end), most = pnm_number(&p, end);
    if (w < 0 || h < 0 || most < 0 || p == end) die(TOOL_BAD_INPUT, "%s: damaged PNM header", path);
    p++; /* the one white space after the header */
    if (most != 255) die(TOOL_BAD_INPUT, "%s: only 8-bit images with a largest value of 255 (this one: %ld)", path, most);
    if (want.dtype != QD_U8) die(TOOL_BAD_INPUT, "%s: the model takes %s, not an image; use .npy", path, npy_type(want.dtype));
    if ((uint32_t)w != want.w || (uint32_t)h != want.h || channels != want.c) {
        die(TOOL_BAD_INPUT, "%s: image is %ld x %ld with %u channels, the model wants %u x %u with %u", path, w, h,
            (unsigned)channels, (unsigned)want.w, (unsigned)want.h, (unsigned)want.c);
    }
    if ((size_t)(end - p) < want.bytes) die(TOOL_BAD_INPUT, "%s: the image is cut off", path);
    result.n = 1;
    result.planar = 0;
    result.data = p;
    return result;
}

/* The text after 'key': in a .npy header, or NULL. */
static const char *npy_field(const char *header, const char *key) {
    const char *at = strstr(header, key);
    if (!at) return NULL;
    at += strlen(key);
    while (*at == ' ' || *at == ':') at++;
    return at;
}

static samples read_npy(const char *path, const unsigned char *data, size_t size, qd_tensor want) {
    char header[1024];
    size_t dims[5] = {0}, n_dims = 0, header_at, header_size, first, count;
    const char *type, *order, *shape;
    samples result;
    if (size < 12) die(TOOL_BAD_INPUT, "%s: cut off", path);
    header_at = data[6] == 1 ? 10 : 12;
    header_size = data[8] | (size_t)data[9] << 8;
    if (data[6] != 1) header_size |= (size_t)data[10] << 16 | (size_t)data[11] << 24;
    if (header_size >= sizeof header || size - header_at < header_size) die(TOOL_BAD_INPUT, "%s: damaged .npy header", path);
    memcpy(header, data + header_at, header_size);
    header[header_size] = '\0';
    type = npy_field(header, "'descr'");
    order = npy_field(header, "'fortran_order'");
    shape = npy_field(header, "'shape'");
    if (!type || !order || !shape || *shape != '(') die(TOOL_BAD_INPUT, "%s: damaged .npy header", path);
    if (strncmp(order, "False", 5) != 0) die(TOOL_BAD_INPUT, "%s: Fortran order; save a C-contiguous array", path);
    if (strlen(type) < 5 || strncmp(type + 1, npy_type(want.dtype), 3) != 0 || type[4] != type[0]) {
        die(TOOL_BAD_INPUT, "%s: elements are %.5s, the model wants '%s'", path, type, npy_type(want.dtype));
    }
    for (shape++; *shape != ')';) {
        char *next;
        const unsigned long n = strtoul(shape, &next, 10);
        if (next == shape || n_dims == 5) die(TOOL_BAD_INPUT, "%s: cannot read the shape", path);
        dims[n_dims++] = n;
        for (shape = next; *shape == ',' || *shape == ' ';) shape++;
    }
    /* The last dimensions are C, H, W; a model whose map is 1 x 1 also takes plain vectors. */
    first = 1;
    if (n_dims == 4 || (n_dims == 2 && want.h == 1 && want.w == 1)) {
        result.n = dims[0];
    } else if (n_dims == 3 || (n_dims == 1 && want.h == 1 && want.w == 1)) {
        result.n = 1;
        first = 0;
    } else {
        result.n = 0;
    }
    if (result.n == 0 || dims[first] != want.c || (n_dims > 2 && (dims[first + 1] != want.h || dims[first + 2] != want.w))) {
        die(TOOL_BAD_INPUT, "%s: shape does not fit; the model wants [N, %u, %u, %u] or [%u, %u, %u]", path, (unsigned)want.c,
            (unsigned)want.h, (unsigned)want.w, (unsigned)want.c, (unsigned)want.h, (unsigned)want.w);
    }
    count = size - header_at - header_size;
    if (result.n > count / want.bytes) die(TOOL_BAD_INPUT, "%s: the array is cut off", path);
    result.planar = 1;
    result.data = data + header_at + header_size;
    return result;
}

/* What a file's bytes hold; path is for messages only. */
static samples samples_of(const char *path, const unsigned char *data, size_t size, qd_tensor want) {
    if (want.dtype == QD_BITS || want.dtype == QD_TRITS) die(TOOL_BAD_INPUT, "models with a bit-packed input cannot be fed from files");
    if (size > 2 && data[0] == 'P' && (data[1] == '5' || data[1] == '6')) return read_pnm(path, data, size, want);
    if (size > 8 && memcmp(data, "\x93NUMPY", 6) == 0) return read_npy(path, data, size, want);
    die(TOOL_BAD_INPUT, "%s: neither a PNM image (P5, P6) nor a .npy array", path);
}

static samples read_samples(const char *path, qd_tensor want) {
    const char *why = "";
    size_t size = 0;
    const unsigned char *data = (const unsigned char *)port_load(path, &size, &why);
    if (!data) die(TOOL_BAD_INPUT, "%s: %s", path, why);
    return samples_of(path, data, size, want);
}

/* Sample i as the model takes it: H, W, C, in this machine's byte order. */
static void take_sample(const samples *from, size_t i, qd_tensor want, unsigned char *to) {
    const size_t size = element_size(want.dtype), plane = (size_t)want.h * want.w;
    const unsigned char *in = from->data + i * want.bytes;
    if (!from->planar) {
        memcpy(to, in, want.bytes);
        return;
    }
    for (size_t c = 0; c < want.c; c++) {
        for (size_t p = 0; p < plane; p++) memcpy(to + (p * want.c + c) * size, in + (c * plane + p) * size, size);
    }
    swap_if_big_endian(to, plane * want.c, size);
}

/* Writes under a temporary name first, so that a file of this name is always whole. */
static void write_file(const char *path, const void *head, size_t head_size, const void *data, size_t size) {
    const size_t n = strlen(path);
    char *temporary = (char *)need_memory(n + 5);
    FILE *file;
    int ok;
    memcpy(temporary, path, n);
    memcpy(temporary + n, ".tmp", 5);
    file = fopen(temporary, "wb");
    if (!file) die(TOOL_FAILED, "%s: cannot write", temporary);
    ok = fwrite(head, 1, head_size, file) == head_size && fwrite(data, 1, size, file) == size;
    ok = fclose(file) == 0 && ok;
    if (!ok || rename(temporary, path) != 0) {
        remove(temporary);
        die(TOOL_FAILED, "%s: cannot write", path);
    }
    port_free(temporary);
}

/* A .npy file of n outputs of this shape, elements of four bytes, [n, C] or, of more than one pixel, [n, C, H, W]; data comes back as it was. */
static void write_npy(const char *path, const char *type, size_t n, qd_tensor shape, void *data) {
    const size_t count = n * shape.h * shape.w * shape.c;
    char head[128], map[32] = "";
    int written;
    if (shape.h > 1 || shape.w > 1) snprintf(map, sizeof map, ", %lu, %lu", (unsigned long)shape.h, (unsigned long)shape.w);
    memset(head, ' ', sizeof head);
    memcpy(head, "\x93NUMPY\x01\x00\x76\x00", 10);
    written = snprintf(head + 10, sizeof head - 10, "{'descr': '%s', 'fortran_order': False, 'shape': (%zu, %lu%s), }", type, n,
                       (unsigned long)shape.c, map);
    if (written < 0 || (size_t)written >= sizeof head - 11) die(TOOL_FAILED, "shape too large for .npy");
    head[10 + written] = ' ';
    head[127] = '\n';
    swap_if_big_endian(data, count, 4);
    write_file(path, head, sizeof head, data, count * 4);
    swap_if_big_endian(data, count, 4);
}

#endif
