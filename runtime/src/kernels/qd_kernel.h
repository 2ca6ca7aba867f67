/* What every kernel sees: plain pointers and sizes, no file format, no model. All sizes are verified before a kernel runs. */
#ifndef QD_KERNEL_H
#define QD_KERNEL_H

#include <stddef.h>
#include <stdint.h>

#include "../qd_cpu.h"

enum { QD_TILE_PIXELS = 4 };

/* Before a loop that is short, or slow beside a kernel that takes its place: as vectors it would only be more code. */
#if defined(__clang__)
#define QD_SMALL_LOOP _Pragma("clang loop vectorize(disable) unroll(disable)")
#else
#define QD_SMALL_LOOP
#endif

/* A contiguous stretch of taps inside the map: bytes [from, from + length) of the patch and of each weight row. */
typedef struct qd_run_span {
    uint32_t from;
    uint32_t length;
} qd_run_span;

/*
 * Binary inner product, one weight block.
 * weights: [row_bytes][lanes] lane-major (docs/qdm.md), lanes 16 or 32, 16-byte aligned.
 * patch:   [pixels] rows of activation bits, patch_stride bytes apart, 1..4 pixels; the row's bytes are addressed as the weight's.
 * acc:     [pixels][acc_stride] int32; writes acc[p * acc_stride + l] for l < lanes.
 * Writes bits - 2 * mismatches over the runs' bytes, where `bits` is the number of true taps bits in the runs (given),
 * at most 65535.
 */
typedef void qd_bits_fn(const uint8_t *weights, size_t lanes, const uint8_t *patch, size_t patch_stride, size_t pixels,
                        const qd_run_span *runs, size_t n_runs, int32_t bits, int32_t *acc, size_t acc_stride);

/*
 * Integer inner product, one block of 8 output channels.
 * weights: [pairs][8][2] int8 pair-major (docs/qdm.md). patch: [pixels] rows of int16, patch_stride elements apart, 2 * pairs used.
 * acc:     [pixels][acc_stride] int32; writes 8 per pixel. 1..4 pixels. No partial sum leaves int32.
 */
typedef void qd_int8_fn(const int8_t *weights, size_t pairs, const int16_t *patch, size_t patch_stride, size_t pixels,
                        int32_t *acc, size_t acc_stride);

/*
 * Inner product with ternary digits in one operand or both, one weight block.
 * Terms come in groups of eight, a byte of signs (bit 1: -1) each. An operand of two planes has a byte of masks (bit 1: not 0)
 * behind each byte of signs, and no sign bit where the mask's is 0; one of one plane is +1 and -1 only. Not both have one plane.
 * weights: [groups][weight_planes][lanes] lane-major, lanes 16 or 32, 16-byte aligned.
 * patch:   [pixels] rows of [groups][patch_planes], patch_stride bytes apart, 1..4 pixels.
 * runs:    in groups. acc as for bits: writes the sum of the products in the runs. At most 32767 products are not 0.
 */
typedef void qd_trits_fn(const uint8_t *weights, size_t weight_planes, size_t lanes, const uint8_t *patch, size_t patch_planes,
                         size_t patch_stride, size_t pixels, const qd_run_span *runs, size_t n_runs, int32_t *acc,
                         size_t acc_stride);

/*
 * The int8 inner product with weights of fewer bits (docs/qdm.md): weights: [pairs][bytes of a pair of eight channels].
 * The number of a form is that of its bits, but for masks, which have 1.
 */
typedef enum qd_small_form { QD_SMALL_BITS = 1, QD_SMALL_TRITS = 2, QD_SMALL_MASKS = 3, QD_SMALL_INT4 = 4 } qd_small_form;

static inline size_t qd_small_pair_bytes(qd_small_form form) { return form == QD_SMALL_MASKS ? 2 : 2 * (size_t)form; }

typedef void qd_small_fn(const uint8_t *weights, qd_small_form form, size_t pairs, const int16_t *patch, size_t patch_stride,
                         size_t pixels, int32_t *acc, size_t acc_stride);

/* Depthwise: one tap of one pixel. acc[i] += weights[i] * x[i] for i < n; no sum leaves int32. */
typedef void qd_depthwise_fn(const int8_t *weights, const int16_t *x, size_t n, int32_t *acc);

/* Eight weights after eight, each eight in as many bytes as one has bits: bits, or masks, signs and masks of trits, nibbles. Writes n of
   them, rounded up to eight, as int8. */
void qd_unpack_ref(const uint8_t *packed, qd_small_form form, size_t n, int8_t *to);

/* Threshold and pack one pixel: bit i of out = acc[i] < thresholds[i]; ceil(channels / 8) bytes are written, spare bits 0. */
typedef void qd_pack_fn(const int32_t *acc, const int32_t *thresholds, size_t channels, uint8_t *out);

/* One threshold of one pixel: levels[i] -= acc[i] < thresholds[i]. */
typedef void qd_levels_fn(const int32_t *acc, const int32_t *thresholds, size_t channels, int8_t *levels);

/* Sign of one pixel: bit i of out = in[i] < 0; ceil(channels / 8) bytes are written, spare bits 0. */
typedef void qd_sign_fn(const float *in, size_t channels, uint8_t *out);

/* The elementwise steps of a stream, in this order; a null pointer or a zero flag leaves a step out. */
typedef struct qd_stream {
    const float *scale;     /* v = v * scale[c] */
    int first_relu;         /* v = v < 0 ? 0 : v */
    const float *a, *b;     /* v = fma(v, a[c], b[c]) */
    const float *bias;      /* v = v + bias[c] */
    size_t scale_step;      /* 1: an element per channel; 0: one for all */
    size_t bias_step;       /* likewise */
    int relu;               /* v = v < 0 ? 0 : v */
    int clip;               /* v = v < low ? low : v > high ? high : v */
    float low, high;
    const float *slope;     /* v = v > 0 ? v : slope[c] * v */
    size_t slope_step;      /* as scale_step */
} qd_stream;

/* The same steps for channels from c on. */
static inline qd_stream qd_stream_from(const qd_stream *steps, size_t c) {
    qd_stream rest = *steps;
    if (rest.scale && rest.scale_step) rest.scale += c;
    if (rest.bias && rest.bias_step) rest.bias += c;
    if (rest.slope && rest.slope_step) rest.slope += c;
    if (rest.a) rest.a += c;
    if (rest.b) rest.b += c;
    return rest;
}

/* One pixel. The values come from acc, or from in if acc is null. add: second input or null. out overlaps no input. */
typedef void qd_stream_fn(const qd_stream *steps, const int32_t *acc, const float *in, const float *add, size_t channels,
                          float *out);

/* clamp(round_half_even(x / scale), low, high), of int8; NaN gives low. */
typedef void qd_quantize_fn(const float *in, size_t n, float scale, int32_t low, int32_t high, int8_t *out);

/* Rows (or columns) of output pixels [begin, end) whose windows have the same kernel rows (columns) [from, to) inside the map. */
typedef struct qd_band {
    size_t begin, end;
    size_t from, to;
} qd_band;

/* A convolution for a kernel that reads the map where it lies. Output: bits if thresholds is not null, else binary32 if steps is
   not null, else accumulators. */
typedef struct qd_map {
    const uint8_t *weights;  /* of bits and trits: lane-major planes; else pair-major */
    size_t weight_planes, planes; /* of weights and of the input: 1, bits, or 2, trits */
    qd_small_form form;      /* of weights of fewer than eight bits on int8; 0: int8 */
    const int16_t *zero;     /* u8 input: zero points [channels] in [0, 255]; else null */
    const uint8_t *in;
    size_t h, w, pixel, channels; /* of the input: height, width, bytes of a pixel, channels */
    size_t kernel_h, kernel_w, stride_h, stride_w, top, left;
    const qd_band *rows, *columns; /* of the output pixels to compute; columns cover out_w */
    size_t n_rows, n_columns;
    uint8_t *out;
    size_t out_w, out_pixel, out_channels;
    const int32_t *thresholds;
    const qd_stream *steps;
    const float *add; /* second input of a stream, or null */
    uint8_t *scratch; /* at least 8 bytes for each weight of a channel, up to a multiple of 32 of them; 64-byte aligned */
    uint8_t *signs;   /* of a stream: where its signs are wanted too, or null */
    size_t sign_pixel; /* bytes of a pixel there */
} qd_map;

/* QD_MAP_NOT: this convolution is not for the kernel, nothing is written. QD_MAP_SIGNED: the signs, if wanted, are written as well. */
enum { QD_MAP_NOT, QD_MAP_DONE, QD_MAP_SIGNED };

/* Bits by bits. */
typedef int qd_map_fn(const qd_map *map);
/* The same with trits on one side or both. */
typedef qd_map_fn qd_trit_map_fn;
/* Bits by bits or trits; asked before both. */
typedef qd_map_fn qd_planes_fn;
/* The same of 8-bit pixels. */
typedef qd_map_fn qd_pixels_fn;
/* The same of int8, by weights of any form. */
typedef qd_map_fn qd_bytes_fn;

typedef qd_map_fn *qd_map_kernel;
typedef qd_trit_map_fn *qd_trit_map_kernel;
typedef qd_planes_fn *qd_planes_kernel;
typedef qd_pixels_fn *qd_pixels_kernel;
typedef qd_bytes_fn *qd_bytes_kernel;
typedef qd_bits_fn *qd_bits_kernel;
typedef qd_int8_fn *qd_int8_kernel;
typedef qd_trits_fn *qd_trits_kernel;
typedef qd_small_fn *qd_small_kernel;
typedef qd_depthwise_fn *qd_depthwise_kernel;
typedef qd_pack_fn *qd_pack_kernel;
typedef qd_levels_fn *qd_levels_kernel;
typedef qd_sign_fn *qd_sign_kernel;
typedef qd_stream_fn *qd_stream_kernel;
typedef qd_quantize_fn *qd_quantize_kernel;

/* The rows of the table. */
#define QD_KERNEL(kind, family, needs, function) qd_##kind##_fn function;
#include "../qd_kernels.def"
#undef QD_KERNEL

/* A pooling window over a map of h x w pixels, for the output rows [first, end) of out_w pixels, which lie at `out`. Margins of top rows and left columns, and whatever the last
   windows reach past the map, are left out: every window has a pixel inside. */
typedef struct qd_window {
    size_t h, w, first, end, out_w;
    size_t kernel_h, kernel_w, stride_h, stride_w;
    size_t top, left;
} qd_window;

/* Rows [y0, y1) and columns [x0, x1) of the map that the window of one output pixel covers. */
typedef struct qd_area {
    size_t y0, y1, x0, x1;
} qd_area;

static inline qd_area qd_area_of(const qd_window *window, size_t y, size_t x) {
    const size_t from_y = y * window->stride_h, from_x = x * window->stride_w; /* in the padded map */
    const size_t to_y = from_y + window->kernel_h - window->top, to_x = from_x + window->kernel_w - window->left;
    qd_area area;
    area.y0 = from_y > window->top ? from_y - window->top : 0;
    area.x0 = from_x > window->left ? from_x - window->left : 0;
    area.y1 = to_y < window->h ? to_y : window->h;
    area.x1 = to_x < window->w ? to_x : window->w;
    return area;
}

/* pixel: bytes of a pixel. mask[pixel]: bit 0 = maximum of the values (and of the bits), 1 = minimum (or). */
void qd_bit_pool_ref(const qd_window *window, const uint8_t *in, size_t pixel, const uint8_t *mask, uint8_t *out);

/* The same of ternary digits, pixel bytes of two planes; a byte of mask is for the two bytes of eight channels. */
void qd_trit_pool_ref(const qd_window *window, const uint8_t *in, size_t pixel, const uint8_t *mask, uint8_t *out);

/* Digits -1, 0 and +1 to two planes: 2 * ceil(channels / 8) bytes are written, spare bits 0. */
void qd_pack_trits_ref(const int8_t *digits, size_t channels, uint8_t *out);

/* The same of levels: maximum, or minimum where the channel's bit of mask (of the bits of a pixel) is 1. */
void qd_level_pool_ref(const qd_window *window, const int8_t *in, size_t channels, const uint8_t *mask, int8_t *out);

/* The first of the largest values in row-major order of the window; a NaN that comes first stays. */
void qd_max_pool_ref(const qd_window *window, const float *in, size_t channels, float *out);

/* QUANTIZE between other types: clamp(round_half_even((float)x / scale), low, high); NaN gives low. [low, high] lies in the type of out. */
void qd_quantize_f32_i16_ref(const float *in, size_t n, float scale, int32_t low, int32_t high, int16_t *out);
void qd_quantize_i32_i8_ref(const int32_t *in, size_t n, float scale, int32_t low, int32_t high, int8_t *out);
void qd_quantize_i32_i16_ref(const int32_t *in, size_t n, float scale, int32_t low, int32_t high, int16_t *out);

/* Float islands: acc[i] = acc[i] + (weights[i] * x), two roundings; and acc[i] = acc[i] + in[i]. acc overlaps nothing. */
void qd_island_add_product_ref(const float *weights, float x, size_t n, float *acc);
void qd_island_add_ref(const float *in, size_t n, float *acc);

/* out[c] = sum over pixels of in[pixel][c]; no sum leaves int32. */
void qd_sum_pool_i8_ref(const int8_t *in, size_t pixels, size_t channels, int32_t *out);
void qd_sum_pool_i16_ref(const int16_t *in, size_t pixels, size_t channels, int32_t *out);

/* out[pixel] = the first channel with the largest value; a NaN that comes first stays, no other is larger. */
void qd_arg_max_i32_ref(const int32_t *in, size_t pixels, size_t channels, int32_t *out);
void qd_arg_max_f32_ref(const float *in, size_t pixels, size_t channels, int32_t *out);

/* Copies `bytes` of each of the pixels of one input into the wider pixels of the output, out_bytes apart. */
void qd_concat_ref(const uint8_t *in, size_t pixels, size_t bytes, uint8_t *out, size_t out_bytes);

/* One pixel of bits (planes 1) or trits (2): its channels become the output's from `first` on. out holds zeros there. */
void qd_concat_planes_ref(const uint8_t *in, size_t channels, size_t planes, size_t first, uint8_t *out);

/* Integer types, each of which holds the values of those before it; bytes, halves and words are signed. */
typedef enum qd_element { QD_OF_NONE, QD_OF_BITS, QD_OF_TRITS, QD_OF_BYTES, QD_OF_HALVES, QD_OF_WORDS } qd_element;

/* The same of one pixel in a wider type; trits of out hold zeros. */
void qd_widen_ref(const uint8_t *in, qd_element from, size_t channels, size_t first, uint8_t *out, qd_element to);

/* n channels of one output pixel, elements of 1, 2 or 4 bytes: channel i is at byte at[i] of in. */
void qd_rearrange_ref(const uint8_t *in, const size_t *at, size_t n, size_t element, uint8_t *out);

/* The same of bits or trits: the (first) plane of channel i is bit at[i] of in. Writes ceil(n / 8) bytes of each plane, spare bits 0. */
void qd_rearrange_planes_ref(const uint8_t *in, const size_t *at, size_t n, size_t planes, uint8_t *out);

#endif
