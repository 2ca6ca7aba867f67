/* Integer inner product by weights of few bits, one pair of terms at a time for eight output channels. */
#include "qd_kernel.h"

/* Weight j, 0..15, of a pair of eight channels: number 2 * channel + term. */
static int32_t weight(const uint8_t *w, qd_small_form form, size_t j) {
    const int32_t nibble = w[j / 2] >> 4 * (j % 2) & 15;
    const int32_t bit = w[j / 8] >> j % 8 & 1;
    switch (form) {
    case QD_SMALL_INT4: return nibble < 8 ? nibble : nibble - 16;
    case QD_SMALL_MASKS: return bit;
    case QD_SMALL_TRITS: return (w[2 + j / 8] >> j % 8 & 1) - 2 * bit;
    default: return 1 - 2 * bit;
    }
}

void qd_conv_small_ref(const uint8_t *weights, qd_small_form form, size_t pairs, const int16_t *patch, size_t patch_stride,
                       size_t pixels, int32_t *acc, size_t acc_stride) {
    const size_t pair = qd_small_pair_bytes(form);
    for (size_t p = 0; p < pixels; p++) {
        const int16_t *x = patch + p * patch_stride;
        int32_t sum[8] = {0, 0, 0, 0, 0, 0, 0, 0};
        for (size_t k = 0; k < pairs; k++) {
            const uint8_t *w = weights + k * pair;
            for (size_t l = 0; l < 8; l++) sum[l] += x[2 * k] * weight(w, form, 2 * l) + x[2 * k + 1] * weight(w, form, 2 * l + 1);
        }
        for (size_t l = 0; l < 8; l++) acc[p * acc_stride + l] = sum[l];
    }
}
