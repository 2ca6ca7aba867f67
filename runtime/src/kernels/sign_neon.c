/*
 * Signs with NEON, 16 at a time: 1 where a value is not at least 0, which NaN is not either. On 32-bit Arm by integers: there a comparison takes
 * negative subnormal numbers for 0. As an unsigned number, what is not at least 0 is above infinity, and is not -0.0.
 */
#include "qd_kernel.h"

#if QD_NEON_KERNELS

#include "neon.h"

QD_NEON_INLINE uint32x4_t negative(float32x4_t v) {
#if defined(__aarch64__)
    return vmvnq_u32(vcgezq_f32(v));
#else
    const uint32x4_t bits = vreinterpretq_u32_f32(v);
    return vbicq_u32(vcgtq_u32(bits, vdupq_n_u32(0x7F800000)), vceqq_u32(bits, vdupq_n_u32(0x80000000)));
#endif
}

QD_NEON_INLINE uint16x8_t eight(const float *in) {
    return vcombine_u16(vmovn_u32(negative(vld1q_f32(in))), vmovn_u32(negative(vld1q_f32(in + 4))));
}

QD_NEON_TARGET void qd_sign_neon(const float *in, size_t channels, uint8_t *out) {
    size_t i = 0;
    for (; i + 16 <= channels; i += 16) {
        const uint16x8_t masks[2] = {eight(in + i), eight(in + i + 8)};
        const uint16_t bits = vget_lane_u16(qd_pack_masks(1, masks), 0);
        memcpy(out + i / 8, &bits, 2);
    }
    if (i < channels) qd_sign_ref(in + i, channels - i, out + i / 8);
}

#endif
