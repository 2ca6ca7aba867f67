/* Pooling of ternary digits: the maximum of a window is -1 only if all are and +1 if any is; the minimum is the opposite. */
#include "qd_kernel.h"

void qd_trit_pool_ref(const qd_window *window, const uint8_t *in, size_t pixel, const uint8_t *mask, uint8_t *out) {
    for (size_t y = window->first; y < window->end; y++) {
        for (size_t x = 0; x < window->out_w; x++) {
            const qd_area area = qd_area_of(window, y, x);
            for (size_t j = 0; j < pixel; j += 2) {
                unsigned all_minus = 0xFF, any_minus = 0, all_plus = 0xFF, any_plus = 0, minus, plus;
                for (size_t iy = area.y0; iy < area.y1; iy++) {
                    QD_SMALL_LOOP for (size_t ix = area.x0; ix < area.x1; ix++) {
                        const uint8_t *at = in + (iy * window->w + ix) * pixel + j;
                        const unsigned positive = at[1] & ~(unsigned)at[0];
                        all_minus &= at[0];
                        any_minus |= at[0];
                        all_plus &= positive;
                        any_plus |= positive;
                    }
                }
                minus = (all_minus & ~(unsigned)mask[j / 2]) | (any_minus & mask[j / 2]);
                plus = (any_plus & ~(unsigned)mask[j / 2]) | (all_plus & mask[j / 2]);
                *out++ = (uint8_t)minus;
                *out++ = (uint8_t)(minus | plus);
            }
        }
    }
}
