/* Rounding to small integers: one division in binary32, ties to even. */
#include "qd_kernel.h"

/*
 * low and high are whole numbers of 16 bits, so clamping before rounding gives the same as after it; what is left is so small
 * that adding 1.5 * 2^23 puts its last place at 1, on either side of 0. No branches: compilers make vectors of it.
 */
static inline int32_t quantize(float x, float scale, int32_t low, int32_t high) {
    const float magic = 12582912.0f, bottom = (float)low, top = (float)high;
    float v = x / scale;
    v = v > bottom ? v : bottom; /* a NaN too */
    v = v < top ? v : top;
    v = v + magic;
    return (int32_t)(v - magic);
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
