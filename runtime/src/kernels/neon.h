/* What the NEON kernels share: bits of masks, the output of whole convolutions, and the names of AArch64 on 32-bit Arm. */
#ifndef QD_NEON_H
#define QD_NEON_H

#include <arm_neon.h>
#include <string.h>

#include "spare.h"

#if defined(__ARM_NEON)
#define QD_NEON_TARGET
#elif defined(__clang__)
#define QD_NEON_TARGET __attribute__((target("neon")))
#else
#define QD_NEON_TARGET __attribute__((target("fpu=neon")))
#endif
#define QD_NEON_INLINE QD_NEON_TARGET static inline __attribute__((always_inline))

/* Sums of neighbours: first those of a, then those of b. */
QD_NEON_INLINE uint16x8_t qd_pairs(uint16x8_t a, uint16x8_t b) {
#if defined(__aarch64__)
    return vpaddq_u16(a, b);
#else
    return vcombine_u16(vpadd_u16(vget_low_u16(a), vget_high_u16(a)), vpadd_u16(vget_low_u16(b), vget_high_u16(b)));
#endif
}

/* The sum of all lanes. */
QD_NEON_INLINE uint16_t qd_sum(uint16x8_t v) {
#if defined(__aarch64__)
    return vaddvq_u16(v);
#else
    const uint16x4_t four = vadd_u16(vget_low_u16(v), vget_high_u16(v)), two = vpadd_u16(four, four);
    return vget_lane_u16(vpadd_u16(two, two), 0);
#endif
}

/* masks[2 * pixel + half]: all ones or nothing for each of 16 channels of P pixels, of which there are 1 or 4. Gives 16 bits a pixel. */
QD_NEON_INLINE uint16x4_t qd_pack_masks(const size_t P, const uint16x8_t *masks) {
    static const uint16_t places[8] = {1, 2, 4, 8, 16, 32, 64, 128};
    const uint16x8_t place = vld1q_u16(places);
    uint16x8_t v[4];
    _Pragma("GCC unroll 4") for (size_t p = 0; p < 4; p++) {
        v[p] = p < P ? qd_pairs(vandq_u16(masks[2 * p], place), vandq_u16(masks[2 * p + 1], place)) : v[0];
    }
    return vreinterpret_u16_u8(vmovn_u16(qd_pairs(qd_pairs(v[0], v[1]), qd_pairs(v[2], v[3]))));
}

/* 16 bits, channels from c on, of each of four output pixels of so many bytes; those of channels that are not there are 0. */
QD_NEON_INLINE void qd_neon_store_bits(uint8_t *const *out, size_t out_pixel, size_t c, uint16x4_t bits) {
    if (out_pixel == 1) {
        uint16_t words[4];
        vst1_u16(words, bits);
        for (size_t p = 0; p < 4; p++) *out[p] = (uint8_t)words[p];
    } else {
        vst1_lane_u16((uint16_t *)(void *)(out[0] + c / 8), bits, 0);
        vst1_lane_u16((uint16_t *)(void *)(out[1] + c / 8), bits, 1);
        vst1_lane_u16((uint16_t *)(void *)(out[2] + c / 8), bits, 2);
        vst1_lane_u16((uint16_t *)(void *)(out[3] + c / 8), bits, 3);
    }
}

/* Accumulators of 16 channels from c on of one pixel of a convolution's output, or the stream that they become. In stream_neon.c. */
void qd_neon_store_values(const qd_map *m, size_t c, const int32_t *acc, size_t pixel);

/* How many output pixels there are. */
QD_NEON_INLINE size_t qd_map_pixels(const qd_map *m) {
    size_t rows = 0;
    QD_SMALL_LOOP for (size_t r = 0; r < m->n_rows; r++) rows += m->rows[r].end - m->rows[r].begin;
    return rows * m->out_w;
}

#endif
