/* Weights of few bits to eight, for kernels that know no others: eight of them at a time, as the bytes of a word. */
#include "qd_kernel.h"

#define ONES UINT64_C(0x0101010101010101)

/* Byte i is bit i. */
static uint64_t spread_bits(uint64_t byte) {
    return ((byte * ONES & UINT64_C(0x8040201008040201)) + 0x7F * ONES) >> 7 & ONES;
}

/* Byte i is nibble i in two's complement. */
static uint64_t spread_nibbles(const uint8_t *four) {
    uint64_t w = four[0] | (uint64_t)four[1] << 8 | (uint64_t)four[2] << 16 | (uint64_t)four[3] << 24;
    w = (w | w << 16) & UINT64_C(0x0000FFFF0000FFFF);
    w = (w | w << 8) & UINT64_C(0x00FF00FF00FF00FF);
    w = (w | w << 4) & 0x0F * ONES;
    return w | (w & 8 * ONES) * 0x1E;
}

/* 1 or 0 with a sign: 0x01 becomes 0xFF. */
static uint64_t eight(const uint8_t *packed, qd_small_form form) {
    switch (form) {
    case QD_SMALL_INT4: return spread_nibbles(packed);
    case QD_SMALL_MASKS: return spread_bits(packed[0]);
    case QD_SMALL_TRITS: return spread_bits(packed[1]) ^ spread_bits(packed[0]) * 0xFE;
    default: return ONES ^ spread_bits(packed[0]) * 0xFE;
    }
}

void qd_unpack_ref(const uint8_t *packed, qd_small_form form, size_t n, int8_t *to) {
    const size_t bytes = qd_small_pair_bytes(form) / 2;
    for (size_t i = 0; i < n; i += 8, packed += bytes) {
        const uint64_t w = eight(packed, form);
        for (size_t j = 0; j < 8; j++) to[i + j] = (int8_t)(uint8_t)(w >> 8 * j);
    }
}
