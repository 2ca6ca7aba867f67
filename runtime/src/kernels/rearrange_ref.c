/* Channels of one output pixel, each from a place of its own. */
#include <string.h>

#include "qd_kernel.h"

void qd_rearrange_ref(const uint8_t *in, const size_t *at, size_t n, size_t element, uint8_t *out) {
    switch (element) {
    case 1:
        for (size_t i = 0; i < n; i++) out[i] = in[at[i]];
        break;
    case 2:
        for (size_t i = 0; i < n; i++) memcpy(out + 2 * i, in + at[i], 2);
        break;
    default:
        for (size_t i = 0; i < n; i++) memcpy(out + 4 * i, in + at[i], 4);
    }
}

void qd_rearrange_planes_ref(const uint8_t *in, const size_t *at, size_t n, size_t planes, uint8_t *out) {
    for (size_t plane = 0; plane < planes; plane++) {
        for (size_t i = 0; i < n; i += 8) {
            unsigned byte = 0;
            for (size_t bit = 0; bit < 8 && i + bit < n; bit++) {
                byte |= (in[at[i + bit] / 8 + plane] >> at[i + bit] % 8 & 1u) << bit;
            }
            out[i / 8 * planes + plane] = (uint8_t)byte;
        }
    }
}
