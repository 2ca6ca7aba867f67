/* Float islands of random shapes against a loop over single elements, bit for bit; and another order of summation gives other bits. */
#define _POSIX_C_SOURCE 200809L
#include "qd/qd.h"
#include "writer.h"

enum { MOST = 4096 };

static writer w;
static uint8_t file[W_MAX];

typedef struct shape {
    uint32_t dtype, h, w, c;          /* of the input */
    uint32_t kh, kw, sh, sw, dh, dw;  /* window */
    uint32_t top, left, bottom, right;
    uint32_t groups, out;
} shape;

static uint32_t pick(uint32_t low, uint32_t high) { return (uint32_t)random_in((int32_t)low, (int32_t)high); }

static float real(void) {
    const float v = (float)random_in(-1000000, 1000000) / 1048576.0f;
    return random_in(0, 7) == 0 ? v * 1e-40f : random_in(0, 3) == 0 ? v * 4096.0f : v; /* subnormals too */
}

/* Element c of pixel p as it is packed at `in`, read from values kept beside it. */
static void put_element(const shape *s, uint8_t *in, float *values, const int16_t *zero, size_t p, uint32_t c) {
    uint8_t *pixel = in + p * w_pixel(s->dtype, s->c);
    float *v = values + p * s->c + c;
    const int32_t n = s->dtype == 1 ? random_in(0, 255) : s->dtype == 2 ? random_in(-128, 127) : random_in(-32768, 32767);
    const int16_t half = (int16_t)n;
    const size_t planes = s->dtype == 7 ? 2 : 1;
    switch (s->dtype) {
    case 1:
    case 2:
        pixel[c] = (uint8_t)n;
        *v = (float)(s->dtype == 1 ? n - zero[c] : n);
        return;
    case 3:
        memcpy(pixel + 2 * c, &half, 2);
        *v = (float)n;
        return;
    case 4:
        memcpy(pixel + 4 * c, &n, 4);
        *v = (float)n;
        return;
    case 5:
        *v = real();
        memcpy(pixel + 4 * c, v, 4);
        return;
    default:
        *v = planes == 2 ? (float)random_in(-1, 1) : (float)(2 * random_in(0, 1) - 1);
        if (*v < 0) pixel[c / 8 * planes] |= (uint8_t)(1u << c % 8);
        if (planes == 2 && *v != 0) pixel[c / 8 * 2 + 1] |= (uint8_t)(1u << c % 8);
    }
}

/* One output element of a convolution (weights) or pool (null), taps in the written order or backwards. */
static float element(const shape *s, const float *values, const float *weights, uint32_t y, uint32_t x, uint32_t o, int backwards) {
    const uint32_t channels = weights ? s->c / s->groups : 1, terms = channels * s->kh * s->kw;
    const uint32_t first = weights ? o / (s->out / s->groups) * channels : o;
    volatile float sum = 0.0f;
    for (uint32_t n = 0; n < terms; n++) {
        const uint32_t k = backwards ? terms - 1 - n : n, c = first + k / (s->kh * s->kw), i = k / s->kw % s->kh, j = k % s->kw;
        const int32_t row = (int32_t)(y * s->sh + i * s->dh) - (int32_t)s->top, column = (int32_t)(x * s->sw + j * s->dw) - (int32_t)s->left;
        volatile float product;
        float value;
        if (row < 0 || column < 0 || row >= (int32_t)s->h || column >= (int32_t)s->w) continue;
        value = values[((uint32_t)row * s->w + (uint32_t)column) * s->c + c];
        product = weights ? weights[k * s->out + o] * value : value;
        sum = sum + product;
    }
    return sum;
}

/* Returns 1 if the other order gives other bits. */
static int compare(const shape *s, const float *weights, const int16_t *zero) {
    const uint32_t oh = (s->h + s->top + s->bottom - (s->kh - 1) * s->dh - 1) / s->sh + 1;
    const uint32_t ow = (s->w + s->left + s->right - (s->kw - 1) * s->dw - 1) / s->sw + 1;
    const size_t pixels = (size_t)s->h * s->w, results = (size_t)oh * ow * s->out;
    uint8_t *in = (uint8_t *)calloc(pixels, w_pixel(s->dtype, s->c)), *data, *arena;
    float *values = (float *)calloc(pixels * s->c, 4), *out = (float *)calloc(results, 4);
    w_op op;
    uint32_t size;
    int differs = 0;
    qd_model model;
    qd_error error;
    memset(&w, 0, sizeof w);
    for (size_t p = 0; p < pixels; p++) {
        for (uint32_t c = 0; c < s->c; c++) put_element(s, in, values, zero, p, c);
    }
    w_buffer(&w, s->dtype, s->h, s->w, s->c);
    w_buffer(&w, 5, oh, ow, s->out);
    op = w_op_new(weights ? 16 : 17, 0, 1);
    op.kernel[0] = s->kh, op.kernel[1] = s->kw, op.stride[0] = s->sh, op.stride[1] = s->sw;
    op.padding[0] = s->top, op.padding[1] = s->left, op.padding[2] = s->bottom, op.padding[3] = s->right;
    if (weights) {
        op.dilation[0] = s->dh, op.dilation[1] = s->dw, op.groups = s->groups;
        op.constants[0] = w_constant(&w, 5, s->c / s->groups * s->kh * s->kw * s->out, weights);
        if (s->dtype == 1) op.constants[1] = w_constant(&w, 3, s->c, zero);
    }
    w_add(&w, &op, "x");
    size = w_finish(&w, 0, 1, file);
    if (posix_memalign((void **)&data, 64, size) != 0) exit(2);
    memcpy(data, file, size);
    CHECK(qd_open(&model, data, size, &error) == QD_OK, "%s", qd_status_str(error.status));
    if (posix_memalign((void **)&arena, 64, qd_arena_bytes(&model)) != 0) exit(2);
    memset(arena, 0xEE, qd_arena_bytes(&model));
    CHECK(qd_run(&model, NULL, arena, qd_arena_bytes(&model), in, out) == QD_OK, "does not run");
    for (size_t n = 0; n < results; n++) {
        const uint32_t o = (uint32_t)(n % s->out), x = (uint32_t)(n / s->out % ow), y = (uint32_t)(n / s->out / ow);
        const float want = element(s, values, weights, y, x, o, 0), other = element(s, values, weights, y, x, o, 1);
        CHECK(memcmp(&out[n], &want, 4) == 0, "type %u: %a instead of %a", (unsigned)s->dtype, (double)out[n], (double)want);
        differs |= memcmp(&want, &other, 4) != 0;
    }
    free(in);
    free(values);
    free(out);
    free(data);
    free(arena);
    return differs;
}

int main(void) {
    static float weights[MOST];
    static int16_t zero[64];
    int other = 0;
    for (int round = 0; round < 200; round++) {
        shape s;
        memset(&s, 0, sizeof s);
        s.dtype = (uint32_t)round % 7 + 1;
        s.h = pick(3, 6), s.w = pick(3, 6);
        s.kh = pick(1, 3), s.kw = pick(1, 3), s.sh = pick(1, 2), s.sw = pick(1, 2), s.dh = s.dw = 1;
        s.top = pick(0, s.kh - 1), s.left = pick(0, s.kw - 1), s.bottom = pick(0, s.kh - 1), s.right = pick(0, s.kw - 1);
        if (round % 3 == 2) {
            s.dtype = 5;
            s.c = s.out = pick(1, 40);
            other += compare(&s, NULL, NULL);
            continue;
        }
        s.groups = round % 2 ? pick(1, 4) : 1;
        s.c = s.groups * pick(1, 9), s.out = s.groups * pick(1, 11);
        if (round % 5 == 0 && s.kh < 3 && s.kw < 3) s.dh = s.dw = 2;
        for (int i = 0; i < MOST; i++) weights[i] = real();
        for (int i = 0; i < 64; i++) zero[i] = (int16_t)pick(0, 255);
        other += compare(&s, weights, zero);
    }
    CHECK(other > 50, "the order matters in %d cases only", other);
    return finish("island");
}
