/* Levels with NEON: a comparison gives all ones, -1, where a threshold is not reached, which is what a level loses. */
#include "qd_kernel.h"

#if QD_NEON_KERNELS

#include "neon.h"

QD_NEON_TARGET void qd_levels_neon(const int32_t *acc, const int32_t *thresholds, size_t channels, int8_t *levels) {
    size_t i = 0;
    for (; i + 8 <= channels; i += 8) {
        const uint32x4_t low = vcltq_s32(vld1q_s32(acc + i), vld1q_s32(thresholds + i));
        const uint32x4_t high = vcltq_s32(vld1q_s32(acc + i + 4), vld1q_s32(thresholds + i + 4));
        const uint8x8_t less = vmovn_u16(vcombine_u16(vmovn_u32(low), vmovn_u32(high)));
        vst1_s8(levels + i, vadd_s8(vld1_s8(levels + i), vreinterpret_s8_u8(less)));
    }
    if (i < channels) qd_levels_ref(acc + i, thresholds + i, channels - i, levels + i);
}

#endif
