/* The first of the largest channels of each pixel. */
#include "qd_kernel.h"

void qd_arg_max_i32_ref(const int32_t *in, size_t pixels, size_t channels, int32_t *out) {
    for (size_t p = 0; p < pixels; p++, in += channels) {
        size_t best = 0;
        for (size_t c = 1; c < channels; c++) {
            if (in[c] > in[best]) best = c;
        }
        out[p] = (int32_t)best;
    }
}

void qd_arg_max_f32_ref(const float *in, size_t pixels, size_t channels, int32_t *out) {
    for (size_t p = 0; p < pixels; p++, in += channels) {
        size_t best = 0;
        for (size_t c = 1; c < channels; c++) {
            if (in[c] > in[best]) best = c;
        }
        out[p] = (int32_t)best;
    }
}
