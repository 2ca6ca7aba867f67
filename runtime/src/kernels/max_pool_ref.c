/* Maximum of a window by the comparison that torch uses. */
#include "qd_kernel.h"

/* Channels that compilers keep in registers over all taps of a window. */
enum { BLOCK = 16 };

/* n channels, at most BLOCK, of an output pixel; `first`: at the window's first tap. */
static inline void pool(const qd_window *window, const qd_area *area, const float *first, size_t channels, size_t n, float *out) {
    float most[BLOCK];
    for (size_t c = 0; c < n; c++) most[c] = first[c];
    for (size_t y = 0; y < area->y1 - area->y0; y++) {
        for (size_t x = 0; x < area->x1 - area->x0; x++) {
            const float *tap = first + (y * window->w + x) * channels;
            for (size_t c = 0; c < n; c++) most[c] = tap[c] > most[c] ? tap[c] : most[c];
        }
    }
    for (size_t c = 0; c < n; c++) out[c] = most[c];
}

void qd_max_pool_ref(const qd_window *window, const float *in, size_t channels, float *out) {
    for (size_t y = window->first; y < window->end; y++) {
        for (size_t x = 0; x < window->out_w; x++, out += channels) {
            const qd_area area = qd_area_of(window, y, x);
            const float *first = in + (area.y0 * window->w + area.x0) * channels;
            size_t c = 0;
            for (; c + BLOCK <= channels; c += BLOCK) pool(window, &area, first + c, channels, BLOCK, out + c);
            if (c < channels) pool(window, &area, first + c, channels, channels - c, out + c);
        }
    }
}
