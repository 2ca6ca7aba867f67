/*
 * A map of bits, taken apart for kernels that have output pixels in byte lanes: planes of half bytes, a byte for every output pixel, the
 * four channels under one column of the kernel. Any 32 neighbouring output pixels are then a vector, at each row of the kernel.
 */
#ifndef QD_PLANES_AVX2_H
#define QD_PLANES_AVX2_H

#include "lanes_avx2.h"

/*
 * Output pixels past the last one are whatever was in memory. In 16 bits they meet their neighbour, and are subtracted again whatever they
 * are; MemorySanitizer does not see that.
 */
#define QD_FOR_MSAN(array) ((void)(array))
#if defined(__has_feature)
#if __has_feature(memory_sanitizer)
#undef QD_FOR_MSAN
#define QD_FOR_MSAN(array) memset(array, 0, sizeof array)
#endif
#endif

/* Of a strip of output rows: bytes of its planes, pixels of the map, its width; and QD_OUTSIDE, for which a look-up gives 0. */
enum { QD_PLANES_BYTES = 40960, QD_STRIP_PIXELS = 640, QD_STRIP_WIDTH = 384, QD_STRIP_MARGIN = 64, QD_OUTSIDE = 0x80 };

typedef struct qd_planes {
    const qd_map *map;
    size_t used, nibbles; /* bytes of a pixel that hold channels, and their halves */
    size_t phases;        /* rows of the map that meet different rows of the kernel */
    size_t plane;         /* bytes of a plane: [phase][column of the kernel][half byte][row][output column] */
    uint8_t *planes;
} qd_planes;

/* Which taps of a pixel lie beside the map: [column of the kernel][output column of a row, or of all rows], QD_OUTSIDE or 0. */
typedef uint8_t qd_beside[QD_STRIP_PIXELS + 32];

/* Whether the planes of all rows are one row: output pixels then lie as the map's do. */
QD_AVX2_INLINE int qd_planes_flat(const qd_map *m) { return m->stride_h == 1 && m->stride_w == 1 && m->out_w == m->w; }

/* Every second one of 64 bytes. */
QD_AVX2_INLINE __m256i qd_even_bytes(const uint8_t *from) {
    const __m256i byte = _mm256_set1_epi16(0xFF);
    const __m256i even = _mm256_packus_epi16(_mm256_and_si256(qd_load(from), byte), _mm256_and_si256(qd_load(from + 32), byte));
    return _mm256_permute4x64_epi64(even, 0xD8);
}

/* Even bytes of `from` to the first half of `to`, odd ones to the second; n: a multiple of 64. */
QD_AVX2_INLINE void qd_unzip(const uint8_t *from, size_t n, uint8_t *to) {
    for (size_t i = 0; i < n; i += 64) {
        const __m256i odd = _mm256_packus_epi16(_mm256_srli_epi16(qd_load(from + i), 8), _mm256_srli_epi16(qd_load(from + i + 32), 8));
        _mm256_storeu_si256((__m256i *)(void *)(to + i / 2), qd_even_bytes(from + i));
        _mm256_storeu_si256((__m256i *)(void *)(to + n / 2 + i / 2), _mm256_permute4x64_epi64(odd, 0xD8));
    }
}

/* The inverse. */
QD_AVX2_INLINE void qd_zip(const uint8_t *from, size_t n, uint8_t *to) {
    for (size_t i = 0; i < n; i += 64) {
        const __m256i x = qd_load(from + i / 2), y = qd_load(from + n / 2 + i / 2);
        const __m256i low = _mm256_unpacklo_epi8(x, y), high = _mm256_unpackhi_epi8(x, y);
        _mm256_storeu_si256((__m256i *)(void *)(to + i), _mm256_permute2x128_si256(low, high, 0x20));
        _mm256_storeu_si256((__m256i *)(void *)(to + i + 32), _mm256_permute2x128_si256(low, high, 0x31));
    }
}

/* Bytes [first, first + bytes) of n pixels: those of byte b are n, rounded up to a multiple of 32, from those of b - 1. */
QD_AVX2_INLINE const uint8_t *qd_bytes_of(const qd_map *m, const uint8_t *in, size_t n, size_t first, size_t bytes, uint8_t (*space)[8 * QD_STRIP_PIXELS]) {
    const size_t all = (n + 31) / 32 * 32;
    size_t at = 0;
    if (bytes == m->pixel) memcpy(space[0], in, n * bytes);
    else for (size_t x = 0; x < n; x++) memcpy(space[0] + 8 * x, in + x * m->pixel + first, 8);
    for (size_t k = 1; k < bytes; k *= 2, at = !at) qd_unzip(space[at], all * bytes, space[!at]);
    return space[at];
}

/* n bytes, or up to 31 more. */
QD_AVX2_INLINE void qd_fill(uint8_t *to, size_t n, __m256i value) {
    for (size_t x = 0; x < n; x += 32) _mm256_storeu_si256((__m256i *)(void *)(to + x), value);
}

/* A half byte of the pixels of n rows, with a margin, to its planes. What is written past a row is written over, or behind the last one. */
QD_AVX2_INLINE void qd_make_planes(const qd_planes *g, const uint8_t *line, size_t n, const qd_beside *beside, uint8_t *to) {
    const qd_map *m = g->map;
    const int flat = qd_planes_flat(m);
    const size_t rows = flat ? 1 : n, width = flat ? n * m->w : m->out_w;
    for (size_t kx = 0; kx < m->kernel_w; kx++, line++, to += g->nibbles * g->plane) {
        for (size_t r = 0; r < rows; r++) {
            const uint8_t *from = line + r * m->w;
            uint8_t *plane = to + r % m->stride_h * m->kernel_w * g->nibbles * g->plane + r / m->stride_h * m->out_w;
            if (r % m->stride_h >= g->phases) continue;
            for (size_t x = 0; x < width; x += 32) {
                __m256i v;
                if (m->stride_w == 1) {
                    v = qd_load(from + x);
                } else if (m->stride_w == 2) {
                    v = qd_even_bytes(from + 2 * x);
                } else {
                    uint8_t some[32];
                    for (size_t i = 0; i < 32; i++) some[i] = from[(x + i < width ? x + i : 0) * m->stride_w];
                    v = qd_load(some);
                }
                _mm256_storeu_si256((__m256i *)(void *)(plane + x), _mm256_or_si256(v, qd_load(beside[kx] + x)));
            }
        }
    }
}

/* The planes of n output rows from y on. */
__attribute__((noinline)) QD_AVX2_TARGET static void qd_take_apart(const qd_planes *g, size_t y, size_t n, const qd_beside *beside) {
    const qd_map *m = g->map;
    const __m256i half = _mm256_set1_epi8(15), outside = _mm256_set1_epi8((char)QD_OUTSIDE);
    const size_t rows = (n - 1) * m->stride_h + m->kernel_h, top = y * m->stride_h < m->top ? m->top - y * m->stride_h : 0; /* rows above the map */
    const size_t from = y * m->stride_h + top - m->top, inside = rows - top < m->h - from ? rows - top : m->h - from, pixels = inside * m->w;
    uint8_t space[2][8 * QD_STRIP_PIXELS], line[QD_STRIP_MARGIN + QD_STRIP_PIXELS + 2 * QD_STRIP_MARGIN];
    QD_FOR_MSAN(space);
    QD_FOR_MSAN(line);
    qd_fill(line, QD_STRIP_MARGIN + top * m->w, outside);
    for (size_t first = 0; first < g->used; first += 8) {
        const size_t bytes = m->pixel < 8 ? m->pixel : 8;
        const uint8_t *byte = qd_bytes_of(m, m->in + from * m->w * m->pixel, pixels, first, bytes, space);
        for (size_t j = 2 * first; j < g->nibbles && j < 2 * (first + bytes); j++) {
            uint8_t *to = line + QD_STRIP_MARGIN + top * m->w;
            for (size_t x = 0; x < pixels; x += 32) {
                const __m256i v = qd_load(byte + x);
                _mm256_storeu_si256((__m256i *)(void *)(to + x), _mm256_and_si256(j % 2 ? _mm256_srli_epi16(v, 4) : v, half));
            }
            qd_fill(to + pixels, (rows - top - inside) * m->w, outside);
            qd_make_planes(g, line + QD_STRIP_MARGIN - m->left, rows, beside, g->planes + j * g->plane);
            if (j % 2) byte += (pixels + 31) / 32 * 32;
        }
    }
}

/* For n rows of the map, and the rows that output rows begin at if the planes are not flat. */
QD_AVX2_INLINE void qd_find_beside(const qd_planes *g, size_t n, qd_beside *beside) {
    const qd_map *m = g->map;
    const int flat = qd_planes_flat(m);
    for (size_t kx = 0; kx < m->kernel_w; kx++) {
        uint8_t row[QD_STRIP_WIDTH + 32];
        for (size_t x = 0; x < (m->out_w + 31) / 32 * 32; x++) row[x] = x * m->stride_w + kx - m->left < m->w ? 0 : QD_OUTSIDE; /* wraps on the left */
        for (size_t r = 0; r < (flat ? n : 1); r++) {
            for (size_t x = 0; x < m->out_w; x += 32) _mm256_storeu_si256((__m256i *)(void *)(beside[kx] + r * m->out_w + x), qd_load(row + x));
        }
    }
}

#endif
