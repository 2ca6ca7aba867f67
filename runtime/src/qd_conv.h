/* A convolution under way, and how what lies under its kernel is gathered. */
#ifndef QD_CONV_H
#define QD_CONV_H

#include "qd_exec.h"

/* [from, to) of the kernel's rows or columns that lie inside the map, for a range of output positions. */
typedef struct qd_taps {
    size_t from, to;
} qd_taps;

typedef struct qd_conv {
    const qd_job *job;
    qd_conv_shape shape;
    size_t h, w, c;               /* input map */
    size_t kernel_h, kernel_w;
    size_t stride_h, stride_w;
    size_t dilation_h, dilation_w;
    size_t top, left;
    size_t pixel;                 /* bytes of an input pixel */
    size_t tap;                   /* bytes of a pixel that a group reads; less than shape.pixel if spare bytes follow */
    int whole_rows;               /* the taps of a kernel row lie side by side, and one copy takes them all */
    int32_t fill;                 /* value of taps outside the map */
    uint8_t edge;                 /* the same as eight bits */
    const uint8_t *in;
    uint8_t *out;
    size_t out_pixel;             /* bytes */
    const int16_t *zero;          /* u8 input: zero points, else null */
    int one_zero;                 /* all zero points are equal */
    const uint8_t *weights;
    qd_small_form form;           /* of weights of fewer than eight bits on integers */
    const int32_t *thresholds;
    qd_level_table levels;
    uint8_t *patch;               /* scratch: QD_TILE_PIXELS rows of shape.patch bytes; spare bytes of bits stay 0 */
    int32_t *acc;                 /* scratch: QD_TILE_PIXELS rows of shape.acc_stride */
    const float *add;             /* residual or null */
    const qd_stream *steps;
} qd_conv;

/* Taps inside [0, size) for output position o: none (from = to) where a dilated kernel steps over the map. In qd_map.c. */
qd_taps qd_valid_taps(size_t o, size_t stride, size_t dilation, size_t padding, size_t kernel, size_t size);

/* One past the last position from o on that has the same taps t as o. */
size_t qd_same_taps_until(size_t o, size_t n, size_t stride, size_t dilation, size_t padding, size_t kernel, size_t size, qd_taps t);

/* Output rows [y0, y1) by one kernel, if the family has one that takes them; returns what the kernel does, or 0. */
int qd_run_map(const qd_conv *v, size_t y0, size_t y1);

static inline int qd_inside(qd_taps rows, qd_taps columns) { return rows.from < rows.to && columns.from < columns.to; }

/* Where in the input the valid taps of kernel row ky of an output pixel begin, in bytes. */
static inline size_t qd_source_at(const qd_conv *v, size_t oy, size_t ox, size_t ky, size_t from_column) {
    const size_t y = oy * v->stride_h + ky * v->dilation_h - v->top;
    const size_t x = ox * v->stride_w + from_column * v->dilation_w - v->left;
    return (y * v->w + x) * v->pixel;
}

/* A patch of bits or trits that are all the edge's. */
void qd_fill_bits(const qd_conv *v, uint8_t *patch);

/* The taps inside the map, rows x columns and at least one, of one patch of bits or trits, or of integers. */
void qd_gather_bits(const qd_conv *v, size_t oy, size_t ox, size_t group, qd_taps rows, qd_taps columns, uint8_t *patch);
void qd_gather_int8(const qd_conv *v, size_t oy, size_t ox, size_t group, qd_taps rows, qd_taps columns, int16_t *patch);

/* Channels [c, c + n) of the pixel at `from`, and on into the next pixels if c is 0, as the numbers that weights multiply. */
void qd_widen(const qd_conv *v, const uint8_t *from, size_t c, size_t n, int16_t *to);

#endif
