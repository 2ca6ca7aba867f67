/* Maximum of a window by the comparison that torch uses. */
#include "qd_kernel.h"

void qd_max_pool_ref(const qd_window *window, const float *in, size_t channels, float *out) {
    for (size_t y = 0; y < window->out_h; y++) {
        for (size_t x = 0; x < window->out_w; x++) {
            const float *first = in + (y * window->stride_h * window->w + x * window->stride_w) * channels;
            for (size_t c = 0; c < channels; c++) out[c] = first[c];
            for (size_t ky = 0; ky < window->kernel_h; ky++) {
                for (size_t kx = 0; kx < window->kernel_w; kx++) { /* a tap at a time, so that channels lie side by side */
                    const float *in_tap = first + (ky * window->w + kx) * channels;
                    for (size_t c = 0; c < channels; c++) out[c] = in_tap[c] > out[c] ? in_tap[c] : out[c];
                }
            }
            out += channels;
        }
    }
}
