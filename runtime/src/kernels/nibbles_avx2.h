/* Mismatches of a byte of activations with every half byte of weights, for look-ups by shuffle. */
#ifndef QD_NIBBLES_AVX2_H
#define QD_NIBBLES_AVX2_H

#include <stdint.h>

#define QD_ONES(x) ((((x) >> 3) & 1) + (((x) >> 2) & 1) + (((x) >> 1) & 1) + ((x) & 1))
#define QD_ONES4(h, i) QD_ONES((h) ^ (i)), QD_ONES((h) ^ ((i) + 1)), QD_ONES((h) ^ ((i) + 2)), QD_ONES((h) ^ ((i) + 3))
#define QD_HALF(h) QD_ONES4(h, 0), QD_ONES4(h, 4), QD_ONES4(h, 8), QD_ONES4(h, 12)
#define QD_BYTE(x) {QD_HALF((x) & 15), QD_HALF((x) >> 4)}
#define QD_BYTE4(x) QD_BYTE(x), QD_BYTE((x) + 1), QD_BYTE((x) + 2), QD_BYTE((x) + 3)
#define QD_BYTE16(x) QD_BYTE4(x), QD_BYTE4((x) + 4), QD_BYTE4((x) + 8), QD_BYTE4((x) + 12)
#define QD_BYTE64(x) QD_BYTE16(x), QD_BYTE16((x) + 16), QD_BYTE16((x) + 32), QD_BYTE16((x) + 48)

/* [activation byte][low half: 16 counts, high half: 16 counts] */
static const uint8_t qd_mismatches[256][32] __attribute__((aligned(32))) = {QD_BYTE64(0), QD_BYTE64(64), QD_BYTE64(128), QD_BYTE64(192)};

#endif
