/*
 * Binary inner product in 32-bit words, for processors without vectors: four output channels lie in the bytes of a word.
 * Eight words at a time go through full adders, bit by bit, so that only what they carry over, one word in eight, is counted;
 * what stays behind is counted at the end. 31 carries of at most 8 fit a byte, and 16 bits hold a piece.
 */
#if defined(__arm__) && defined(__ARM_FEATURE_SIMD32) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__

#include <string.h>

#include "qd_kernel.h"

#define INLINE static inline __attribute__((always_inline))

enum { PIECE = 248 };

static inline uint32_t load4(const uint8_t *p) {
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline uint32_t ones_of_bytes(uint32_t v) {
    v -= v >> 1 & 0x55555555u;
    v = (v & 0x33333333u) + (v >> 2 & 0x33333333u);
    return (v + (v >> 4)) & 0x0F0F0F0Fu;
}

/* a + b + *sum, bit by bit: *sum becomes its low bits, the result is the high ones. */
static inline uint32_t carry(uint32_t *sum, uint32_t a, uint32_t b) {
    const uint32_t either = a ^ b, c = *sum;
    *sum = either ^ c;
    return (a & b) | (either & c);
}

/* acc[0..4) -= 2 * mismatches of n <= PIECE steps; x: bytes copied four times, w: steps of `lanes` bytes. */
INLINE void count(const uint8_t *w, const size_t lanes, const uint32_t *x, size_t n, int32_t *acc) {
    uint32_t ones = 0, twos = 0, fours = 0, eights = 0, rest = 0, even, odd;
    for (; n >= 8; n -= 8, x += 8, w += 8 * lanes) {
        uint32_t a = carry(&ones, load4(w) ^ x[0], load4(w + lanes) ^ x[1]);
        uint32_t b = carry(&ones, load4(w + 2 * lanes) ^ x[2], load4(w + 3 * lanes) ^ x[3]), c;
        c = carry(&twos, a, b);
        a = carry(&ones, load4(w + 4 * lanes) ^ x[4], load4(w + 5 * lanes) ^ x[5]);
        b = carry(&ones, load4(w + 6 * lanes) ^ x[6], load4(w + 7 * lanes) ^ x[7]);
        eights += ones_of_bytes(carry(&fours, c, carry(&twos, a, b)));
    }
    QD_SMALL_LOOP for (; n > 0; n--, x++, w += lanes) rest += ones_of_bytes(load4(w) ^ *x);
    rest += 4 * ones_of_bytes(fours) + 2 * ones_of_bytes(twos) + ones_of_bytes(ones);
    even = 8 * (eights & 0x00FF00FFu) + (rest & 0x00FF00FFu);
    odd = 8 * (eights >> 8 & 0x00FF00FFu) + (rest >> 8 & 0x00FF00FFu);
    acc[0] -= 2 * (int32_t)(even & 0xFFFF);
    acc[1] -= 2 * (int32_t)(odd & 0xFFFF);
    acc[2] -= 2 * (int32_t)(even >> 16);
    acc[3] -= 2 * (int32_t)(odd >> 16);
}

void qd_conv_bits_arm32(const uint8_t *weights, size_t lanes, const uint8_t *patch, size_t patch_stride, size_t pixels,
                        const qd_run_span *runs, size_t n_runs, int32_t bits, int32_t *acc, size_t acc_stride) {
    for (size_t p = 0; p < pixels; p++, patch += patch_stride, acc += acc_stride) {
        for (size_t l = 0; l < lanes; l++) acc[l] = bits;
        for (size_t r = 0; r < n_runs; r++) {
            const size_t end = (size_t)runs[r].from + runs[r].length;
            for (size_t k = runs[r].from; k < end; k += PIECE) {
                const size_t n = end - k < PIECE ? end - k : PIECE;
                uint32_t x[PIECE];
                QD_SMALL_LOOP for (size_t i = 0; i < n; i++) x[i] = patch[k + i] * 0x01010101u;
                if (lanes == 32) {
                    for (size_t l = 0; l < 32; l += 4) count(weights + k * 32 + l, 32, x, n, acc + l);
                } else {
                    for (size_t l = 0; l < 16; l += 4) count(weights + k * 16 + l, 16, x, n, acc + l);
                }
            }
        }
    }
}

#else
typedef int qd_conv_bits_arm32_is_for_arm;
#endif
