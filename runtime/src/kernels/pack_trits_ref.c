/* Ternary digits to two bit-planes, a byte of signs and a byte of masks for every eight. */
#include "qd_kernel.h"

void qd_pack_trits_ref(const int8_t *digits, size_t channels, uint8_t *out) {
    for (size_t i = 0; i < channels; i += 8, out += 2) {
        unsigned sign = 0, mask = 0;
        for (size_t j = 0; j < 8 && i + j < channels; j++) {
            sign |= (unsigned)(digits[i + j] < 0) << j;
            mask |= (unsigned)(digits[i + j] != 0) << j;
        }
        out[0] = (uint8_t)sign;
        out[1] = (uint8_t)mask;
    }
}
