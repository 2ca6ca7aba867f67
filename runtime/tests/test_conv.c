/* Whole convolutions of random geometry through qd_open and qd_run, every kernel family, against the obvious seven loops. */
#include "qd/qd.h"
#include "test.h"
#include "writer.h"

enum { SIDE = 14, CHANNELS = 70, MOST = SIDE * SIDE * CHANNELS };

static _Alignas(64) uint8_t file[W_MAX], arena[W_MAX];
static int8_t plain[80 * 49 * CHANNELS], packed[W_MAX / 2];
static int32_t x[MOST], wanted[40 * 40 * 80], answer[40 * 40 * 80];
static uint8_t input[MOST * 2];
static int16_t zero[CHANNELS];

typedef struct geometry {
    uint32_t dtype, h, w, c, o, kernel[2], stride[2], padding[4], oh, ow;
} geometry;

static int make_geometry(geometry *g) {
    static const uint32_t types[] = {1, 2, 3, 6, 6, 6};
    g->dtype = types[random_in(0, 5)];
    g->h = (uint32_t)random_in(1, SIDE);
    g->w = (uint32_t)random_in(1, SIDE);
    g->c = (uint32_t)random_in(1, random_in(0, 1) ? CHANNELS : 9);
    g->o = (uint32_t)random_in(1, random_in(0, 1) ? 70 : 17);
    for (int i = 0; i < 2; i++) {
        g->kernel[i] = (uint32_t)random_in(1, random_in(0, 2) ? 3 : 7);
        g->stride[i] = (uint32_t)random_in(1, 3);
    }
    if (random_in(0, 5) == 0) { /* dense, or as wide as the map */
        g->kernel[1] = g->w <= 7 ? g->w : 7;
        if (random_in(0, 1)) g->kernel[0] = g->h <= 7 ? g->h : 7;
    }
    for (int i = 0; i < 4; i++) g->padding[i] = random_in(0, 2) ? (uint32_t)random_in(0, (int32_t)g->kernel[i % 2] - 1) : 0;
    if (g->h + g->padding[0] + g->padding[2] < g->kernel[0] || g->w + g->padding[1] + g->padding[3] < g->kernel[1]) return 0;
    g->oh = (g->h + g->padding[0] + g->padding[2] - g->kernel[0]) / g->stride[0] + 1;
    g->ow = (g->w + g->padding[1] + g->padding[3] - g->kernel[1]) / g->stride[1] + 1;
    return 1;
}

/* Random input: as the file format has it in `input`, as numbers in `x`. */
static void make_input(const geometry *g) {
    const uint32_t s = w_pixel(6, g->c);
    memset(input, 0, sizeof input);
    for (uint32_t i = 0; i < g->h * g->w * g->c; i++) {
        const uint32_t pixel = i / g->c, c = i % g->c;
        if (g->dtype == 1) {
            input[i] = (uint8_t)random_u32();
            x[i] = input[i] - zero[c];
        } else if (g->dtype == 2) {
            input[i] = (uint8_t)random_u32();
            x[i] = (int8_t)input[i];
        } else if (g->dtype == 3) {
            const int16_t value = (int16_t)random_in(-32768, 32767);
            memcpy(input + 2 * i, &value, 2);
            x[i] = value;
        } else {
            x[i] = random_in(0, 1) ? -1 : 1;
            if (x[i] < 0) input[pixel * s + c / 8] |= (uint8_t)(1u << c % 8);
        }
    }
}

static void convolve(const geometry *g) {
    const uint32_t taps = g->kernel[0] * g->kernel[1];
    for (uint32_t y = 0; y < g->oh; y++) {
        for (uint32_t z = 0; z < g->ow; z++) {
            for (uint32_t o = 0; o < g->o; o++) {
                int32_t sum = 0;
                for (uint32_t t = 0; t < taps; t++) {
                    const int32_t iy = (int32_t)(y * g->stride[0] + t / g->kernel[1]) - (int32_t)g->padding[0];
                    const int32_t ix = (int32_t)(z * g->stride[1] + t % g->kernel[1]) - (int32_t)g->padding[1];
                    if (iy < 0 || ix < 0 || iy >= (int32_t)g->h || ix >= (int32_t)g->w) continue;
                    for (uint32_t c = 0; c < g->c; c++) {
                        sum += x[((uint32_t)iy * g->w + (uint32_t)ix) * g->c + c] * plain[(o * taps + t) * g->c + c];
                    }
                }
                wanted[(y * g->ow + z) * g->o + o] = sum;
            }
        }
    }
}

static void one(const geometry *g) {
    static writer w;
    const uint32_t taps = g->kernel[0] * g->kernel[1], k = taps * g->c;
    const int bits = g->dtype == 6;
    const uint32_t patch = bits ? taps * w_pixel(6, g->c) : 2 * (k + k % 2);
    uint32_t bytes, size;
    qd_model model;
    qd_error error;
    w_op op;

    if (!bits && k > INT32_MAX / 128 / (g->dtype == 1 ? 255 : g->dtype == 2 ? 128 : 32768)) return;
    memset(&w, 0, sizeof w);
    w_buffer(&w, g->dtype, g->h, g->w, g->c);
    w_buffer(&w, 4, g->oh, g->ow, g->o);
    op = w_op_new(1, 0, 1);
    for (uint32_t i = 0; i < g->o * k; i++) plain[i] = (int8_t)(bits ? (random_in(0, 1) ? 1 : -1) : random_in(-128, 127));
    bytes = bits ? w_pack_bits(plain, g->o, taps, g->c, (uint8_t *)packed) : w_pack_int8(plain, g->o, k, packed);
    for (uint32_t c = 0; c < g->c; c++) zero[c] = (int16_t)(c > 0 && g->h % 2 ? zero[0] : random_in(0, 255));
    op.constants[0] = w_constant(&w, bits ? 1 : 2, bytes, packed);
    if (g->dtype == 1) op.constants[1] = w_constant(&w, 3, g->c, zero);
    op.weights = bits ? 1 : 2;
    op.scratch_bytes = 4 * align_to(patch, 64) + 16 * align_to(g->o, 32);
    memcpy(op.kernel, g->kernel, sizeof op.kernel);
    memcpy(op.stride, g->stride, sizeof op.stride);
    memcpy(op.padding, g->padding, sizeof op.padding);
    w_add(&w, &op, "conv");
    size = w_finish(&w, 0, 1, file);
    if (w.arena > sizeof arena) return;
    CHECK(qd_open(&model, file, size, &error) == QD_OK, "%s", qd_status_str(error.status));
    if (error.status != QD_OK) return;
    make_input(g);
    convolve(g);
    for (int family = QD_AUTO; family <= QD_NEON; family++) {
        qd_options options = {(qd_family)family, NULL, NULL};
        if (!qd_kernels_available((qd_family)family)) continue;
        memset(arena, 0xA5, sizeof arena);
        memset(answer, 0, sizeof answer);
        CHECK(qd_run(&model, &options, arena, w.arena, input, answer) == QD_OK, "run");
        CHECK(memcmp(answer, wanted, 4 * (size_t)g->oh * g->ow * g->o) == 0,
              "family %d dtype %u map %ux%ux%u -> %u kernel %ux%u stride %u,%u padding %u %u %u %u", family, (unsigned)g->dtype,
              (unsigned)g->h, (unsigned)g->w, (unsigned)g->c, (unsigned)g->o, (unsigned)g->kernel[0], (unsigned)g->kernel[1],
              (unsigned)g->stride[0], (unsigned)g->stride[1], (unsigned)g->padding[0], (unsigned)g->padding[1],
              (unsigned)g->padding[2], (unsigned)g->padding[3]);
    }
}

int main(int argc, char **argv) {
    const int rounds = argc > 1 ? atoi(argv[1]) : 300;
    for (int i = 0; i < rounds;) {
        geometry g;
        if (!make_geometry(&g)) continue;
        one(&g);
        i++;
    }
    return finish("conv");
}
