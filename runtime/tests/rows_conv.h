/* Rows of the convolution and of the steps of a stream. */
#ifndef QD_TEST_ROWS_CONV_H
#define QD_TEST_ROWS_CONV_H

#include "rows.h"

static void windows(void) {
    static const char *const ops[] = {"first", "pool", "max"};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        static const char *const edits[] = {"kernel_h=0", "kernel_w=0", "stride_h=0", "stride_w=0", "kernel_h=9", "kernel_w=9"};
        for (size_t k = 0; k < sizeof edits / sizeof *edits; k++) {
            char text[64];
            snprintf(text, sizeof text, "%s:%s", ops[i], edits[k]);
            row(text, QD_WINDOW, ops[i]);
        }
    }
    row("first:kernel_h=8 first:top=2 first:bottom=0", QD_SHAPE, "first");
    row("first:kernel_w=7", QD_SHAPE, "first");
    row("first:top=3", QD_WINDOW, "first");
    row("first:left=3", QD_WINDOW, "first");
    row("first:bottom=3", QD_WINDOW, "first");
    row("first:right=3", QD_WINDOW, "first");
    row("first:top=2", QD_SHAPE, "first");
    row("first:left=2", QD_SHAPE, "first");
    row("first:bottom=2", QD_SHAPE, "first");
    row("first:right=2", QD_SHAPE, "first");
    row("first:top=2 first:bottom=0", QD_OK, "header");
    row("first:left=2 first:right=0", QD_OK, "header");
    row("first:bottom=2 first:top=0", QD_OK, "header");
    row("first:right=2 first:left=0", QD_OK, "header");
    row("first:stride_h=2", QD_SHAPE, "first");
    row("first:stride_w=2", QD_SHAPE, "first");
    row("first:dilation_h=2", QD_WINDOW, "first");
    row("first:dilation_w=0", QD_WINDOW, "first");
    row("first:groups=2", QD_SHAPE, "first");
    row("first:low=1", QD_VARIANT, "first"); /* margins of another value: since 1.2 */
    row("header:minor=2 first:low=255", QD_OK, "header");
    row("header:minor=2 first:low=256", QD_RANGE, "first");
    row("header:minor=2 first:low=0xFFFFFF01", QD_OK, "header");
    row("header:minor=2 first:low=0xFFFFFF00", QD_RANGE, "first");
    row("header:minor=2 second:low=2", QD_RANGE, "second");
    row("header:minor=2 second:low=1", QD_OK, "header");
    row("header:minor=2 head:low=1", QD_RESERVED, "head");
    row("header:minor=2 first:groups=0", QD_WINDOW, "first");
    row("header:minor=2 first:groups=2", QD_SHAPE, "first");
    row("header:minor=2 first:dilation_h=0", QD_WINDOW, "first");
    row("header:minor=2 first:dilation_w=0", QD_WINDOW, "first");
    row("header:minor=2 first:dilation_w=2", QD_SHAPE, "first");
    row("header:minor=2 first:dilation_h=2 first:top=2 first:bottom=2", QD_OK, "header");
    row("first:dilation_h=2 first:top=2 first:bottom=2", QD_WINDOW, "first");
    row("first:dilation_w=2 first:left=2 first:right=2", QD_WINDOW, "first");
    row("first:groups=0", QD_WINDOW, "first");
}

static void steps(void) {
    static const char *const stream = "r\xC3\xA9sidu";
    row("second:steps=0", QD_CONSTANT, "second");
    row("second:steps=128", QD_VARIANT, "second");
    row("second:steps=0x8007", QD_VARIANT, "second");
    row("second:steps=135", QD_VARIANT, "second");
    row("second:steps=135 header:minor=2", QD_VARIANT, "second");
    row("second:steps=135 header:minor=3", QD_OK, "header");
    row("second:steps=263 header:minor=3", QD_VARIANT, "second");
    row("second:steps=0x8007 header:minor=3", QD_VARIANT, "second");
    row("second:steps=6", QD_CONSTANT, "second");
    row("second:steps=5", QD_CONSTANT, "second");
    row("second:steps=3", QD_CONSTANT, "second");
    row("second:steps=71", QD_CONSTANT, "second");
    row("second:k3=0xFFFF", QD_CONSTANT, "second");
    row("second:k4=0xFFFF", QD_CONSTANT, "second");
    row("second:k5=0xFFFF", QD_CONSTANT, "second");
    row("second:k6=0xFFFF", QD_CONSTANT, "second");
    row("second.k3:count=2", QD_CONSTANT, "second");
    row("second.k3:dtype=4", QD_CONSTANT, "second");
    row("second.k4:dtype=4", QD_CONSTANT, "second");
    row("second.k6:count=17", QD_PADDING, "second.k6");
    row("second.k6:count=19", QD_CONSTANT, "second");
    row("second.k3:data[3]=0x7F second.k3:data[2]=0x80", QD_NOT_FINITE, "second");
    row("second.k5:data[71]=0x7F second.k5:data[70]=0xC0", QD_NOT_FINITE, "second");
    row("second.k4:data[71]=0x7F second.k4:data[70]=0x7F", QD_OK, "header");
    row("second:k4=5", QD_CONSTANT, "second"); /* one element for all, where every channel has its own */
    row("second:steps=39 second:real1=0x40C00000", QD_OK, "header");
    row("second:steps=15", QD_INPUTS, "second");
    row("second:inputs=2 second:in1=0", QD_INPUTS, "second");
    row("second:steps=15 second:inputs=2 second:in1=0", QD_DTYPE, "second");
    row("\x72\xC3\xA9sidu:steps=80", QD_INPUTS, stream);
    row("\x72\xC3\xA9sidu:inputs=3 \x72\xC3\xA9sidu:in2=3", QD_INPUTS, stream);
    row("\x72\xC3\xA9sidu:in1=0", QD_DTYPE, stream);
    row("\x72\xC3\xA9sidu:in1=6", QD_SHAPE, stream);
    row("\x72\xC3\xA9sidu:real0=0x7FC00000", QD_RANGE, stream);
    row("\x72\xC3\xA9sidu:real0=0xFFC00000", QD_RANGE, stream);
    row("\x72\xC3\xA9sidu:real1=0x7FC00000", QD_RANGE, stream);
    row("\x72\xC3\xA9sidu:real1=0xFF800001", QD_RANGE, stream);
    row("\x72\xC3\xA9sidu:real0=0x7F800001", QD_RANGE, stream);
    row("\x72\xC3\xA9sidu:real0=0x40C00001", QD_RANGE, stream);
    row("\x72\xC3\xA9sidu:real0=0x40C00000", QD_OK, "header");
    row("\x72\xC3\xA9sidu:real0=0xFF800000", QD_OK, "header");
    row("\x72\xC3\xA9sidu:real1=0x7F800000", QD_OK, "header");
    row("\x72\xC3\xA9sidu:real1=0x80000001", QD_RANGE, stream);
    row("\x72\xC3\xA9sidu:real0=0xC0000000 \x72\xC3\xA9sidu:real1=0xC0000001", QD_RANGE, stream);
    row("\x72\xC3\xA9sidu:real0=0xC0000001 \x72\xC3\xA9sidu:real1=0xC0000000", QD_OK, "header");
    row("\x72\xC3\xA9sidu:steps=88", QD_RESERVED, stream);
    row("\x72\xC3\xA9sidu:steps=88 \x72\xC3\xA9sidu:real1=0 \x72\xC3\xA9sidu:real0=1", QD_RESERVED, stream);
    row("\x72\xC3\xA9sidu:steps=88 \x72\xC3\xA9sidu:real1=0", QD_OK, "header");
    row("header:minor=0", QD_VARIANT, stream);
}

static void convolutions(void) {
    row("first:weights=1", QD_VARIANT, "first");
    row("second:weights=2", QD_VARIANT, "second");
    row("second:weights=0", QD_VARIANT, "second");
    row("first:in0=3 first:out=3", QD_DTYPE, "first");
    row("head:epilogue=3", QD_VARIANT, "head");
    row("first:epilogue=0 first:k2=0xFFFF", QD_DTYPE, "first");
    row("head:epilogue=1", QD_DTYPE, "head");
    row("head:epilogue=2", QD_DTYPE, "head");
    row("second:epilogue=0 second:steps=0", QD_CONSTANT, "second");
    row("first:inputs=2 first:in1=0", QD_INPUTS, "first");
    row("head:inputs=2 head:in1=0", QD_INPUTS, "head");
    row("first:k0=0xFFFF", QD_CONSTANT, "first");
    row("first:k1=0xFFFF", QD_CONSTANT, "first");
    row("first:k2=0xFFFF", QD_CONSTANT, "first");
    row("first.k0:dtype=1", QD_CONSTANT, "first");
    row("second.k0:dtype=2", QD_CONSTANT, "second");
    row("first.k0:count-1", QD_CONSTANT, "first");
    row("first.k1:count=3", QD_CONSTANT, "first");
    row("first.k1:dtype=1 first.k1:count=2", QD_PADDING, "first.k1");
    row("first.k2:count=8", QD_PADDING, "first.k2");
    row("first.k2:count=10", QD_CONSTANT, "first");
    row("first.k2:dtype=5", QD_CONSTANT, "first");
    row("first.k1:data[1]=1", QD_ZERO_POINT, "first");
    row("first.k1:data[3]=1", QD_ZERO_POINT, "first");
    row("first.k1:data[0]=255", QD_OK, "header");
    row("first:scratch_bytes+64", QD_SCRATCH, "first");
    row("first:scratch_bytes=0", QD_SCRATCH, "first");
    row("second:scratch_bytes-1", QD_SCRATCH, "second");
}

/* A 1 x 1 convolution with sound weights of a kind, all -1 (masks: 1). Returns their bytes, which `packed` keeps. */
static uint8_t packed[1 << 16];

static uint32_t convolution(uint32_t dtype, uint32_t c, uint32_t o, uint32_t kind) {
    static int8_t weights[80 * 80];
    const int lane_major = dtype >= 6 && (kind == 1 || kind == 3);
    uint32_t n;
    w_op op = alone(1, SHAPE(dtype, 1, 1, c), SHAPE(4, 1, 1, o));
    memset(weights, kind == 5 ? 1 : -1, sizeof weights);
    n = kind == 2      ? w_pack_int8(weights, o, c, (int8_t *)packed)
        : !lane_major ? w_pack_small(weights, kind, o, c, packed)
        : kind == 1   ? w_pack_bits(weights, o, 1, c, packed)
                      : w_pack_trits(weights, o, 1, c, packed);
    op.weights = kind;
    op.kernel[0] = op.kernel[1] = op.stride[0] = op.stride[1] = 1;
    op.constants[0] = w_constant(&w, kind == 2 ? 2 : 1, n, packed);
    op.scratch_bytes = 4 * align_to(dtype >= 6 ? w_pixel(dtype, c) : 2 * align_to(c, 2), 64) + 16 * align_to(o, 32);
    made(&op);
    return n;
}

/* Spare bits, lanes and elements of weights, and signs of zeros: every one of them. */
static void spare_weights(void) {
    static const struct {
        uint32_t dtype, c, o, kind;
    } rows[] = {{6, 3, 5, 1},  {6, 9, 17, 1}, {6, 3, 16, 1}, {6, 8, 16, 1}, {6, 16, 32, 1}, {6, 65, 17, 1}, {6, 9, 5, 3},  {7, 9, 17, 1}, {7, 9, 17, 3},
                {7, 8, 16, 3}, {2, 3, 5, 2},  {2, 2, 8, 2},  {3, 5, 9, 2},   {2, 1, 16, 2},  {2, 3, 5, 1},  {2, 2, 8, 1},  {2, 3, 5, 3},
                {3, 4, 9, 3},  {2, 3, 5, 4},  {2, 4, 8, 4},  {3, 5, 9, 5},   {2, 2, 8, 5},
                /* ends where the file ends */ {2, 63, 8, 1}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const uint32_t dtype = rows[i].dtype, c = rows[i].c, o = rows[i].o, kind = rows[i].kind;
        const uint32_t n = convolution(dtype, c, o, kind), lanes = o <= 16 ? 16 : 32;
        const uint32_t data = get(sound + get(sound + 40, 4) + 8, 4);
        row("", QD_OK, "header");
        for (uint32_t at = 0; at < n; at++) {
            const uint32_t in_masks = kind == 3 && (dtype >= 6 ? at / lanes % 2 : at % 4 / 2);
            for (unsigned bit = 0; bit < 8; bit += 1u + (bit > c % 8)) {
                /* All bits of a -1 are 1 (masks: of a 1), so a bit that is 0 is spare; and a sign needs its mask. */
                const int spare = kind == 2 ? packed[at] == 0 : in_masks || (packed[at] >> bit & 1) == 0;
                qd_status status;
                memcpy(file, sound, size);
                file[data + at] ^= (uint8_t)(1u << bit);
                status = opened().status;
                CHECK(status == (spare ? QD_SPARE : QD_OK), "row %u, byte %u, bit %u: %d", (unsigned)i, (unsigned)at, bit, (int)status);
            }
        }
    }
}

/* Which weights go with which input, and since when. */
static void kinds_of_weights(void) {
    for (uint32_t dtype = 1; dtype <= 7; dtype++) {
        for (uint32_t kind = 0; kind <= 6; kind++) {
            const int known = kind >= 1 && kind <= 5, integers = dtype <= 3;
            const int fits = known && (integers || (dtype >= 6 && kind <= 3));
            const int before = kind == (integers ? 2 : 1) && dtype != 7;
            const qd_status status = dtype == 4 || dtype == 5 ? QD_DTYPE : fits ? (dtype == 1 ? QD_CONSTANT : QD_OK) : QD_VARIANT;
            convolution(dtype, 8, 8, known ? kind : 2);
            put(sound + get(sound + 36, 4) + 2, 1, kind);
            put(sound + 6, 2, 2);
            row("", status, status == QD_OK ? "header" : "x");
            put(sound + 6, 2, 1);
            if (dtype == 7) row("", QD_DTYPE, "x.in");
            else row("", before || status == QD_DTYPE ? status : QD_VARIANT, (before && status == QD_OK) ? "header" : "x");
        }
    }
}

/* A 1 x 1 convolution in groups with n bytes of weights, which are 1 where every channel is a group of its own, else 0. */
static void grouped(uint32_t dtype, uint32_t c, uint32_t o, uint32_t groups, uint32_t kind, uint32_t n, qd_status status) {
    static uint8_t weights[64];
    w_op op = alone(1, SHAPE(dtype, 1, 1, c), SHAPE(4, 1, 1, o));
    memset(weights, groups == c, sizeof weights);
    op.weights = kind;
    op.groups = groups;
    op.kernel[0] = op.kernel[1] = op.stride[0] = op.stride[1] = 1;
    op.constants[0] = w_constant(&w, kind == 2 ? 2 : 1, n, weights);
    op.scratch_bytes = 4 * 64 + 16 * (32 + 32);
    made(&op);
    put(sound + 6, 2, 2);
    row("", status, status == QD_OK ? "header" : "x");
    row("header:minor=1", status == QD_SHAPE ? QD_SHAPE : QD_WINDOW, "x");
}

static void groups(void) {
    grouped(2, 8, 8, 2, 2, 64, QD_OK);
    grouped(2, 8, 8, 8, 2, 8, QD_OK);      /* depthwise: every weight is used */
    grouped(2, 3, 2, 2, 2, 16, QD_SHAPE);
    grouped(2, 2, 3, 2, 2, 16, QD_SHAPE);
    grouped(2, 8, 8, 2, 1, 8, QD_OK);
    grouped(2, 8, 8, 8, 1, 1, QD_VARIANT); /* depthwise weights were int8 before 1.3 */
    grouped(6, 16, 8, 2, 1, 32, QD_OK);
    grouped(6, 8, 8, 2, 1, 32, QD_VARIANT); /* four channels are no whole byte */
    row("x:weights=2", QD_CONSTANT, "x");   /* int8 weights do not mind */
}

/* Margins of another value than 0 on one side of a 1 x 1 map: the one that the input can hold, and no larger one. */
static void margins(uint32_t dtype, uint32_t side, int32_t fill, qd_status status) {
    static const uint8_t none[16];
    w_op op = alone(1, SHAPE(dtype, 1, 1, 1), SHAPE(4, 1, 1, 1));
    op.weights = 2;
    op.kernel[side % 2] = 2;
    op.kernel[1 - side % 2] = op.stride[0] = op.stride[1] = 1;
    op.padding[side] = 1;
    op.range[0] = fill;
    op.constants[0] = w_constant(&w, 2, 16, none);
    op.scratch_bytes = 4 * 64 + 16 * 32;
    made(&op);
    put(sound + 6, 2, 2);
    row("", status, status == QD_OK ? "header" : "x");
}

static void all_margins(void) {
    for (uint32_t side = 0; side < 4; side++) margins(2, side, 1, QD_OK);
    margins(2, 0, 127, QD_OK);
    margins(2, 0, 128, QD_RANGE);
    margins(2, 0, -128, QD_OK);
    margins(2, 0, -129, QD_RANGE);
    margins(3, 0, 32767, QD_OK);
    margins(3, 0, 32768, QD_RANGE);
}

/* Epilogue 3: `count` thresholds of two channels each, from level `low` on. */
static void levels(uint32_t dtype, int32_t low, uint32_t count, qd_status status) {
    static const uint8_t none[16];
    static int32_t thresholds[1024];
    w_op op = alone(1, SHAPE(2, 1, 1, 1), SHAPE(dtype, 1, 1, 2));
    for (int i = 0; i < 1024; i++) thresholds[i] = i / 2 - 300 + i % 2; /* the second channel's are higher by 1 */
    op.epilogue = 3;
    op.weights = 2;
    op.kernel[0] = op.kernel[1] = op.stride[0] = op.stride[1] = 1;
    op.constants[0] = w_constant(&w, 2, 16, none);
    op.constants[2] = w_constant(&w, 4, count, thresholds);
    op.range[1] = low;
    op.scratch_bytes = 4 * 64 + 16 * 32;
    made(&op);
    row("", status, status == QD_OK ? "header" : "x");
}

static void all_levels(void) {
    levels(2, -128, 2 * 255, QD_OK);
    levels(2, -128, 2 * 256, QD_RANGE);
    levels(2, -129, 2, QD_RANGE);
    levels(2, 126, 2, QD_OK);
    levels(2, 126, 4, QD_RANGE);
    levels(2, 127, 2, QD_RANGE);
    levels(2, 128, 2, QD_RANGE);
    levels(7, -1, 4, QD_OK);
    levels(7, -1, 6, QD_RANGE);
    levels(7, -2, 2, QD_RANGE);
    levels(7, 0, 2, QD_OK);
    levels(7, 0, 4, QD_RANGE);
    levels(7, 1, 2, QD_RANGE);
    levels(1, 0, 2, QD_DTYPE);
    levels(6, 0, 2, QD_DTYPE);
    levels(2, 0, 3, QD_CONSTANT);
    levels(2, 0, 4, QD_OK);
    row("header:minor=1", QD_VARIANT, "x");
    row("x:k2=0xFFFF", QD_CONSTANT, "x");
    row("x.k2:dtype=5", QD_CONSTANT, "x");
    row("x:low=1", QD_RESERVED, "x");
    row("x:high=5", QD_OK, "header");
    row("x:steps=1", QD_RESERVED, "x");
    row("x:real0=1", QD_RESERVED, "x");
    row("x:real1=1", QD_RESERVED, "x");
    row("x:inputs=2 x:in1=0", QD_INPUTS, "x");
    row("x.k2:data[0]=213", QD_OK, "header");     /* from -300 to -299, the other one of its channel */
    row("x.k2:data[0]=214", QD_RANGE, "x");       /* above it */
    row("x.k2:data[12]=212", QD_RANGE, "x");      /* the last of the second channel below its first, -299 */
    row("x.k2:data[12]=213", QD_OK, "header");
}

/* A convolution whose weights nobody has written: what is checked before them gives its reason, what passes gives CONSTANT. */
static void geometry_of(uint32_t weights, uint32_t dtype, uint32_t c, uint32_t kernel_h, uint32_t kernel_w, uint32_t left, uint32_t right,
                        qd_status status) {
    const uint32_t w_in = kernel_w + 1 - left - right;
    w_op op = alone(1, SHAPE(dtype, kernel_h, w_in, c), SHAPE(4, 1, 2, 1));
    op.weights = weights;
    op.kernel[0] = kernel_h;
    op.kernel[1] = kernel_w;
    op.stride[0] = op.stride[1] = 1;
    op.padding[1] = left;
    op.padding[3] = right;
    made(&op);
    row("", status, "x");
}

static void geometry(uint32_t dtype, uint32_t c, uint32_t kernel_h, uint32_t kernel_w, uint32_t left, uint32_t right, qd_status status) {
    geometry_of(dtype == 6 ? 1 : 2, dtype, c, kernel_h, kernel_w, left, right, status);
}

static void accumulators(void) {
    geometry(6, 65535, 1, 1, 0, 0, QD_CONSTANT);
    geometry(6, 65536, 1, 1, 0, 0, QD_ACCUMULATOR);
    geometry(1, 21931, 1, 3, 0, 0, QD_CONSTANT);
    geometry(1, 32897, 1, 2, 0, 0, QD_ACCUMULATOR);
    geometry(2, 65535, 1, 2, 0, 0, QD_CONSTANT);
    geometry(2, 65536, 1, 2, 0, 0, QD_ACCUMULATOR);
    geometry(3, 511, 1, 1, 0, 0, QD_CONSTANT);
    geometry(3, 512, 1, 1, 0, 0, QD_ACCUMULATOR);
    geometry_of(3, 6, 32767, 1, 1, 0, 0, QD_CONSTANT);
    geometry_of(3, 6, 32768, 1, 1, 0, 0, QD_ACCUMULATOR);
    geometry_of(1, 7, 32767, 1, 1, 0, 0, QD_CONSTANT);
    geometry_of(1, 7, 32768, 1, 1, 0, 0, QD_ACCUMULATOR);
    geometry_of(4, 3, 8191, 1, 1, 0, 0, QD_CONSTANT);
    geometry_of(4, 3, 8192, 1, 1, 0, 0, QD_ACCUMULATOR);
    geometry_of(3, 3, 65535, 1, 1, 0, 0, QD_CONSTANT);
    geometry_of(3, 3, 65536, 1, 1, 0, 0, QD_ACCUMULATOR);
    geometry_of(1, 3, 65536, 1, 1, 0, 0, QD_ACCUMULATOR);
    geometry_of(3, 7, 3, 65, 2, 1, 0, QD_LIMIT);
    geometry_of(1, 2, 3, 65, 2, 1, 0, QD_CONSTANT);
    geometry(6, 3, 64, 2, 1, 0, QD_CONSTANT);
    geometry(6, 3, 65, 2, 1, 0, QD_LIMIT);
    geometry(6, 3, 65, 2, 0, 1, QD_LIMIT);
    geometry(6, 3, 65, 2, 0, 0, QD_CONSTANT);
    geometry(2, 3, 65, 2, 1, 0, QD_CONSTANT);
}

/* A convolution of one output channel with a threshold, as large as its work allows. */
static void convolution_work(uint32_t dtype, uint32_t h, uint32_t kernel, uint32_t c, qd_status status) {
    static const int8_t none[416];
    static const int32_t threshold[1];
    const uint32_t taps = kernel * kernel, bits = dtype == 6;
    w_op op = alone(1, SHAPE(dtype, h, 32768, c), SHAPE(6, h, 32768, 1));
    op.epilogue = 1;
    op.weights = bits ? 1 : 2;
    op.kernel[0] = op.kernel[1] = kernel;
    op.stride[0] = op.stride[1] = 1;
    for (int i = 0; i < 4; i++) op.padding[i] = kernel / 2;
    op.constants[0] = w_constant(&w, bits ? 1 : 2, bits ? taps * 16 : align_to(taps, 2) * 8, none);
    op.constants[2] = w_constant(&w, 4, 1, threshold);
    op.scratch_bytes = 4 * 64 + 16 * 32;
    made(&op);
    row("", status, status == QD_OK ? "header" : "x");
}

static void work_of_convolutions(void) {
    static const int8_t none[16];
    w_op op = alone(1, SHAPE(2, 1, 1, 1), SHAPE(5, 1, 1, 1)); /* the only operator that computes in binary32 */
    op.epilogue = 2;
    op.weights = 2;
    op.kernel[0] = op.kernel[1] = op.stride[0] = op.stride[1] = 1;
    op.constants[0] = w_constant(&w, 2, 16, none);
    op.scratch_bytes = 4 * 64 + 16 * 32;
    made(&op);
    row("", QD_OK, "header");
    convolution_work(6, 26490, 3, 8, QD_OK);
    convolution_work(6, 26491, 3, 8, QD_LIMIT);
    convolution_work(2, 32768, 5, 1, QD_OK);
}

#endif
