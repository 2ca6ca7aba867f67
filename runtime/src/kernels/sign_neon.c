/* Signs with NEON: 1 where a value is not at least 0, which NaN is not either; each lane is masked to its own bit, eight are added up to one byte. */
#if defined(__aarch64__)

#include "neon.h"

void qd_sign_neon(const float *in, size_t channels, uint8_t *out) {
    static const uint16_t places[8] = {1, 2, 4, 8, 16, 32, 64, 128};
    const uint16x8_t place = vld1q_u16(places);
    size_t i = 0;
    for (; i + 8 <= channels; i += 8) {
        const uint32x4_t low = vcgezq_f32(vld1q_f32(in + i)), high = vcgezq_f32(vld1q_f32(in + i + 4));
        const uint16x8_t positive = vcombine_u16(vmovn_u32(low), vmovn_u32(high));
        out[i / 8] = (uint8_t)vaddvq_u16(vbicq_u16(place, positive));
    }
    if (i < channels) qd_sign_ref(in + i, channels - i, out + i / 8);
}

#else
typedef int qd_sign_neon_is_for_aarch64;
#endif
