/* Sums over the whole map, a pixel at a time so that the inner loop is contiguous. */
#include "qd_kernel.h"

void qd_sum_pool_i8_ref(const int8_t *in, size_t pixels, size_t channels, int32_t *out) {
    for (size_t c = 0; c < channels; c++) out[c] = 0;
    for (size_t p = 0; p < pixels; p++) {
        for (size_t c = 0; c < channels; c++) out[c] += in[p * channels + c];
    }
}

void qd_sum_pool_i16_ref(const int16_t *in, size_t pixels, size_t channels, int32_t *out) {
    for (size_t c = 0; c < channels; c++) out[c] = 0;
    for (size_t p = 0; p < pixels; p++) {
        for (size_t c = 0; c < channels; c++) out[c] += in[p * channels + c];
    }
}
