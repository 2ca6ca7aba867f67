/* Whole convolutions of random geometry through qd_open and qd_run, every kernel family, against the obvious seven loops. */
#include "qd/qd.h"
#include "test.h"
#include "writer.h"

enum { SIDE = 14, CHANNELS = 130, MOST = SIDE * SIDE * CHANNELS, GUARD = 64 };

static _Alignas(64) uint8_t file[W_MAX], arena[W_MAX];
static int8_t plain[80 * 49 * CHANNELS], packed[W_MAX];
static int32_t x[MOST], wanted[40 * 40 * 80], answer[40 * 40 * 80], streamed[40 * 40 * 80];
static uint8_t expected[40 * 40 * 80 * 4], sign_bits[40 * 40 * 16];
static uint8_t input[MOST * 2];
static int16_t zero[CHANNELS];
static int at_end; /* 0: random; -1 or +1: all weights as far to that side as they go, activations of eight bits to the negative one */

typedef struct geometry {
    uint32_t dtype, weights, h, w, c, o, kernel[2], stride[2], padding[4], dilation[2], groups, oh, ow;
    int32_t fill;
    int depthwise;
} geometry;

static int make_geometry(geometry *g) {
    static const uint32_t types[] = {1, 2, 3, 6, 6, 7, 7}, weights[] = {1, 3, 4, 2, 5};
    uint32_t reach[2];
    g->dtype = types[random_in(0, 6)];
    g->h = (uint32_t)random_in(1, SIDE);
    g->w = (uint32_t)random_in(1, SIDE);
    g->c = (uint32_t)random_in(1, random_in(0, 1) ? CHANNELS : 9);
    g->o = (uint32_t)random_in(1, random_in(0, 1) ? 70 : 17);
    g->groups = 1;
    if (random_in(0, 11) == 0) { /* a larger map, for kernels that take a convolution in strips */
        g->h = (uint32_t)random_in(1, 40);
        g->w = (uint32_t)random_in(15, 40);
        g->c = (uint32_t)random_in(1, 15);
        g->o = (uint32_t)random_in(1, 17);
    } else if (random_in(0, 2) == 0) { /* depthwise, with a multiplier, or groups of a few channels, whole bytes of bits among them */
        const uint32_t in = random_in(0, 1) ? 1 : random_in(0, 1) ? 8 * (uint32_t)random_in(1, 3) : (uint32_t)random_in(2, 9);
        g->groups = (uint32_t)random_in(1, 70 / (int32_t)in);
        g->c = g->groups * in;
        g->o = g->groups * (uint32_t)random_in(1, 80 / (int32_t)g->groups);
    }
    g->depthwise = g->groups > 1 && g->groups == g->c;
    g->weights = weights[random_in(0, g->dtype >= 6 && !g->depthwise ? 1 : 4)];
    if (g->groups > 1 && !g->depthwise && g->dtype >= 6 && g->c / g->groups % 8 != 0) g->weights = 2;
    if (g->dtype >= 6 && random_in(0, 5) == 0) g->weights = 2;
    for (int i = 0; i < 2; i++) {
        g->kernel[i] = (uint32_t)random_in(1, random_in(0, 2) ? 3 : 7);
        g->stride[i] = (uint32_t)random_in(1, 3);
        g->dilation[i] = random_in(0, 2) ? 1 : (uint32_t)random_in(1, 4);
    }
    if (random_in(0, 5) == 0) { /* dense, or as wide as the map */
        g->kernel[1] = g->w <= 7 ? g->w : 7;
        if (random_in(0, 1)) g->kernel[0] = g->h <= 7 ? g->h : 7;
    }
    for (int i = 0; i < 2; i++) reach[i] = (g->kernel[i] - 1) * g->dilation[i] + 1;
    for (int i = 0; i < 4; i++) g->padding[i] = random_in(0, 2) ? (uint32_t)random_in(0, (int32_t)reach[i % 2] - 1) : 0;
    if (g->h + g->padding[0] + g->padding[2] < reach[0] || g->w + g->padding[1] + g->padding[3] < reach[1]) return 0;
    g->oh = (g->h + g->padding[0] + g->padding[2] - reach[0]) / g->stride[0] + 1;
    g->ow = (g->w + g->padding[1] + g->padding[3] - reach[1]) / g->stride[1] + 1;
    g->fill = 0;
    if (g->padding[0] + g->padding[1] + g->padding[2] + g->padding[3] && random_in(0, 2) == 0) {
        g->fill = g->dtype >= 6 ? 2 * random_in(0, 1) - 1 : random_in(-128, 127);
    }
    return 1;
}

/* Random input: as the file format has it in `input`, as numbers in `x`. */
static void make_input(const geometry *g) {
    const uint32_t s = w_pixel(g->dtype, g->c);
    memset(input, 0, sizeof input);
    for (uint32_t i = 0; i < g->h * g->w * g->c; i++) {
        const uint32_t pixel = i / g->c, c = i % g->c;
        if (g->dtype == 1) {
            input[i] = (uint8_t)random_u32();
            x[i] = input[i] - zero[c];
        } else if (g->dtype == 2) {
            input[i] = at_end ? 128 : (uint8_t)random_u32();
            x[i] = (int8_t)input[i];
        } else if (g->dtype == 3) {
            const int16_t value = (int16_t)random_in(-32768, 32767);
            memcpy(input + 2 * i, &value, 2);
            x[i] = value;
        } else if (g->dtype == 7) {
            x[i] = random_in(-1, 1);
            input[pixel * s + c / 8 * 2] |= (uint8_t)((x[i] < 0) << c % 8);
            input[pixel * s + c / 8 * 2 + 1] |= (uint8_t)((x[i] != 0) << c % 8);
        } else {
            x[i] = random_in(0, 1) ? -1 : 1;
            if (x[i] < 0) input[pixel * s + c / 8] |= (uint8_t)(1u << c % 8);
        }
    }
}

static void convolve(const geometry *g) {
    const uint32_t taps = g->kernel[0] * g->kernel[1], in = g->c / g->groups, out = g->o / g->groups;
    for (uint32_t y = 0; y < g->oh; y++) {
        for (uint32_t z = 0; z < g->ow; z++) {
            for (uint32_t o = 0; o < g->o; o++) {
                int32_t sum = 0;
                for (uint32_t t = 0; t < taps; t++) {
                    const int32_t iy = (int32_t)(y * g->stride[0] + t / g->kernel[1] * g->dilation[0]) - (int32_t)g->padding[0];
                    const int32_t ix = (int32_t)(z * g->stride[1] + t % g->kernel[1] * g->dilation[1]) - (int32_t)g->padding[1];
                    const int outside = iy < 0 || ix < 0 || iy >= (int32_t)g->h || ix >= (int32_t)g->w;
                    const uint32_t first = ((uint32_t)iy * g->w + (uint32_t)ix) * g->c + o / out * in; /* of the group's channels */
                    for (uint32_t c = 0; c < in; c++) sum += (outside ? g->fill : x[first + c]) * plain[(o * taps + t) * in + c];
                }
                wanted[(y * g->ow + z) * g->o + o] = sum;
            }
        }
    }
}

/* The output that the operator's epilogue makes of `wanted`, in `expected`; a stream has none: families are compared with one another. */
static uint32_t expect(const geometry *g, uint32_t epilogue, uint32_t dtype, const int32_t *thresholds) {
    const uint32_t pixels = g->oh * g->ow, bytes = w_pixel(dtype, g->o);
    if (epilogue == 0) {
        memcpy(expected, wanted, 4 * (size_t)pixels * g->o);
        return 4 * pixels * g->o;
    }
    memset(expected, 0, (size_t)pixels * bytes);
    for (uint32_t i = 0; i < pixels * g->o; i++) {
        const uint32_t c = i % g->o;
        const int level = (wanted[i] >= thresholds[c]) + (epilogue == 3 && wanted[i] >= thresholds[g->o + c]) - 1;
        uint8_t *pixel = (uint8_t *)expected + i / g->o * bytes;
        if (dtype == 6 && level < 0) pixel[c / 8] |= (uint8_t)(1u << c % 8);
        if (dtype == 7 && level < 0) pixel[c / 8 * 2] |= (uint8_t)(1u << c % 8);
        if (dtype == 7 && level != 0) pixel[c / 8 * 2 + 1] |= (uint8_t)(1u << c % 8);
        if (dtype == 2) ((int8_t *)pixel)[c] = (int8_t)level;
    }
    return pixels * bytes;
}

static void add_stream(writer *w, w_op *op, uint32_t channels) {
    static float scale[80], a[80], b[80], slope[80];
    for (int i = 0; i < 80; i++) {
        scale[i] = (float)random_in(-64, 64) / 48.0f;
        a[i] = (float)random_in(-999, 999) / 77.0f;
        b[i] = (float)random_in(-999, 999) / 13.0f;
        slope[i] = (float)random_in(-9, 9) / 7.0f;
    }
    op->steps = 1u + 2u + (random_in(0, 1) ? 16u : 0u) + (random_in(0, 1) ? 64u : 0u) + (random_in(0, 1) ? 128u : 0u);
    op->constants[3] = w_constant(w, 5, random_in(0, 1) ? channels : 1, scale);
    op->constants[4] = w_constant(w, 5, channels, a);
    op->constants[5] = w_constant(w, 5, channels, b);
    if (op->steps & 64) op->constants[7] = w_constant(w, 5, channels, slope);
}

/* Signs behind the stream `out`, and maybe another stream between, some of them where earlier operators read. Returns the signs. */
static uint32_t add_signs(writer *w, const geometry *g, uint32_t first, uint32_t out) {
    w_op op;
    uint32_t signs;
    if (random_in(0, 1)) {
        const uint32_t sum = w_buffer(w, 5, g->oh, g->ow, g->o);
        op = w_op_new(8, out, sum);
        op.n_inputs = 2;
        op.inputs[1] = first;
        op.steps = 8;
        w_add(w, &op, "sum");
        out = sum;
    }
    signs = w_buffer(w, 6, g->oh, g->ow, g->o);
    if (random_in(0, 1)) put32(w->buffers + 24 * signs + 16, 0); /* over the input, and over `first` if it is larger */
    op = w_op_new(2, out, signs);
    w_add(w, &op, "signs");
    return signs;
}

/* Keeps the last stream, the one before the signs. */
static void keep_stream(void *user, uint32_t op, const void *output, size_t bytes) {
    if (op + 2 == *(const uint32_t *)user) memcpy(streamed, output, bytes);
}

/* The signs of what was kept, as the format has them. */
static void sign_streamed(const geometry *g, uint8_t *to) {
    const uint32_t bytes = w_pixel(6, g->o);
    memset(to, 0, (size_t)g->oh * g->ow * bytes);
    for (uint32_t i = 0; i < g->oh * g->ow * g->o; i++) {
        const uint32_t c = i % g->o;
        float value;
        memcpy(&value, streamed + i, sizeof value);
        if (!(value >= 0.0f)) to[i / g->o * bytes + c / 8] |= (uint8_t)(1u << c % 8);
    }
}

/* Of kind 1: bits, 2: int8, 3: trits, 4: int4, 5: masks. */
static int8_t random_weight(uint32_t kind) {
    const int low = kind == 2 ? -128 : kind == 4 ? -8 : kind == 5 ? 0 : -1, high = kind == 2 ? 127 : kind == 4 ? 7 : 1;
    if (at_end) return (int8_t)(at_end < 0 ? low : high);
    if (kind == 1) return random_in(0, 1) ? 1 : -1;
    return (int8_t)random_in(low, high);
}

static void one(const geometry *g) {
    static writer w;
    static int32_t thresholds[80 * 2];
    const uint32_t taps = g->kernel[0] * g->kernel[1], in = g->c / g->groups, group_out = g->o / g->groups, k = taps * in;
    const uint32_t epilogue = (uint32_t)random_in(0, 3);
    const int planes = g->dtype >= 6 && g->weights != 2 && !g->depthwise, to_trits = random_in(0, 1);
    const uint32_t patch = planes ? taps * w_pixel(g->dtype, in) : g->depthwise ? 2 * g->o : 2 * (k + k % 2);
    const uint32_t result[] = {4, 6, 5, to_trits ? 7 : 2};
    uint32_t bytes = 0, size, out, first;
    qd_model model;
    qd_error error;
    w_op op;

    if (!planes && k > INT32_MAX / 128 / (g->dtype == 1 ? 255 : g->dtype == 2 ? 128 : g->dtype >= 6 ? 1 : 32768)) return;
    memset(&w, 0, sizeof w);
    w_buffer(&w, g->dtype, g->h, g->w, g->c);
    out = first = w_buffer(&w, result[epilogue], g->oh, g->ow, g->o);
    op = w_op_new(1, 0, first);
    for (uint32_t i = 0; i < g->o * k; i++) plain[i] = random_weight(g->weights);
    for (uint32_t i = 0; i < g->groups && !g->depthwise; i++) {
        const int8_t *from = plain + i * group_out * k;
        int8_t *to = packed + bytes;
        if (planes && g->weights == 1) bytes += w_pack_bits(from, group_out, taps, in, (uint8_t *)to);
        else if (planes) bytes += w_pack_trits(from, group_out, taps, in, (uint8_t *)to);
        else if (g->weights == 2) bytes += w_pack_int8(from, group_out, k, to);
        else bytes += w_pack_small(from, g->weights, group_out, k, (uint8_t *)to);
    }
    if (g->depthwise) bytes = w_pack_taps(plain, g->weights, g->o, taps, packed);
    for (uint32_t c = 0; c < g->c; c++) zero[c] = (int16_t)(c > 0 && g->h % 2 ? zero[0] : random_in(0, 255));
    op.constants[0] = w_constant(&w, g->weights == 2 ? 2 : 1, bytes, packed);
    if (g->dtype == 1) op.constants[1] = w_constant(&w, 3, g->c, zero);
    op.weights = g->weights;
    op.epilogue = epilogue;
    op.scratch_bytes = 4 * align_to(patch, 64) + 16 * (align_to(g->o, 32) + (g->groups > 1 ? 32 : 0));
    op.range[0] = g->fill;
    op.groups = g->groups;
    memcpy(op.dilation, g->dilation, sizeof op.dilation);
    memcpy(op.kernel, g->kernel, sizeof op.kernel);
    memcpy(op.stride, g->stride, sizeof op.stride);
    memcpy(op.padding, g->padding, sizeof op.padding);
    if (epilogue % 2 == 1) {
        for (uint32_t o = 0; o < g->o; o++) {
            const int32_t range = (int32_t)k * (planes ? 1 : 3000), kind = random_in(0, 9);
            thresholds[o] = kind == 0 ? INT32_MIN : kind == 1 ? INT32_MAX : random_in(-range, range);
            thresholds[g->o + o] = kind == 2 ? INT32_MAX : random_in(thresholds[o], kind == 1 ? INT32_MAX : range);
        }
        op.constants[2] = w_constant(&w, 4, epilogue == 3 ? 2 * g->o : g->o, thresholds);
        op.range[1] = epilogue == 3 ? -1 : 0;
    }
    if (epilogue == 2) add_stream(&w, &op, g->o);
    w_add(&w, &op, "conv");
    if (epilogue == 2) { /* once more, with the first one's output added */
        out = w_buffer(&w, 5, g->oh, g->ow, g->o);
        op.output = out;
        op.n_inputs = 2;
        op.inputs[1] = first;
        op.steps += 8;
        w_add(&w, &op, "residual");
        out = add_signs(&w, g, first, out);
    }
    size = w_finish(&w, 0, out, file);
    if (w.arena + GUARD > sizeof arena) return;
    CHECK(qd_open(&model, file, size, &error) == QD_OK, "%s", qd_status_str(error.status));
    if (error.status != QD_OK) return;
    make_input(g);
    convolve(g);
    bytes = 4 * g->oh * g->ow * g->o;
    if (epilogue != 2) bytes = expect(g, epilogue, result[epilogue], thresholds);
    for (int family = QD_REF; family <= QD_FAMILY_COUNT; family++) {
        const qd_family chosen = family == QD_FAMILY_COUNT ? QD_AUTO : (qd_family)family;
        qd_options options = {chosen, keep_stream, &w.n_ops, NULL, NULL, 1, NULL};
        if (!qd_kernels_available(chosen)) continue;
        memset(arena, 0xA5, sizeof arena);
        memset(answer, 0, sizeof answer);
        CHECK(qd_run(&model, &options, arena, w.arena, input, answer) == QD_OK, "run");
        if (epilogue == 2) {
            sign_streamed(g, sign_bits);
            CHECK(memcmp(answer, sign_bits, (size_t)g->oh * g->ow * w_pixel(6, g->o)) == 0, "family %d: signs of a stream", chosen);
            memcpy(answer, streamed, bytes);
            if (chosen == QD_REF) memcpy(expected, answer, bytes);
        }
        CHECK(memcmp(answer, expected, bytes) == 0,
              "family %d groups %u dilation %u,%u fill %d dtype %u weights %u map %ux%ux%u -> %u kernel %ux%u stride %u,%u padding %u %u %u %u epilogue %u", chosen,
              (unsigned)g->groups, (unsigned)g->dilation[0], (unsigned)g->dilation[1], (int)g->fill,
              (unsigned)g->dtype, (unsigned)g->weights, (unsigned)g->h, (unsigned)g->w, (unsigned)g->c, (unsigned)g->o, (unsigned)g->kernel[0],
              (unsigned)g->kernel[1], (unsigned)g->stride[0], (unsigned)g->stride[1], (unsigned)g->padding[0],
              (unsigned)g->padding[1], (unsigned)g->padding[2], (unsigned)g->padding[3], (unsigned)epilogue);
        for (size_t i = 0; i < GUARD; i++) CHECK(arena[w.arena + i] == 0xA5, "family %d writes past the arena", chosen);
    }
}

int main(int argc, char **argv) {
    const int rounds = argc > 1 ? atoi(argv[1]) : 500;
    for (uint32_t weights = 1; weights <= 5; weights++) { /* more products than sums of 16 bits hold */
        const geometry large = {2, weights, 4, 20, 128, 17, {1, 16}, {1, 1}, {0, 0, 0, 0}, {1, 1}, 1, 4, 5, 0, 0};
        for (at_end = -1; at_end <= 1; at_end += 2) one(&large);
    }
    at_end = 0;
    for (int i = 0; i < rounds;) {
        geometry g;
        if (!make_geometry(&g)) continue;
        one(&g);
        i++;
    }
    return finish("conv");
}
