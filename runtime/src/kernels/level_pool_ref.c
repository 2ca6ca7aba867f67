/* Pooling of levels: the maximum of a window, or the minimum. */
#include "qd_kernel.h"

void qd_level_pool_ref(const qd_window *window, const int8_t *in, size_t channels, const uint8_t *mask, int8_t *out) {
    for (size_t y = window->first; y < window->end; y++) {
        for (size_t x = 0; x < window->out_w; x++) {
            const qd_area area = qd_area_of(window, y, x);
            for (size_t c = 0; c < channels; c++) {
                const int minimum = mask[c / 8] >> c % 8 & 1;
                int8_t m = in[(area.y0 * window->w + area.x0) * channels + c];
                for (size_t iy = area.y0; iy < area.y1; iy++) {
                    for (size_t ix = area.x0; ix < area.x1; ix++) {
                        const int8_t v = in[(iy * window->w + ix) * channels + c];
                        if (minimum ? v < m : v > m) m = v;
                    }
                }
                *out++ = m;
            }
        }
    }
}
