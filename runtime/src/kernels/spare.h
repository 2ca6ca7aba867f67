/* Spare bytes of output pixels. */
#ifndef QD_SPARE_H
#define QD_SPARE_H

#include <string.h>

#include "qd_kernel.h"

/* Bytes from `used` on of every output pixel. */
static inline void qd_clear_spare(const qd_map *m, uint8_t *out, size_t pixel, size_t used) {
    if (!out || used >= pixel) return;
    for (size_t r = 0; r < m->n_rows; r++) {
        QD_SMALL_LOOP for (size_t i = m->rows[r].begin * m->out_w; i < m->rows[r].end * m->out_w; i++) memset(out + i * pixel + used, 0, pixel - used);
    }
}

/* Of an output of bits. */
static inline void qd_clear_spare_bits(const qd_map *m, size_t used) {
    if (m->thresholds) qd_clear_spare(m, m->out, m->out_pixel, used);
}

/* Of the signs of a stream. */
static inline void qd_clear_spare_signs(const qd_map *m, size_t used) { qd_clear_spare(m, m->signs, m->sign_pixel, used); }

#endif
