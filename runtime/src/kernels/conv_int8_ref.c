/* Integer inner product, one pair of terms at a time for eight output channels. */
#include "qd_kernel.h"

void qd_conv_int8_ref(const int8_t *weights, size_t pairs, const int16_t *patch, size_t patch_stride, size_t pixels,
                      int32_t *acc, size_t acc_stride) {
    for (size_t p = 0; p < pixels; p++) {
        const int16_t *x = patch + p * patch_stride;
        int32_t sum[8] = {0, 0, 0, 0, 0, 0, 0, 0};
        for (size_t k = 0; k < pairs; k++) {
            const int8_t *w = weights + k * 16;
            for (size_t l = 0; l < 8; l++) sum[l] += x[2 * k] * w[2 * l] + x[2 * k + 1] * w[2 * l + 1];
        }
        for (size_t l = 0; l < 8; l++) acc[p * acc_stride + l] = sum[l];
    }
}
