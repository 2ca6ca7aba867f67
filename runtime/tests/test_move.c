/* Concatenation, rearrangement, interleaving and padded pools of random shapes and types, against loops over single elements. */
#define _POSIX_C_SOURCE 200809L
#include "qd/qd.h"
#include "writer.h"

static writer w;
static uint8_t file[W_MAX];

/* A map of integers (of binary32: their values), as the loops see it. */
typedef struct map {
    uint32_t dtype, h, w, c;
    int32_t *at;
} map;

static map map_new(uint32_t dtype, uint32_t h, uint32_t width, uint32_t c) {
    const map m = {dtype, h, width, c, (int32_t *)calloc((size_t)h * width * c, 4)};
    return m;
}

static int32_t *element(const map *m, uint32_t y, uint32_t x, uint32_t c) { return m->at + ((size_t)y * m->w + x) * m->c + c; }

static void fill(const map *m) {
    static const int32_t most[8] = {0, 255, 127, 32767, 2000000000, 1000, 1, 1};
    for (size_t i = 0; i < (size_t)m->h * m->w * m->c; i++) {
        m->at[i] = m->dtype == 6 ? random_in(0, 1) * 2 - 1 : random_in(m->dtype == 1 ? 0 : -most[m->dtype], most[m->dtype]);
    }
}

static size_t bytes_of(const map *m) { return (size_t)m->h * m->w * w_pixel(m->dtype, m->c); }

static uint8_t *packed(const map *m) {
    const size_t pixel = w_pixel(m->dtype, m->c), planes = m->dtype == 7 ? 2 : 1;
    uint8_t *to = NULL;
    if (posix_memalign((void **)&to, 64, bytes_of(m)) != 0) exit(2);
    memset(to, 0, bytes_of(m));
    for (size_t p = 0; p < (size_t)m->h * m->w; p++) {
        uint8_t *out = to + p * pixel;
        for (uint32_t c = 0; c < m->c; c++) {
            const int32_t v = m->at[p * m->c + c];
            const int16_t half = (int16_t)v;
            const float real = (float)v;
            switch (m->dtype) {
            case 1:
            case 2: out[c] = (uint8_t)v; break;
            case 3: memcpy(out + 2 * c, &half, 2); break;
            case 4: memcpy(out + 4 * c, &v, 4); break;
            case 5: memcpy(out + 4 * c, &real, 4); break;
            default:
                if (v < 0) out[c / 8 * planes] |= (uint8_t)(1u << c % 8);
                if (planes == 2 && v != 0) out[c / 8 * 2 + 1] |= (uint8_t)(1u << c % 8);
            }
        }
    }
    return to;
}

/* Runs the network in `w` whose input is buffer 0; its output must be `want`. */
static void run(const map *in, uint32_t output, const map *want, const char *what) {
    const uint32_t size = w_finish(&w, 0, output, file);
    uint8_t *expected = packed(want), *input = packed(in), *data, *arena, *out;
    qd_model model;
    qd_error error;
    if (posix_memalign((void **)&data, 64, size) != 0) exit(2);
    memcpy(data, file, size);
    CHECK(qd_open(&model, data, size, &error) == QD_OK, "%s: %s", what, qd_status_str(error.status));
    if (error.status == QD_OK && posix_memalign((void **)&arena, 64, qd_arena_bytes(&model)) == 0) {
        out = (uint8_t *)malloc(bytes_of(want));
        memset(arena, 0xEE, qd_arena_bytes(&model));
        CHECK(qd_run(&model, NULL, arena, qd_arena_bytes(&model), input, out) == QD_OK, "%s: does not run", what);
        CHECK(memcmp(out, expected, bytes_of(want)) == 0, "%s: type %u, %u x %u x %u", what, (unsigned)want->dtype, (unsigned)want->h,
              (unsigned)want->w, (unsigned)want->c);
        free(out);
        free(arena);
    }
    free(data);
    free(input);
    free(expected);
}

static uint32_t pick(uint32_t low, uint32_t high) { return (uint32_t)random_in((int32_t)low, (int32_t)high); }

static void rearrange(uint32_t dtype) {
    const uint32_t kh = pick(1, 3), kw = pick(1, 3), sh = pick(1, 2), sw = pick(1, 2), h = pick(sh, 6), width = pick(sw, 6);
    const uint32_t c = pick(1, 80), top = pick(0, h / sh * kh - 1), left = pick(0, width / sw * kw - 1), plain = random_u32() % 4 == 0;
    const map in = map_new(dtype, h, width, c);
    const map out = map_new(dtype, pick(1, (plain ? h : h / sh) * kh - top), pick(1, (plain ? width : width / sw) * kw - left), plain ? c : pick(1, 90));
    const uint32_t n = kh * kw * out.c, step_h = plain ? 1 : sh, step_w = plain ? 1 : sw;
    int32_t *index = (int32_t *)malloc(4 * n);
    w_op op;
    fill(&in);
    for (uint32_t i = 0; i < n; i++) index[i] = plain ? (int32_t)(i % c) : random_in(0, (int32_t)(sh * sw * c) - 1);
    for (uint32_t y = 0; y < out.h; y++) {
        for (uint32_t x = 0; x < out.w; x++) {
            for (uint32_t o = 0; o < out.c; o++) {
                const uint32_t from = (uint32_t)index[((y + top) % kh * kw + (x + left) % kw) * out.c + o], tap = from / c;
                *element(&out, y, x, o) = *element(&in, (y + top) / kh * step_h + tap / step_w, (x + left) / kw * step_w + tap % step_w, from % c);
            }
        }
    }
    memset(&w, 0, sizeof w);
    w_buffer(&w, dtype, h, width, c);
    w_buffer(&w, dtype, out.h, out.w, out.c);
    op = w_op_new(9, 0, 1);
    op.kernel[0] = kh;
    op.kernel[1] = kw;
    op.stride[0] = step_h;
    op.stride[1] = step_w;
    op.padding[0] = top;
    op.padding[1] = left;
    if (!plain) op.constants[7] = w_constant(&w, 4, n, index);
    w_add(&w, &op, "x");
    run(&in, 1, &out, "rearranged");
    free(index);
    free(in.at);
    free(out.at);
}

/* Slices of one map, each by a rearrangement, beside one another again; the output may be of a wider type. */
static void concatenate(uint32_t dtype, uint32_t to) {
    const uint32_t n = pick(1, 4), h = pick(1, 4), width = pick(1, 4), c = pick(1, 70);
    uint32_t sizes[4], total = 0;
    int32_t index[4][70];
    map in = map_new(dtype, h, width, c), out;
    w_op op;
    fill(&in);
    memset(&w, 0, sizeof w);
    w_buffer(&w, dtype, h, width, c);
    for (uint32_t i = 0; i < n; i++) {
        sizes[i] = pick(1, 70);
        total += sizes[i];
        w_buffer(&w, dtype, h, width, sizes[i]);
        for (uint32_t k = 0; k < sizes[i]; k++) index[i][k] = random_in(0, (int32_t)c - 1);
        op = w_op_new(9, 0, 1 + i);
        op.kernel[0] = op.kernel[1] = op.stride[0] = op.stride[1] = 1;
        op.constants[7] = w_constant(&w, 4, sizes[i], index[i]);
        w_add(&w, &op, "slice");
    }
    out = map_new(to, h, width, total);
    for (uint32_t y = 0; y < h; y++) {
        for (uint32_t x = 0; x < width; x++) {
            for (uint32_t i = 0, o = 0; i < n; i++) {
                for (uint32_t k = 0; k < sizes[i]; k++) *element(&out, y, x, o++) = *element(&in, y, x, (uint32_t)index[i][k]);
            }
        }
    }
    op = w_op_new(7, 1, w_buffer(&w, to, h, width, total));
    op.n_inputs = n;
    for (uint32_t i = 0; i < n; i++) op.inputs[i] = 1 + i;
    w_add(&w, &op, "x");
    run(&in, 1 + n, &out, "beside one another");
    free(in.at);
    free(out.at);
}

static void interleave(uint32_t dtype) {
    static const uint32_t blocks[][2] = {{1, 1}, {1, 2}, {2, 1}, {2, 2}, {1, 3}, {3, 1}, {4, 1}, {1, 4}};
    const uint32_t *block = blocks[random_u32() % 8], h = pick(block[0], 9), width = pick(block[1], 9), c = pick(1, 40);
    const map out = map_new(dtype, h, width, c), in = map_new(dtype, (h + block[0] - 1) / block[0], (width + block[1] - 1) / block[1], c);
    w_op last = w_op_new(10, 0, 0), op;
    fill(&in);
    memset(&w, 0, sizeof w);
    w_buffer(&w, dtype, in.h, in.w, c);
    for (uint32_t i = 0; i < block[0] * block[1]; i++) { /* parts of the input, all channels turned by i */
        static int32_t index[4][40];
        const uint32_t y = i / block[1], x = i % block[1];
        op = w_op_new(9, 0, w_buffer(&w, dtype, (h - y + block[0] - 1) / block[0], (width - x + block[1] - 1) / block[1], c));
        for (uint32_t k = 0; k < c; k++) index[i][k] = (int32_t)((k + i) % c);
        op.kernel[0] = op.kernel[1] = op.stride[0] = op.stride[1] = 1;
        op.constants[7] = w_constant(&w, 4, c, index[i]);
        w_add(&w, &op, "part");
        last.inputs[i] = op.output;
    }
    for (uint32_t y = 0; y < h; y++) {
        for (uint32_t x = 0; x < width; x++) {
            const uint32_t i = y % block[0] * block[1] + x % block[1];
            for (uint32_t k = 0; k < c; k++) *element(&out, y, x, k) = *element(&in, y / block[0], x / block[1], (k + i) % c);
        }
    }
    last.n_inputs = block[0] * block[1];
    last.kernel[0] = block[0];
    last.kernel[1] = block[1];
    last.output = w_buffer(&w, dtype, h, width, c);
    w_add(&w, &last, "x");
    run(&in, last.output, &out, "woven");
    free(in.at);
    free(out.at);
}

static void pool(uint32_t dtype) {
    const uint32_t kh = pick(1, 4), kw = pick(1, 4), sh = pick(1, 5), sw = pick(1, 5), h = pick(1, 7), width = pick(1, 7), c = pick(1, 40);
    const uint32_t pads[4] = {pick(0, kh - 1), pick(0, kw - 1), pick(0, kh - 1), pick(0, kw - 1)};
    const uint32_t high = h + pads[0] + pads[2], broad = width + pads[1] + pads[3];
    uint8_t mask[8];
    map in, out;
    w_op op = w_op_new(dtype == 5 ? 4 : 3, 0, 1);
    if (kh > high || kw > broad) return;
    in = map_new(dtype, h, width, c);
    out = map_new(dtype, (high - kh) / sh + 1, (broad - kw) / sw + 1, c);
    fill(&in);
    random_bytes(mask, sizeof mask);
    for (uint32_t i = c; i < 64; i++) mask[i / 8] &= (uint8_t)~(1u << i % 8);
    for (uint32_t y = 0; y < out.h; y++) {
        for (uint32_t x = 0; x < out.w; x++) {
            for (uint32_t k = 0; k < c; k++) {
                const int minimum = dtype != 5 && (mask[k / 8] >> k % 8 & 1);
                int32_t best = minimum ? INT32_MAX : INT32_MIN;
                for (uint32_t ky = 0; ky < kh; ky++) {
                    for (uint32_t kx = 0; kx < kw; kx++) {
                        const uint32_t iy = y * sh + ky - pads[0], ix = x * sw + kx - pads[1]; /* outside: wraps around */
                        int32_t v;
                        if (iy >= h || ix >= width) continue;
                        v = *element(&in, iy, ix, k);
                        if (minimum ? v < best : v > best) best = v;
                    }
                }
                *element(&out, y, x, k) = best;
            }
        }
    }
    memset(&w, 0, sizeof w);
    w_buffer(&w, dtype, h, width, c);
    w_buffer(&w, dtype, out.h, out.w, c);
    op.kernel[0] = kh;
    op.kernel[1] = kw;
    op.stride[0] = sh;
    op.stride[1] = sw;
    for (int i = 0; i < 4; i++) op.padding[i] = pads[i];
    if (dtype != 5) op.constants[7] = w_constant(&w, 1, w_pixel(6, c), mask);
    w_add(&w, &op, "x");
    run(&in, 1, &out, "padded pool");
    free(in.at);
    free(out.at);
}

int main(void) {
    static const uint32_t wider[5] = {6, 7, 2, 3, 4};
    for (int round = 0; round < 200; round++) {
        for (uint32_t dtype = 1; dtype <= 7; dtype++) {
            rearrange(dtype);
            interleave(dtype);
            concatenate(dtype, dtype);
        }
        for (uint32_t from = 0; from < 5; from++) {
            for (uint32_t to = from + 1; to < 5; to++) concatenate(wider[from], wider[to]);
        }
        pool(2);
        pool(5);
        pool(6);
        pool(7);
    }
    return finish("move");
}
