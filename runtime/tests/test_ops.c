/* Small hand-made cases of the operators that have one kernel only. */
#include <math.h>

#include "kernels/qd_kernel.h"
#include "test.h"

static void signs(void) {
    const float in[9] = {-1.0f, 1.0f, 0.0f, -0.0f, NAN, -INFINITY, INFINITY, -1e-45f, -2.0f};
    uint8_t out[2];
    qd_sign_ref(in, 9, out);
    CHECK(out[0] == 0xB1 && out[1] == 1, "%02x %02x", out[0], out[1]);
}

static void quantize(void) {
    const float in[10] = {0.5f, 1.5f, 2.5f, -0.5f, -1.5f, 1e30f, -INFINITY, NAN, 99.4f, -2.51f};
    const int8_t want[10] = {0, 2, 2, 0, -2, 100, -100, -100, 99, -3};
    const int32_t integers[4] = {3, 5, -3, INT32_MAX};
    const int16_t want16[4] = {2, 2, -2, 32767};
    int8_t out[10];
    int16_t out16[4];
    qd_quantize_f32_i8_ref(in, 10, 1.0f, -100, 100, out);
    for (int i = 0; i < 10; i++) CHECK(out[i] == want[i], "%d: %d", i, out[i]);
    qd_quantize_i32_i16_ref(integers, 4, 2.0f, -32768, 32767, out16);
    for (int i = 0; i < 4; i++) CHECK(out16[i] == want16[i], "%d: %d", i, out16[i]);
    qd_quantize_f32_i8_ref(in, 1, 1e-45f, -128, 127, out);
    CHECK(out[0] == 127, "overflow to infinity: %d", out[0]);
}

static void pools(void) {
    const qd_window window = {2, 3, 0, 1, 2, 2, 2, 1, 1, 0, 0};
    const uint8_t bits[6] = {0xF, 0x7, 0x3, 0xF, 0xE, 0x1}, mask[1] = {0xA};
    const float reals[6] = {1.0f, NAN, 3.0f, -0.0f, 5.0f, -2.0f};
    const int8_t small[6] = {-128, 127, -128, 127, -128, 0};
    const int16_t large[4] = {-32768, 1, -32768, 2};
    const uint8_t minimum[1] = {1};
    int8_t levels[2];
    uint8_t out[2];
    float most[2];
    int32_t sums[2];
    qd_bit_pool_ref(&window, bits, 1, mask, out);
    CHECK(out[0] == ((0x6 & 0x5) | (0xF & 0xA)), "%02x", out[0]); /* and of 15, 7, 15, 14 is 6; or is 15 */
    CHECK(out[1] == (0 | (0xF & 0xA)), "%02x", out[1]);
    qd_level_pool_ref(&window, small, 1, mask, levels);
    CHECK(levels[0] == 127 && levels[1] == 127, "maxima: %d %d", levels[0], levels[1]);
    qd_level_pool_ref(&window, small, 1, minimum, levels);
    CHECK(levels[0] == -128 && levels[1] == -128, "minima: %d %d", levels[0], levels[1]);
    qd_max_pool_ref(&window, reals, 1, most);
    CHECK(most[0] == 5.0f, "%g", (double)most[0]);
    CHECK(most[1] != most[1], "a NaN that comes first stays: %g", (double)most[1]);
    qd_sum_pool_i8_ref(small, 3, 2, sums);
    CHECK(sums[0] == -384 && sums[1] == 254, "%ld %ld", (long)sums[0], (long)sums[1]);
    qd_sum_pool_i16_ref(large, 2, 2, sums);
    CHECK(sums[0] == -65536 && sums[1] == 3, "%ld %ld", (long)sums[0], (long)sums[1]);
}

static void first_of_the_largest(void) {
    const int32_t words[8] = {INT32_MIN, 7, 7, -1, 0, 0, 0, 0};
    const float reals[12] = {-1.0f, -0.0f, 0.0f, -2.0f, NAN, 5.0f, INFINITY, 0.0f, -3.0f, NAN, 1.0f, 1.0f};
    int32_t out[3];
    qd_arg_max_i32_ref(words, 2, 4, out);
    CHECK(out[0] == 1 && out[1] == 0, "%ld %ld", (long)out[0], (long)out[1]);
    qd_arg_max_i32_ref(words, 3, 1, out);
    CHECK(out[0] == 0 && out[2] == 0, "one channel: %ld %ld", (long)out[0], (long)out[2]);
    qd_arg_max_f32_ref(reals, 3, 4, out);
    CHECK(out[0] == 1, "0 is not larger than -0: %ld", (long)out[0]);
    CHECK(out[1] == 0 && out[2] == 2, "a NaN stays only in front: %ld %ld", (long)out[1], (long)out[2]);
}

/* Every pair of digits, side by side: -1 0 1 with -1 0 1. */
static void pools_of_digits(void) {
    const qd_window window = {1, 2, 0, 1, 1, 1, 2, 1, 1, 0, 0};
    const uint8_t maximum[2] = {0, 0}, minimum[2] = {0xFF, 1};
    int8_t digits[2][9], want[2][9];
    uint8_t in[8], out[4], packed[4];
    for (int i = 0; i < 9; i++) {
        digits[0][i] = (int8_t)(i % 3 - 1);
        digits[1][i] = (int8_t)(i / 3 - 1);
        want[0][i] = digits[0][i] > digits[1][i] ? digits[0][i] : digits[1][i];
        want[1][i] = digits[0][i] < digits[1][i] ? digits[0][i] : digits[1][i];
    }
    qd_pack_trits_ref(digits[0], 9, in);
    qd_pack_trits_ref(digits[1], 9, in + 4);
    CHECK(in[0] == 0x49 && in[1] == 0x6D && in[2] == 0 && in[3] == 1, "%02x %02x %02x %02x", in[0], in[1], in[2], in[3]);
    for (int k = 0; k < 2; k++) {
        qd_trit_pool_ref(&window, in, 4, k ? minimum : maximum, out);
        qd_pack_trits_ref(want[k], 9, packed);
        CHECK(memcmp(out, packed, 4) == 0, "pool of digits %d", k);
    }
}

static void concatenation(void) {
    const uint8_t a[4] = {1, 2, 3, 4}, b[2] = {9, 8};
    const uint8_t want[6] = {1, 2, 9, 3, 4, 8};
    uint8_t out[6];
    qd_concat_ref(a, 2, 2, out, 3);
    qd_concat_ref(b, 2, 1, out + 2, 3);
    CHECK(memcmp(out, want, 6) == 0, "order");
}

static void streams(void) {
    const float scale[1] = {0.5f}, a[3] = {2.0f, 2.0f, 2.0f}, b[3] = {1.0f, -100.0f, 0.0f}, add[3] = {0.5f, 0.5f, NAN};
    const int32_t acc[3] = {4, 4, 4};
    float out[3];
    qd_stream steps;
    memset(&steps, 0, sizeof steps);
    steps.scale = scale;
    steps.a = a;
    steps.b = b;
    steps.relu = steps.clip = 1;
    steps.low = 0.25f;
    steps.high = 5.0f;
    qd_stream_ref(&steps, acc, NULL, add, 3, out);
    CHECK(out[0] == 5.0f && out[1] == 0.25f && out[2] != out[2], "%g %g %g: NaN stays NaN, as in torch", (double)out[0], (double)out[1], (double)out[2]);
}

/* Each step where it stands: the same values with the ReLU at the front, at the back and at both; -0.0 and NaN pass. */
static void two_relus(void) {
    const float in[6] = {-3.0f, 3.0f, -0.0f, NAN, -INFINITY, 0.0f};
    const float scale[1] = {-1.0f}, a[6] = {-2.0f, -2.0f, -2.0f, -2.0f, -2.0f, -2.0f}, b[6] = {1.0f, 1.0f, -0.0f, 1.0f, 1.0f, -0.0f};
    static const float want[4][5] = {{-5.0f, 7.0f, -0.0f, 0, -INFINITY}, {-5.0f, 1.0f, -0.0f, 0, -INFINITY},
                                     {0.0f, 7.0f, -0.0f, 0, 0.0f}, {0.0f, 1.0f, -0.0f, 0, 0.0f}};
    for (int i = 0; i < 4; i++) {
        float out[6];
        qd_stream steps;
        memset(&steps, 0, sizeof steps);
        steps.scale = scale;
        steps.first_relu = i & 1;
        steps.a = a;
        steps.b = b;
        steps.relu = i >> 1;
        qd_stream_ref(&steps, NULL, in, NULL, 6, out);
        CHECK(memcmp(out, want[i], 12) == 0 && out[3] != out[3] && out[4] == want[i][4], "%d: %g %g %g %g %g", i, (double)out[0],
              (double)out[1], (double)out[2], (double)out[3], (double)out[4]);
        CHECK(memcmp(out + 5, in + 5, 4) == 0, "-0.0 stays at %d: %g", i, (double)out[5]); /* -0.0 * -2 + -0.0 */
    }
}

/* Bit patterns: a slope with its sign bit set gives zeros the other sign, products round to subnormals, NaN stays. */
static void slopes(void) {
    static const uint32_t in[9] = {0, 0x80000000u, 0x3F800000u, 0xBF800000u, 0x80000003u, 0x00000001u, 0xFF7FFFFFu, 0xFF800000u, 0x7FC00000u};
    static const struct {
        float slope;
        uint32_t want[8];
    } rows[] = {
        {0.5f, {0, 0x80000000u, 0x3F800000u, 0xBF000000u, 0x80000002u, 1, 0xFEFFFFFFu, 0xFF800000u}},
        {-0.5f, {0x80000000u, 0, 0x3F800000u, 0x3F000000u, 2, 1, 0x7EFFFFFFu, 0x7F800000u}},
        {2.0f, {0, 0x80000000u, 0x3F800000u, 0xC0000000u, 0x80000006u, 1, 0xFF800000u, 0xFF800000u}},
        {0.0f, {0, 0x80000000u, 0x3F800000u, 0x80000000u, 0x80000000u, 1, 0x80000000u, 0}},
        {-0.0f, {0x80000000u, 0, 0x3F800000u, 0, 0, 1, 0, 0}},
    };
    float values[9], out[9];
    memcpy(values, in, sizeof values);
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        const size_t finite = r < 3 ? 8 : 7; /* 0 times an infinity is NaN */
        qd_stream steps;
        memset(&steps, 0, sizeof steps);
        steps.slope = &rows[r].slope;
        qd_stream_ref(&steps, NULL, values, NULL, 9, out);
        CHECK(memcmp(out, rows[r].want, 4 * finite) == 0, "slope %g", (double)rows[r].slope);
        CHECK(out[8] != out[8] && (finite == 8 || out[7] != out[7]), "slope %g: NaN stays NaN", (double)rows[r].slope);
    }
}

int main(void) {
    signs();
    quantize();
    pools();
    first_of_the_largest();
    pools_of_digits();
    concatenation();
    streams();
    two_relus();
    slopes();
    return finish("ops");
}
