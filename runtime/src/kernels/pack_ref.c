/* Thresholds, one bit at a time. */
#include "qd_kernel.h"

void qd_pack_ref(const int32_t *acc, const int32_t *thresholds, size_t channels, uint8_t *out) {
    for (size_t i = 0; i < channels; i += 8) {
        unsigned byte = 0;
        for (size_t j = 0; j < 8 && i + j < channels; j++) {
            if (acc[i + j] < thresholds[i + j]) byte |= 1u << j;
        }
        out[i / 8] = (uint8_t)byte;
    }
}
