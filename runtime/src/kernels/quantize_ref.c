/* Rounding to small integers: one division in binary32, ties to even. */
#include "../qd_math.h"
#include "qd_kernel.h"

/* low and high fit 16 bits, so binary32 holds them exactly and clamping before the conversion is safe. */
static int32_t quantize(float x, float scale, int32_t low, int32_t high) {
    const float v = qd_round_half_even(x / scale);
    if (!(v > (float)low)) return low;
    if (v > (float)high) return high;
    return (int32_t)v;
}

void qd_quantize_f32_i8_ref(const float *in, size_t n, float scale, int32_t low, int32_t high, int8_t *out) {
    for (size_t i = 0; i < n; i++) out[i] = (int8_t)quantize(in[i], scale, low, high);
}

void qd_quantize_f32_i16_ref(const float *in, size_t n, float scale, int32_t low, int32_t high, int16_t *out) {
    for (size_t i = 0; i < n; i++) out[i] = (int16_t)quantize(in[i], scale, low, high);
}

void qd_quantize_i32_i8_ref(const int32_t *in, size_t n, float scale, int32_t low, int32_t high, int8_t *out) {
    for (size_t i = 0; i < n; i++) out[i] = (int8_t)quantize((float)in[i], scale, low, high);
}

void qd_quantize_i32_i16_ref(const int32_t *in, size_t n, float scale, int32_t low, int32_t high, int16_t *out) {
    for (size_t i = 0; i < n; i++) out[i] = (int16_t)quantize((float)in[i], scale, low, high);
}
