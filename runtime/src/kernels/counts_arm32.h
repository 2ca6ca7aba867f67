/* Counts of bits in the four bytes of a word, for processors without vectors. */
#ifndef QD_COUNTS_ARM32_H
#define QD_COUNTS_ARM32_H

#include <stdint.h>
#include <string.h>

#define QD_ARM32_INLINE static inline __attribute__((always_inline))

QD_ARM32_INLINE uint32_t qd_load4(const uint8_t *p) {
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

QD_ARM32_INLINE uint32_t qd_ones_of_bytes(uint32_t v) {
    v -= v >> 1 & 0x55555555u;
    v = (v & 0x33333333u) + (v >> 2 & 0x33333333u);
    return (v + (v >> 4)) & 0x0F0F0F0Fu;
}

/* a + b + *sum, bit by bit: *sum becomes its low bits, the result is the high ones. */
QD_ARM32_INLINE uint32_t qd_carry(uint32_t *sum, uint32_t a, uint32_t b) {
    const uint32_t either = a ^ b, c = *sum;
    *sum = either ^ c;
    return (a & b) | (either & c);
}

/* acc[i] += times * (8 * byte i of `eights` + byte i of `rest`). */
QD_ARM32_INLINE void qd_add_counts(uint32_t eights, uint32_t rest, int32_t times, int32_t *acc) {
    const uint32_t even = 8 * (eights & 0x00FF00FFu) + (rest & 0x00FF00FFu), odd = 8 * (eights >> 8 & 0x00FF00FFu) + (rest >> 8 & 0x00FF00FFu);
    acc[0] += times * (int32_t)(even & 0xFFFF);
    acc[1] += times * (int32_t)(odd & 0xFFFF);
    acc[2] += times * (int32_t)(even >> 16);
    acc[3] += times * (int32_t)(odd >> 16);
}

#endif
