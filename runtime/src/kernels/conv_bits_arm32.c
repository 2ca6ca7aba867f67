/*
 * Binary inner product in 32-bit words, for processors without vectors: four output channels lie in the bytes of a word.
 * Eight words at a time go through full adders, bit by bit, so that only what they carry over, one word in eight, is counted;
 * what stays behind is counted at the end. 31 carries of at most 8 fit a byte, and 16 bits hold a piece.
 */
#if defined(__arm__) && defined(__ARM_FEATURE_SIMD32) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__

#include "counts_arm32.h"
#include "qd_kernel.h"

enum { PIECE = 248 };

#if defined(__thumb2__)

/*
 * n steps, a multiple of 8: what eight of them carry over is counted in eights. In this order nothing waits for a load, and twelve registers are
 * enough: compilers keep part of it in memory. CARRY: a + b + sum, bit by bit: sum becomes its low bits, a the high ones.
 */
#define EXCLUDE(a, b) "eor %[" #a "], %[" #a "], %[" #b "]\n"
#define LOAD_W(a, at) "ldr %[" #a "], [%[w], #" #at "]\n"
#define LOAD_X(a, at) "ldr %[" #a "], [%[x], #" #at "]\n"
#define CARRY(sum, a, b, t)                                                                                          \
    "eor %[" #t "], %[" #a "], %[" #b "]\n and %[" #a "], %[" #a "], %[" #b "]\n and %[" #b "], %[" #sum "], %[" #t "]\n" \
    "eor %[" #sum "], %[" #sum "], %[" #t "]\n orr %[" #a "], %[" #a "], %[" #b "]\n"

#define EIGHT_STEPS(name, LANES)                                                                                                \
    QD_ARM32_INLINE void name(const uint8_t **w, const uint32_t **x, size_t n, uint32_t *ones, uint32_t *twos, uint32_t *fours, uint32_t *eights) { \
        uint32_t a, b, c, d, e;                                                                                                 \
        __asm__("1: " LOAD_W(a, LANES * 0) LOAD_X(b, 0) LOAD_W(c, LANES * 1) LOAD_X(d, 4) EXCLUDE(a, b) EXCLUDE(c, d)             \
                CARRY(ones, a, c, b)                                                                                            \
                LOAD_W(b, LANES * 2) LOAD_X(c, 8) LOAD_W(d, LANES * 3) LOAD_X(e, 12) EXCLUDE(c, b) EXCLUDE(d, e)                  \
                CARRY(ones, c, d, b) CARRY(twos, a, c, b)                                                                       \
                LOAD_W(b, LANES * 4) LOAD_X(c, 16) LOAD_W(d, LANES * 5) LOAD_X(e, 20) EXCLUDE(b, c) EXCLUDE(d, e)                 \
                CARRY(ones, b, d, c)                                                                                            \
                LOAD_W(c, LANES * 6) LOAD_X(d, 24) LOAD_W(e, LANES * 7) EXCLUDE(c, d) LOAD_X(d, 28)                               \
                "add %[w], %[w], #" #LANES " * 8\n" EXCLUDE(e, d) CARRY(ones, c, e, d) CARRY(twos, b, c, d) CARRY(fours, a, b, c) \
                "subs %[n], %[n], #8\n lsr %[b], %[a], #1\n add %[x], %[x], #32\n and %[b], %[b], #0x55555555\n"                \
                "sub %[a], %[a], %[b]\n and %[b], %[a], #0x33333333\n bic %[a], %[a], #0x33333333\n"                            \
                "add %[a], %[b], %[a], lsr #2\n add %[a], %[a], %[a], lsr #4\n and %[a], %[a], #0x0F0F0F0F\n"                   \
                "add %[eights], %[eights], %[a]\n bne 1b\n"                                                                     \
                : [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d), [e] "=&r"(e), [w] "+&r"(*w), [x] "+&r"(*x),           \
                  [n] "+&r"(n), [ones] "+&r"(*ones), [twos] "+&r"(*twos), [fours] "+&r"(*fours), [eights] "+&r"(*eights)        \
                :                                                                                                               \
                : "cc", "memory");                                                                                              \
    }
EIGHT_STEPS(eight_steps_16, 16)
EIGHT_STEPS(eight_steps_32, 32)

QD_ARM32_INLINE void eight_steps(const uint8_t **w, const size_t lanes, const uint32_t **x, size_t n, uint32_t *ones, uint32_t *twos,
                        uint32_t *fours, uint32_t *eights) {
    if (lanes == 32) eight_steps_32(w, x, n, ones, twos, fours, eights);
    else eight_steps_16(w, x, n, ones, twos, fours, eights);
}

#else

/* n steps, a multiple of 8: what eight of them carry over is counted in eights. */
QD_ARM32_INLINE void eight_steps(const uint8_t **w, const size_t lanes, const uint32_t **x, size_t n, uint32_t *ones, uint32_t *twos,
                        uint32_t *fours, uint32_t *eights) {
    const uint8_t *v = *w;
    const uint32_t *y = *x;
    for (; n > 0; n -= 8, y += 8, v += 8 * lanes) {
        uint32_t a = qd_carry(ones, qd_load4(v) ^ y[0], qd_load4(v + lanes) ^ y[1]);
        uint32_t b = qd_carry(ones, qd_load4(v + 2 * lanes) ^ y[2], qd_load4(v + 3 * lanes) ^ y[3]), c;
        c = qd_carry(twos, a, b);
        a = qd_carry(ones, qd_load4(v + 4 * lanes) ^ y[4], qd_load4(v + 5 * lanes) ^ y[5]);
        b = qd_carry(ones, qd_load4(v + 6 * lanes) ^ y[6], qd_load4(v + 7 * lanes) ^ y[7]);
        *eights += qd_ones_of_bytes(qd_carry(fours, c, qd_carry(twos, a, b)));
    }
    *w = v;
    *x = y;
}

#endif

/* acc[0..4) -= 2 * mismatches of n <= PIECE steps; x: bytes copied four times, w: steps of `lanes` bytes. */
QD_ARM32_INLINE void count(const uint8_t *w, const size_t lanes, const uint32_t *x, size_t n, int32_t *acc) {
    uint32_t ones = 0, twos = 0, fours = 0, eights = 0, rest = 0;
    if (n >= 8) eight_steps(&w, lanes, &x, n / 8 * 8, &ones, &twos, &fours, &eights);
    n %= 8;
    QD_SMALL_LOOP for (; n > 0; n--, x++, w += lanes) rest += qd_ones_of_bytes(qd_load4(w) ^ *x);
    rest += 4 * qd_ones_of_bytes(fours) + 2 * qd_ones_of_bytes(twos) + qd_ones_of_bytes(ones);
    qd_add_counts(eights, rest, -2, acc);
}

/* x[i]: byte i of a patch, four times. */
QD_ARM32_INLINE void copy_to_lanes(const uint8_t *patch, size_t n, uint32_t *x) {
    const uint32_t all = 0x01010101u;
    QD_SMALL_LOOP for (; n >= 4; n -= 4, patch += 4, x += 4) {
        const uint32_t four = qd_load4(patch);
        x[0] = (four & 0xFF) * all;
        x[1] = (four >> 8 & 0xFF) * all;
        x[2] = (four >> 16 & 0xFF) * all;
        x[3] = (four >> 24) * all;
    }
    QD_SMALL_LOOP for (; n > 0; n--) *x++ = *patch++ * all;
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
                copy_to_lanes(patch + k, n, x);
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
