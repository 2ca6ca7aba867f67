/* Pooling of levels: the maximum of a window, or the minimum. */
#include "qd_kernel.h"

void qd_level_pool_ref(const qd_window *window, const int8_t *in, size_t channels, const uint8_t *mask, int8_t *out) {
    for (size_t y = 0; y < window->out_h; y++) {
        for (size_t x = 0; x < window->out_w; x++) {
            const int8_t *first = in + (y * window->stride_h * window->w + x * window->stride_w) * channels;
            for (size_t c = 0; c < channels; c++) {
                const int minimum = mask[c / 8] >> c % 8 & 1;
                int8_t m = first[c];
                for (size_t ky = 0; ky < window->kernel_h; ky++) {
                    for (size_t kx = 0; kx < window->kernel_w; kx++) {
                        const int8_t v = first[(ky * window->w + kx) * channels + c];
                        if (minimum ? v < m : v > m) m = v;
                    }
                }
                *out++ = m;
            }
        }
    }
}
