/* The steps of a stream, each a loop of single binary32 operations that a compiler may vectorise but not reorder. */
#include "../qd_math.h"
#include "qd_kernel.h"

void qd_stream_ref(const qd_stream *steps, const int32_t *acc, const float *in, const float *add, size_t channels,
                   float *out) {
    size_t c;
    if (acc) {
        for (c = 0; c < channels; c++) out[c] = (float)acc[c];
    } else {
        for (c = 0; c < channels; c++) out[c] = in[c];
    }
    if (steps->scale) {
        for (c = 0; c < channels; c++) out[c] = out[c] * steps->scale[c * steps->scale_step];
    }
    if (steps->first_relu) {
        for (c = 0; c < channels; c++) out[c] = out[c] < 0.0f ? 0.0f : out[c];
    }
    if (steps->a) {
        for (c = 0; c < channels; c++) out[c] = qd_fmaf(out[c], steps->a[c], steps->b[c]);
    }
    if (steps->bias) {
        for (c = 0; c < channels; c++) out[c] = out[c] + steps->bias[c * steps->bias_step];
    }
    if (add) {
        for (c = 0; c < channels; c++) out[c] = out[c] + add[c];
    }
    if (steps->relu) {
        for (c = 0; c < channels; c++) out[c] = out[c] < 0.0f ? 0.0f : out[c];
    }
    if (steps->clip) {
        const float low = steps->low, high = steps->high;
        for (c = 0; c < channels; c++) out[c] = out[c] < low ? low : out[c] > high ? high : out[c];
    }
    if (steps->slope) {
        for (c = 0; c < channels; c++) out[c] = out[c] > 0.0f ? out[c] : steps->slope[c * steps->slope_step] * out[c];
    }
}
