/* Thresholds with NEON: eight comparisons, each masked to its own bit, are added up to one byte. */
#include "qd_kernel.h"

#if QD_NEON_KERNELS

#include "neon.h"

QD_NEON_TARGET void qd_pack_neon(const int32_t *acc, const int32_t *thresholds, size_t channels, uint8_t *out) {
    static const uint16_t places[8] = {1, 2, 4, 8, 16, 32, 64, 128};
    const uint16x8_t place = vld1q_u16(places);
    size_t i = 0;
    for (; i + 8 <= channels; i += 8) {
        const uint32x4_t low = vcltq_s32(vld1q_s32(acc + i), vld1q_s32(thresholds + i));
        const uint32x4_t high = vcltq_s32(vld1q_s32(acc + i + 4), vld1q_s32(thresholds + i + 4));
        const uint16x8_t less = vcombine_u16(vmovn_u32(low), vmovn_u32(high));
        out[i / 8] = (uint8_t)qd_sum(vandq_u16(less, place));
    }
    if (i < channels) qd_pack_ref(acc + i, thresholds + i, channels - i, out + i / 8);
}

#endif
