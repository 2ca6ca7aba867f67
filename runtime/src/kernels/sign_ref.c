/* Signs, one bit at a time: +1 where x >= 0, -0.0 included; NaN gives -1, as it does in torch. */
#include "qd_kernel.h"

void qd_sign_ref(const float *in, size_t channels, uint8_t *out) {
    for (size_t i = 0; i < channels; i += 8) {
        unsigned byte = 0;
        for (size_t j = 0; j < 8 && i + j < channels; j++) {
            if (!(in[i + j] >= 0.0f)) byte |= 1u << j;
        }
        out[i / 8] = (uint8_t)byte;
    }
}
