/* Signs with NEON, 16 at a time: 1 where a value is not at least 0, which NaN is not either. */
#if defined(__aarch64__)

#include "neon.h"

QD_NEON_INLINE uint16x8_t eight(const float *in) {
    return vcombine_u16(vmovn_u32(vmvnq_u32(vcgezq_f32(vld1q_f32(in)))), vmovn_u32(vmvnq_u32(vcgezq_f32(vld1q_f32(in + 4)))));
}

void qd_sign_neon(const float *in, size_t channels, uint8_t *out) {
    size_t i = 0;
    for (; i + 16 <= channels; i += 16) {
        const uint16x8_t negative[2] = {eight(in + i), eight(in + i + 8)};
        const uint16_t bits = vget_lane_u16(qd_pack_masks(1, negative), 0);
        memcpy(out + i / 8, &bits, 2);
    }
    if (i < channels) qd_sign_ref(in + i, channels - i, out + i / 8);
}

#else
typedef int qd_sign_neon_is_for_aarch64;
#endif
