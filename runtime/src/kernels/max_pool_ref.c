/* Maximum of a window by the comparison that torch uses. */
#include "qd_kernel.h"

void qd_max_pool_ref(const qd_window *window, const float *in, size_t channels, float *out) {
    for (size_t y = window->first; y < window->end; y++) {
        for (size_t x = 0; x < window->out_w; x++) {
            const qd_area area = qd_area_of(window, y, x);
            const float *first = in + (area.y0 * window->w + area.x0) * channels;
            for (size_t c = 0; c < channels; c++) out[c] = first[c];
            for (size_t iy = area.y0; iy < area.y1; iy++) {
                for (size_t ix = area.x0; ix < area.x1; ix++) { /* a tap at a time, so that channels lie side by side */
                    const float *in_tap = in + (iy * window->w + ix) * channels;
                    for (size_t c = 0; c < channels; c++) out[c] = in_tap[c] > out[c] ? in_tap[c] : out[c];
                }
            }
            out += channels;
        }
    }
}
