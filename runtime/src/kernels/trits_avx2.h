/* Sums of four ternary activations times every half byte of weights, for look-ups by shuffle. */
#ifndef QD_TRITS_AVX2_H
#define QD_TRITS_AVX2_H

#include "qd_kernel.h"

/* Row r: signs in its lower, masks in its upper half. Its term b, the weight of +1 or -1 and that of 1 or 0 at bit b of w. */
#define QD_TERM(r, b) (((r) >> (4 + (b)) & 1) * (1 - 2 * ((r) >> (b) & 1)))
#define QD_AT_ONES(r, w) \
    (QD_TERM(r, 0) * ((w) & 1) + QD_TERM(r, 1) * ((w) >> 1 & 1) + QD_TERM(r, 2) * ((w) >> 2 & 1) + QD_TERM(r, 3) * ((w) >> 3 & 1))
#define QD_PRODUCTS(r, w) (QD_AT_ONES(r, 15) - 2 * QD_AT_ONES(r, w))
#define QD_ENTRIES4(F, r, w) F(r, w), F(r, (w) + 1), F(r, (w) + 2), F(r, (w) + 3)
#define QD_ROW(F, r) {QD_ENTRIES4(F, r, 0), QD_ENTRIES4(F, r, 4), QD_ENTRIES4(F, r, 8), QD_ENTRIES4(F, r, 12)}
#define QD_ROWS4(F, r) QD_ROW(F, r), QD_ROW(F, (r) + 1), QD_ROW(F, (r) + 2), QD_ROW(F, (r) + 3)
#define QD_ROWS16(F, r) QD_ROWS4(F, r), QD_ROWS4(F, (r) + 4), QD_ROWS4(F, (r) + 8), QD_ROWS4(F, (r) + 12)
#define QD_ROWS64(F, r) QD_ROWS16(F, r), QD_ROWS16(F, (r) + 16), QD_ROWS16(F, (r) + 32), QD_ROWS16(F, (r) + 48)
#define QD_ALL_ROWS(F) {QD_ROWS64(F, 0), QD_ROWS64(F, 64), QD_ROWS64(F, 128), QD_ROWS64(F, 192)}

static const int8_t qd_at_ones[256][16] __attribute__((aligned(16))) = QD_ALL_ROWS(QD_AT_ONES);
static const int8_t qd_products[256][16] __attribute__((aligned(16))) = QD_ALL_ROWS(QD_PRODUCTS);

#endif
