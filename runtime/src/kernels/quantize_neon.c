/*
 * Rounding to bytes with NEON, by multiplication: a division takes the A72 as long as 18 other operations. r = 1/s is the nearest to it; q = x r corrected by
 * what a fused multiplication finds missing, (x - q s) r, is one of the two numbers beside x/s, and the same once more is x/s rounded, as a division
 * gives it (Markstein). That needs x, s and r far from the ends of their range: x is clamped before, other scales go to the reference.
 */
#include "qd_kernel.h"

#if defined(__aarch64__)

#include "neon.h"

/* Four quotients rounded to integers, ties to even; limits[0] takes the place of what is less, and of NaN, limits[1] of what is more. */
QD_NEON_INLINE int32x4_t divide(float32x4_t x, float32x4_t scale, float32x4_t inverse, const float32x4_t *limits) {
    float32x4_t q;
    x = vbslq_f32(vcgtq_f32(x, limits[0]), x, limits[0]);
    x = vbslq_f32(vcltq_f32(x, limits[1]), x, limits[1]);
    q = vmulq_f32(x, inverse);
    q = vfmaq_f32(q, vfmsq_f32(x, q, scale), inverse);
    q = vfmaq_f32(q, vfmsq_f32(x, q, scale), inverse);
    return vcvtnq_s32_f32(q);
}

void qd_quantize_neon(const float *in, size_t n, float scale, int32_t low, int32_t high, int8_t *out) {
    const float smallest = 1e-18f, largest = 1e18f;
    size_t i = 0;
    if (scale >= smallest && scale <= largest) {
        const float32x4_t s = vdupq_n_f32(scale), inverse = vdupq_n_f32(1.0f / scale);
        const float32x4_t limits[2] = {vdupq_n_f32((float)(low - 1) * scale), vdupq_n_f32((float)(high + 1) * scale)};
        const int8x16_t least = vdupq_n_s8((int8_t)low), most = vdupq_n_s8((int8_t)high);
        for (; i + 16 <= n; i += 16) {
            int16x4_t v[4];
            int8x16_t bytes;
            _Pragma("GCC unroll 4") for (size_t k = 0; k < 4; k++) v[k] = vqmovn_s32(divide(vld1q_f32(in + i + 4 * k), s, inverse, limits));
            bytes = vcombine_s8(vqmovn_s16(vcombine_s16(v[0], v[1])), vqmovn_s16(vcombine_s16(v[2], v[3])));
            vst1q_s8(out + i, vminq_s8(vmaxq_s8(bytes, least), most));
        }
    }
    qd_quantize_f32_i8_ref(in + i, n - i, scale, low, high, out + i);
}

#else
typedef int qd_quantize_neon_is_for_aarch64;
#endif
