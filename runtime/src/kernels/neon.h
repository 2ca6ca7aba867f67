/* What the NEON kernels share: bits of masks, the output of whole convolutions. */
#ifndef QD_NEON_H
#define QD_NEON_H

#include <arm_neon.h>
#include <string.h>

#include "qd_kernel.h"

#define QD_NEON_INLINE static inline __attribute__((always_inline))

/* masks[2 * pixel + half]: all ones or nothing for each of 16 channels of P pixels, of which there are 1 or 4. Gives 16 bits a pixel. */
QD_NEON_INLINE uint16x4_t qd_pack_masks(const size_t P, const uint16x8_t *masks) {
    static const uint16_t places[8] = {1, 2, 4, 8, 16, 32, 64, 128};
    const uint16x8_t place = vld1q_u16(places);
    uint16x8_t v[4];
    _Pragma("GCC unroll 4") for (size_t p = 0; p < 4; p++) {
        v[p] = p < P ? vpaddq_u16(vandq_u16(masks[2 * p], place), vandq_u16(masks[2 * p + 1], place)) : v[0];
    }
    return vreinterpret_u16_u8(vmovn_u16(vpaddq_u16(vpaddq_u16(v[0], v[1]), vpaddq_u16(v[2], v[3]))));
}

/* Accumulators of 16 channels from c on of one pixel of a convolution's output, or the stream that they become. In stream_neon.c. */
void qd_neon_store_values(const qd_map *m, size_t c, const int32_t *acc, size_t pixel);

/* How many output pixels there are. */
QD_NEON_INLINE size_t qd_map_pixels(const qd_map *m) {
    size_t rows = 0;
    QD_SMALL_LOOP for (size_t r = 0; r < m->n_rows; r++) rows += m->rows[r].end - m->rows[r].begin;
    return rows * m->out_w;
}

/* Zeros in the bytes of output bits that no 16 channels reach. */
QD_NEON_INLINE void qd_clear_spare(const qd_map *m) {
    const size_t used = (m->out_channels + 15) / 16 * 2;
    if (!m->thresholds || m->out_pixel <= used) return;
    for (size_t r = 0; r < m->n_rows; r++) {
        for (size_t i = m->rows[r].begin * m->out_w; i < m->rows[r].end * m->out_w; i++) {
            memset(m->out + i * m->out_pixel + used, 0, m->out_pixel - used);
        }
    }
}

#endif
