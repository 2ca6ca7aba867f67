/* Pooling of signs: the maximum of a window is -1 (bit 1) only if all are (AND), the minimum if any is (OR). */
#include <string.h>

#include "qd_kernel.h"

/* Pixels of whole pieces of `bytes` bytes, 1, 2, 4 or 8; a constant where this is used, so that a piece is one register. */
static inline void pool(const size_t bytes, const qd_window *window, const uint8_t *in, size_t pixel, const uint8_t *mask, uint8_t *out) {
    for (size_t y = window->first; y < window->end; y++) {
        for (size_t x = 0; x < window->out_w; x++) {
            const qd_area area = qd_area_of(window, y, x);
            for (size_t j = 0; j < pixel; j += bytes, out += bytes) {
                uint64_t all = UINT64_MAX, any = 0, choice = 0;
                memcpy(&choice, mask + j, bytes);
                for (size_t iy = area.y0; iy < area.y1; iy++) {
                    QD_SMALL_LOOP for (size_t ix = area.x0; ix < area.x1; ix++) {
                        uint64_t piece = 0;
                        memcpy(&piece, in + (iy * window->w + ix) * pixel + j, bytes);
                        all &= piece;
                        any |= piece;
                    }
                }
                all = (all & ~choice) | (any & choice);
                memcpy(out, &all, bytes);
            }
        }
    }
}

void qd_bit_pool_ref(const qd_window *window, const uint8_t *in, size_t pixel, const uint8_t *mask, uint8_t *out) {
    switch (pixel) {
    case 1: pool(1, window, in, pixel, mask, out); break;
    case 2: pool(2, window, in, pixel, mask, out); break;
    case 4: pool(4, window, in, pixel, mask, out); break;
    default: pool(8, window, in, pixel, mask, out);
    }
}
