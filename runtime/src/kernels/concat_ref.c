/* One input of a concatenation along channels. */
#include <string.h>

#include "qd_kernel.h"

void qd_concat_ref(const uint8_t *in, size_t pixels, size_t bytes, uint8_t *out, size_t out_bytes) {
    for (size_t p = 0; p < pixels; p++) memcpy(out + p * out_bytes, in + p * bytes, bytes);
}

/* A byte of channels lies across two bytes of the output, unless `first` is a multiple of 8. Spare bits are 0 and add nothing. */
void qd_concat_planes_ref(const uint8_t *in, size_t channels, size_t planes, size_t first, uint8_t *out) {
    const size_t bytes = (channels + 7) / 8, shift = first % 8;
    out += first / 8 * planes;
    for (size_t j = 0; j < bytes; j++) {
        for (size_t plane = 0; plane < planes; plane++) {
            const unsigned piece = (unsigned)in[j * planes + plane] << shift;
            out[j * planes + plane] |= (uint8_t)piece;
            if (piece > 0xFF) out[(j + 1) * planes + plane] |= (uint8_t)(piece >> 8);
        }
    }
}

static int32_t value_of(const uint8_t *in, qd_element type, size_t c) {
    const unsigned bit = 1u << c % 8;
    int16_t half;
    int32_t word;
    switch (type) {
    case QD_OF_BITS: return in[c / 8] & bit ? -1 : 1;
    case QD_OF_TRITS: return in[c / 8 * 2] & bit ? -1 : (in[c / 8 * 2 + 1] & bit) != 0;
    case QD_OF_BYTES: return (int8_t)in[c];
    case QD_OF_HALVES: memcpy(&half, in + 2 * c, 2); return half;
    default: memcpy(&word, in + 4 * c, 4); return word;
    }
}

void qd_widen_ref(const uint8_t *in, qd_element from, size_t channels, size_t first, uint8_t *out, qd_element to) {
    for (size_t c = 0; c < channels; c++) {
        const size_t o = first + c;
        const int32_t value = value_of(in, from, c);
        const int16_t half = (int16_t)value;
        switch (to) {
        case QD_OF_TRITS:
            if (value < 0) out[o / 8 * 2] |= (uint8_t)(1u << o % 8);
            if (value != 0) out[o / 8 * 2 + 1] |= (uint8_t)(1u << o % 8);
            break;
        case QD_OF_BYTES: out[o] = (uint8_t)value; break;
        case QD_OF_HALVES: memcpy(out + 2 * o, &half, 2); break;
        default: memcpy(out + 4 * o, &value, 4);
        }
    }
}
