/* Pooling of signs: the maximum of a window is -1 (bit 1) only if all are (AND), the minimum if any is (OR). */
#include "qd_kernel.h"

void qd_bit_pool_ref(const qd_window *window, const uint8_t *in, size_t pixel, const uint8_t *mask, uint8_t *out) {
    for (size_t y = 0; y < window->out_h; y++) {
        for (size_t x = 0; x < window->out_w; x++) {
            const uint8_t *first = in + (y * window->stride_h * window->w + x * window->stride_w) * pixel;
            for (size_t j = 0; j < pixel; j++) {
                unsigned all = 0xFF, any = 0;
                for (size_t ky = 0; ky < window->kernel_h; ky++) {
                    for (size_t kx = 0; kx < window->kernel_w; kx++) {
                        const unsigned byte = first[(ky * window->w + kx) * pixel + j];
                        all &= byte;
                        any |= byte;
                    }
                }
                *out++ = (uint8_t)((all & ~(unsigned)mask[j]) | (any & mask[j]));
            }
        }
    }
}
