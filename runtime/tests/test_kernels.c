/* Every row of the kernel table against the reference of its kind, over sizes around its tiles, with guards around outputs. */
#include <math.h>

#include "kernels/qd_kernel.h"
#include "qd/qd.h"
#include "qd_cpu.h"
#include "test.h"

enum { GUARD = 64, MAX_ROW = 1100, MAX_PAIRS = 300, MAX_CHANNELS = 300, ACC_STRIDE = 40 };

static uint8_t weights[MAX_ROW * 32], patch[4 * MAX_ROW];
static int32_t wanted[4 * ACC_STRIDE + 2 * GUARD], got[4 * ACC_STRIDE + 2 * GUARD];

static void reset_acc(void) {
    memset(wanted, 0x5A, sizeof wanted);
    memset(got, 0x5A, sizeof got);
}

/* Random, all ones, all zero: the last two give the largest and the smallest counts. */
static void fill(void *to, size_t n, int kind) {
    if (kind == 0) random_bytes(to, n);
    else memset(to, kind == 1 ? 0xFF : 0, n);
}

/* What every bits kernel must give: one output channel and one byte at a time. */
static int32_t count_ones(unsigned byte) {
    int32_t ones = 0;
    for (; byte != 0; byte &= byte - 1) ones++;
    return ones;
}

static void obvious_bits(const uint8_t *w, size_t lanes, const uint8_t *x, size_t patch_stride, size_t pixels,
                         const qd_run_span *runs, size_t n_runs, int32_t bits, int32_t *acc, size_t acc_stride) {
    for (size_t p = 0; p < pixels; p++) {
        for (size_t l = 0; l < lanes; l++) {
            int32_t mismatches = 0;
            for (size_t r = 0; r < n_runs; r++) {
                for (size_t k = runs[r].from; k < (size_t)runs[r].from + runs[r].length; k++) {
                    mismatches += count_ones((unsigned)x[p * patch_stride + k] ^ w[k * lanes + l]);
                }
            }
            acc[p * acc_stride + l] = bits - 2 * mismatches;
        }
    }
}

static void check_bits(const char *name, qd_bits_fn *kernel) {
    static const uint32_t lengths[] = {1, 2, 3, 7, 8, 30, 31, 32, 33, 61, 62, 63, 64, 100, 333, 1000};
    for (size_t lanes = 16; lanes <= 32; lanes += 16) {
        for (size_t pixels = 1; pixels <= QD_TILE_PIXELS; pixels++) {
            for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
                for (int kind = 0; kind < 3; kind++) {
                    const qd_run_span run = {(uint32_t)random_in(0, 5), lengths[i]};
                    fill(weights, sizeof weights, 0);
                    fill(patch, sizeof patch, 0);
                    if (kind > 0) fill(weights, sizeof weights, kind), fill(patch, sizeof patch, 1);
                    reset_acc();
                    obvious_bits(weights, lanes, patch, MAX_ROW, pixels, &run, 1, 777, wanted + GUARD, ACC_STRIDE);
                    kernel(weights, lanes, patch, MAX_ROW, pixels, &run, 1, 777, got + GUARD, ACC_STRIDE);
                    CHECK(memcmp(wanted, got, sizeof got) == 0, "%s lanes %zu pixels %zu length %u kind %d", name, lanes, pixels,
                          (unsigned)run.length, kind);
                }
            }
            for (int repeat = 0; repeat < 100; repeat++) { /* several runs, odd strides */
                qd_run_span runs[8];
                const size_t n = (size_t)random_in(1, 8), stride = (size_t)random_in(900, MAX_ROW);
                uint32_t at = 0;
                for (size_t r = 0; r < n; r++) {
                    runs[r].from = at + (uint32_t)random_in(0, 9);
                    runs[r].length = (uint32_t)random_in(1, 100);
                    at = runs[r].from + runs[r].length;
                }
                fill(weights, sizeof weights, 0);
                fill(patch, sizeof patch, 0);
                reset_acc();
                obvious_bits(weights, lanes, patch, stride, pixels, runs, n, 65535, wanted + GUARD, ACC_STRIDE);
                kernel(weights, lanes, patch, stride, pixels, runs, n, 65535, got + GUARD, ACC_STRIDE);
                CHECK(memcmp(wanted, got, sizeof got) == 0, "%s lanes %zu pixels %zu runs %zu", name, lanes, pixels, n);
            }
        }
    }
}

static void check_bits_extreme(const char *name, qd_bits_fn *kernel) { /* 65535 mismatches, the most that a file can ask for */
    enum { BYTES = 8192 };
    static uint8_t w[BYTES * 32], x[BYTES];
    const qd_run_span run = {0, BYTES};
    memset(w, 0xFF, sizeof w);
    memset(w + (BYTES - 1) * 32, 0x7F, 32);
    memset(x, 0, sizeof x);
    reset_acc();
    kernel(w, 32, x, BYTES, 1, &run, 1, 65535, got + GUARD, ACC_STRIDE);
    for (size_t l = 0; l < 32; l++) CHECK(got[GUARD + l] == -65535, "%s lane %zu: %ld", name, l, (long)got[GUARD + l]);
}

static void check_int8(const char *name, qd_int8_fn *kernel) {
    static int8_t w[MAX_PAIRS * 16];
    static int16_t x[4 * 2 * MAX_PAIRS];
    for (size_t pixels = 1; pixels <= QD_TILE_PIXELS; pixels++) {
        for (size_t pairs = 1; pairs <= MAX_PAIRS; pairs += pairs < 70 ? 1 : 37) {
            const size_t stride = 2 * pairs + (size_t)random_in(0, 3);
            const int extreme = pairs <= 200 && random_in(0, 3) == 0; /* all -128 times all -32768 stays in int32 */
            random_bytes(w, sizeof w);
            for (size_t i = 0; i < sizeof x / sizeof *x; i++) x[i] = (int16_t)random_in(-3000, 3000);
            if (extreme) {
                memset(w, 0x80, sizeof w);
                for (size_t i = 0; i < sizeof x / sizeof *x; i++) x[i] = -32768;
            }
            reset_acc();
            if (stride * pixels > sizeof x / sizeof *x) continue;
            qd_conv_int8_ref(w, pairs, x, stride, pixels, wanted + GUARD, ACC_STRIDE);
            kernel(w, pairs, x, stride, pixels, got + GUARD, ACC_STRIDE);
            CHECK(memcmp(wanted, got, sizeof got) == 0, "%s pairs %zu pixels %zu extreme %d", name, pairs, pixels, extreme);
        }
    }
}

/* Eight digits of byte k of a row of signs and masks, or of signs only: digit i. */
static int32_t digit(const uint8_t *row, size_t planes, size_t step, size_t k, size_t i) {
    const uint8_t *at = row + k * planes * step;
    const int32_t sign = at[0] >> i & 1;
    return planes == 2 && (at[step] >> i & 1) == 0 ? 0 : 1 - 2 * sign;
}

/* Signs where masks are not 0 only, as the format has them. kind 1: all -1, 2: all 0. */
static void fill_planes(uint8_t *to, size_t groups, size_t planes, size_t step, int kind) {
    fill(to, groups * planes * step, kind == 2 ? 2 : kind);
    for (size_t g = 0; planes == 2 && g < groups; g++) {
        for (size_t i = 0; i < step; i++) to[2 * g * step + i] &= to[(2 * g + 1) * step + i];
    }
}

static void check_trits(const char *name, qd_trits_fn *kernel) {
    static uint8_t w[260 * 2 * 32], x[4 * 260 * 2];
    static const struct { size_t weights, patch; } forms[] = {{1, 2}, {2, 1}, {2, 2}};
    for (size_t f = 0; f < 3; f++) {
        for (size_t lanes = 16; lanes <= 32; lanes += 16) {
            for (size_t pixels = 1; pixels <= QD_TILE_PIXELS; pixels++) {
                for (size_t length = 1; length <= 129; length += length < 40 ? 1 : 89) {
                    const int kind = (int)(length % 7 == 0) * random_in(0, 2);
                    qd_run_span runs[3] = {{(uint32_t)random_in(0, 5), (uint32_t)length}, {150, 1}, {160, (uint32_t)random_in(1, 99)}};
                    const size_t n_runs = (size_t)random_in(1, 3), stride = 260 * forms[f].patch;
                    fill_planes(w, 260, forms[f].weights, lanes, kind);
                    for (size_t p = 0; p < 4; p++) fill_planes(x + p * stride, 260, forms[f].patch, 1, kind == 2 ? 0 : kind);
                    reset_acc();
                    for (size_t p = 0; p < pixels; p++) {
                        for (size_t l = 0; l < lanes; l++) {
                            int32_t sum = 0;
                            for (size_t r = 0; r < n_runs; r++) {
                                for (size_t k = runs[r].from; k < runs[r].from + runs[r].length; k++) {
                                    for (size_t i = 0; i < 8; i++) {
                                        sum += digit(w + l, forms[f].weights, lanes, k, i) * digit(x + p * stride, forms[f].patch, 1, k, i);
                                    }
                                }
                            }
                            wanted[GUARD + p * ACC_STRIDE + l] = sum;
                        }
                    }
                    kernel(w, forms[f].weights, lanes, x, forms[f].patch, stride, pixels, runs, n_runs, got + GUARD, ACC_STRIDE);
                    CHECK(memcmp(wanted, got, sizeof got) == 0, "%s planes %zu %zu lanes %zu pixels %zu length %zu kind %d", name,
                          forms[f].weights, forms[f].patch, lanes, pixels, length, kind);
                }
            }
        }
    }
}

static void check_trits_extreme(const char *name, qd_trits_fn *kernel) { /* 32767 products of -1 or +1 */
    enum { GROUPS = 4096 };
    static uint8_t w[GROUPS * 2 * 32], x[GROUPS * 2];
    const qd_run_span run = {0, GROUPS};
    for (int sign = 0; sign < 2; sign++) {
        memset(w, 0xFF, sizeof w);
        memset(w + sizeof w - 64, 0x7F, 64);
        for (size_t k = 0; k < GROUPS; k++) x[2 * k] = (uint8_t)(sign ? 0 : 0xFF), x[2 * k + 1] = 0xFF;
        reset_acc();
        kernel(w, 2, 32, x, 2, sizeof x, 1, &run, 1, got + GUARD, ACC_STRIDE);
        for (size_t l = 0; l < 32; l++) CHECK(got[GUARD + l] == (sign ? -32767 : 32767), "%s: %ld", name, (long)got[GUARD + l]);
    }
}

static void check_small(const char *name, qd_small_fn *kernel) {
    static uint8_t w[MAX_PAIRS * 8];
    static int8_t plain[MAX_PAIRS * 16];
    static int16_t x[4 * 2 * MAX_PAIRS];
    for (int form = QD_SMALL_BITS; form <= QD_SMALL_INT4; form++) {
        const size_t pair_bytes = qd_small_pair_bytes((qd_small_form)form);
        for (size_t pixels = 1; pixels <= QD_TILE_PIXELS; pixels++) {
            for (size_t pairs = 1; pairs <= MAX_PAIRS; pairs += pairs < 70 ? 1 : 37) {
                const size_t stride = 2 * pairs + (size_t)random_in(0, 3);
                const int extreme = random_in(0, 3) == 0;
                random_bytes(w, sizeof w);
                for (size_t i = 0; form == QD_SMALL_TRITS && i < sizeof w; i++) { /* no sign without a mask */
                    if (i % 4 < 2) w[i] &= w[i + 2];
                }
                for (size_t i = 0; i < 16 * pairs; i++) {
                    const uint8_t *pair = w + i / 16 * pair_bytes;
                    const int bit = pair[i % 16 / 8] >> i % 8 & 1;
                    const int nibble = pair[i % 16 / 2] >> 4 * (i % 2) & 15;
                    if (form == QD_SMALL_INT4) plain[i] = (int8_t)((nibble ^ 8) - 8);
                    else if (form == QD_SMALL_MASKS) plain[i] = (int8_t)bit;
                    else plain[i] = (int8_t)(form == QD_SMALL_BITS || pair[2 + i % 16 / 8] >> i % 8 & 1 ? 1 - 2 * bit : 0);
                }
                for (size_t i = 0; i < sizeof x / sizeof *x; i++) x[i] = (int16_t)(extreme ? -32768 : random_in(-32768, 32767));
                reset_acc();
                if (stride * pixels > sizeof x / sizeof *x) continue;
                qd_conv_int8_ref(plain, pairs, x, stride, pixels, wanted + GUARD, ACC_STRIDE);
                kernel(w, (qd_small_form)form, pairs, x, stride, pixels, got + GUARD, ACC_STRIDE);
                CHECK(memcmp(wanted, got, sizeof got) == 0, "%s form %d pairs %zu pixels %zu extreme %d", name, form, pairs, pixels, extreme);
            }
        }
    }
}

static void check_depthwise(const char *name, qd_depthwise_fn *kernel) {
    static int8_t w[MAX_CHANNELS];
    static int16_t x[MAX_CHANNELS];
    static int32_t want[MAX_CHANNELS], sums[MAX_CHANNELS];
    for (size_t n = 1; n <= MAX_CHANNELS; n++) {
        random_bytes(w, sizeof w);
        random_bytes(x, sizeof x);
        if (n % 5 == 0) {
            memset(w, 0x80, sizeof w);
            for (size_t i = 0; i < n; i++) x[i] = -32768;
        }
        for (size_t i = 0; i < MAX_CHANNELS; i++) want[i] = sums[i] = random_in(-100000000, 100000000);
        for (size_t i = 0; i < n; i++) want[i] += w[i] * x[i];
        kernel(w, x, n, sums);
        CHECK(memcmp(want, sums, sizeof sums) == 0, "%s n %zu", name, n);
    }
}

static void check_pack(const char *name, qd_pack_fn *kernel) {
    static const int32_t extremes[] = {INT32_MIN, INT32_MIN + 1, -1, 0, 1, INT32_MAX - 1, INT32_MAX};
    int32_t acc[MAX_CHANNELS], thresholds[MAX_CHANNELS];
    for (size_t channels = 1; channels <= MAX_CHANNELS; channels++) {
        uint8_t want[MAX_CHANNELS], out[MAX_CHANNELS];
        for (size_t i = 0; i < channels; i++) { /* many ties */
            acc[i] = random_in(0, 4) == 0 ? extremes[random_in(0, 6)] : random_in(-3, 3);
            thresholds[i] = random_in(0, 4) == 0 ? extremes[random_in(0, 6)] : random_in(-3, 3);
        }
        memset(want, 0x5A, sizeof want);
        memset(out, 0x5A, sizeof out);
        qd_pack_ref(acc, thresholds, channels, want);
        kernel(acc, thresholds, channels, out);
        CHECK(memcmp(want, out, sizeof out) == 0, "%s channels %zu", name, channels);
    }
}

static void check_levels(const char *name, qd_levels_fn *kernel) {
    int32_t acc[MAX_CHANNELS], thresholds[MAX_CHANNELS];
    for (size_t channels = 1; channels <= MAX_CHANNELS - GUARD; channels++) {
        int8_t want[MAX_CHANNELS], out[MAX_CHANNELS];
        for (size_t i = 0; i < channels; i++) {
            acc[i] = random_in(-3, 3);
            thresholds[i] = random_in(0, 4) == 0 ? (random_in(0, 1) ? INT32_MAX : INT32_MIN) : random_in(-3, 3);
        }
        for (size_t i = 0; i < MAX_CHANNELS; i++) want[i] = out[i] = (int8_t)random_in(-127, 127);
        for (size_t i = 0; i < channels; i++) {
            if (acc[i] < thresholds[i]) want[i]--;
        }
        kernel(acc, thresholds, channels, out);
        CHECK(memcmp(want, out, sizeof out) == 0, "%s channels %zu", name, channels);
    }
}

/* Ordinary values with zeros of both signs, infinities, NaN and subnormals among them. */
static float some_float(void) {
    static const uint32_t special[] = {0, 0x80000000u, 0x7F800000u, 0xFF800000u, 0x7FC00000u, 1, 0x80000001u, 0x7F7FFFFFu};
    float value;
    if (random_in(0, 7) != 0) return (float)random_in(-1000000, 1000000) / 4096.0f;
    memcpy(&value, &special[random_in(0, 7)], 4);
    return value;
}

static void check_sign(const char *name, qd_sign_fn *kernel) {
    float in[MAX_CHANNELS];
    for (size_t channels = 1; channels <= MAX_CHANNELS; channels++) {
        uint8_t want[MAX_CHANNELS], out[MAX_CHANNELS];
        for (size_t i = 0; i < channels; i++) in[i] = some_float();
        memset(want, 0x5A, sizeof want);
        memset(out, 0x5A, sizeof out);
        qd_sign_ref(in, channels, want);
        kernel(in, channels, out);
        CHECK(memcmp(want, out, sizeof out) == 0, "%s channels %zu", name, channels);
    }
}

/* Equal bits, or both NaN: which NaN comes out is not part of the contract. */
static int same_floats(const float *a, const float *b, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (memcmp(a + i, b + i, 4) != 0 && (a[i] == a[i] || b[i] == b[i])) return 0;
    }
    return 1;
}

static void check_stream(const char *name, qd_stream_fn *kernel) {
    static float scale[MAX_CHANNELS], a[MAX_CHANNELS], b[MAX_CHANNELS], bias[MAX_CHANNELS], add[MAX_CHANNELS], in[MAX_CHANNELS];
    static float slope[MAX_CHANNELS];
    static int32_t acc[MAX_CHANNELS];
    for (int round = 0; round < 4000; round++) {
        const size_t channels = (size_t)random_in(1, round % 2 ? 40 : MAX_CHANNELS - GUARD);
        const uint32_t mask = random_u32();
        float want[MAX_CHANNELS], out[MAX_CHANNELS];
        qd_stream steps;
        for (size_t i = 0; i < channels; i++) {
            scale[i] = some_float();
            a[i] = some_float();
            b[i] = some_float();
            bias[i] = some_float();
            slope[i] = some_float();
            add[i] = some_float();
            in[i] = some_float();
            acc[i] = random_in(-(1 << 24), 1 << 24);
        }
        memset(&steps, 0, sizeof steps);
        if (mask & 1) steps.scale = scale;
        steps.first_relu = (int)(mask >> 13 & 1);
        if (mask & 2) steps.a = a, steps.b = b;
        if (mask & 4) steps.bias = bias;
        steps.scale_step = mask >> 3 & 1;
        steps.bias_step = mask >> 4 & 1;
        steps.relu = (int)(mask >> 5 & 1);
        steps.clip = (int)(mask >> 6 & 1);
        steps.low = mask & 512 ? 0.0f : -1.5f;
        steps.high = mask & 1024 ? 0.0f : 6.0f;
        if (mask & 2048) steps.slope = slope;
        steps.slope_step = mask >> 12 & 1;
        memset(want, 0x5A, sizeof want);
        memset(out, 0x5A, sizeof out);
        qd_stream_ref(&steps, mask & 128 ? acc : NULL, mask & 128 ? NULL : in, mask & 256 ? add : NULL, channels, want);
        kernel(&steps, mask & 128 ? acc : NULL, mask & 128 ? NULL : in, mask & 256 ? add : NULL, channels, out);
        CHECK(same_floats(want, out, channels), "%s channels %zu steps %x", name, channels, (unsigned)mask & 16383);
        CHECK(memcmp(want + channels, out + channels, (MAX_CHANNELS - channels) * 4) == 0, "%s writes past %zu", name, channels);
    }
}

/* Numbers beside every tie of many scales, and others. */
static void check_quantize(const char *name, qd_quantize_fn *kernel) {
    for (int round = 0; round < 400; round++) {
        const float near = ldexpf(1.0f + (float)random_in(0, (1 << 23) - 1) / 8388608.0f, round % 4 ? random_in(-9, 3) : random_in(-125, 126));
        const float scale = round % 16 == 1 ? ldexpf(1.0f, random_in(-60, 60)) : near;
        const int32_t low = round % 3 ? -128 : random_in(-9, 0), high = round % 3 ? 127 : random_in(1, 9);
        float in[MAX_CHANNELS];
        int8_t want[MAX_CHANNELS], out[MAX_CHANNELS];
        for (int tie = -130; tie < 130;) {
            const size_t n = (size_t)random_in(1, MAX_CHANNELS - GUARD);
            for (size_t i = 0; i < n; i++) {
                uint32_t bits;
                in[i] = ((float)tie + 0.5f) * scale;
                memcpy(&bits, &in[i], sizeof bits);
                bits += (uint32_t)random_in(-2, 2);
                memcpy(&in[i], &bits, sizeof bits);
                if (random_in(0, 15) == 0) in[i] = some_float();
                if (tie < 130) tie++;
            }
            memset(want, 0x5A, sizeof want);
            memset(out, 0x5A, sizeof out);
            qd_quantize_f32_i8_ref(in, n, scale, low, high, want);
            kernel(in, n, scale, low, high, out);
            CHECK(memcmp(want, out, sizeof out) == 0, "%s scale %a from %d to %d", name, (double)scale, (int)low, (int)high);
        }
    }
}

/* One check per kind; the extremes only exist for bits. */
#define CHECK_bits(name, function) check_bits(name, function), check_bits_extreme(name, function)
/* A whole convolution has a test of its own, test_conv.c. */
#define CHECK_map(name, function) (void)(function)
#define CHECK_trit_map(name, function) (void)(function)
#define CHECK_planes(name, function) (void)(function)
#define CHECK_pixels(name, function) (void)(function)
#define CHECK_bytes(name, function) (void)(function)
#define CHECK_int8(name, function) check_int8(name, function)
#define CHECK_trits(name, function) check_trits(name, function), check_trits_extreme(name, function)
#define CHECK_small(name, function) check_small(name, function)
#define CHECK_depthwise(name, function) check_depthwise(name, function)
#define CHECK_pack(name, function) check_pack(name, function)
#define CHECK_levels(name, function) check_levels(name, function)
#define CHECK_sign(name, function) check_sign(name, function)
#define CHECK_stream(name, function) check_stream(name, function)
#define CHECK_quantize(name, function) check_quantize(name, function)

int main(void) {
    const uint32_t cpu = qd_cpu_features();
#define QD_KERNEL(kind, family, needs, function)                            \
    if (((uint32_t)(needs) & ~cpu) == 0) CHECK_##kind(#function, function); \
    else printf("%s: not on this machine\n", #function);
#include "qd_kernels.def"
#undef QD_KERNEL
    return finish("kernels");
}
