/* Functions that may use dot products: SDOT adds four products of bytes to each lane of 32 bits. */
#ifndef QD_DOTPROD_H
#define QD_DOTPROD_H

#include "neon.h"

#define QD_DOTPROD_TARGET __attribute__((target("arch=armv8.2-a+dotprod")))
#define QD_DOTPROD_INLINE QD_DOTPROD_TARGET static inline __attribute__((always_inline))

/* Weights of two pairs of eight channels, [8][2], or of one and zeros, as four terms of each: channels 0 to 3, 4 to 7. */
QD_NEON_INLINE void qd_four_terms(int8x16_t first, int8x16_t second, int8x16_t *four) {
    const int16x8_t a = vreinterpretq_s16_s8(first), b = vreinterpretq_s16_s8(second);
    four[0] = vreinterpretq_s8_s16(vzip1q_s16(a, b));
    four[1] = vreinterpretq_s8_s16(vzip2q_s16(a, b));
}

#endif
