/*
 * Mismatches of up to four pixels with 8 or 16 output channels, counted in registers by blocks of assembly: compilers spill here. Every operation
 * stands far from those that it needs, for cores that keep their order, and what the next step reads is loaded between. Three units of a row:
 *   16 bytes: a vector of a pixel against a vector of each of eight channels; eight counts are added up pairwise to a vector of eight sums.
 *   4 or 2 bytes: copied to all lanes against vectors of four or eight channels; bytes of sums hold up to 31 steps.
 */
#ifndef QD_COUNTS_NEON_H
#define QD_COUNTS_NEON_H

#include "neon.h"

enum { QD_STEPS = 31 };

/* Evenly spaced stretches of units of four pixels; the weights of each unit follow those of the one before, but for w_skip. */
typedef struct qd_walk {
    const uint8_t *x[4];
    size_t stretches, steps; /* units of a stretch; neither is 0 */
    size_t x_skip, w_skip;   /* bytes from the end of a stretch to the next */
} qd_walk;

#if !defined(__aarch64__)
#include "counts_neon32.h"
#else

#define XOR(t, w, x) "eor v" #t ".16b, v" #w ".16b, v" #x ".16b\n"
#define COUNT(t) "cnt v" #t ".16b, v" #t ".16b\n"
#define ADD(a, t) "add %[a" #a "].16b, %[a" #a "].16b, v" #t ".16b\n"
#define PAIRS(d, a, b) "addp v" #d ".16b, v" #a ".16b, v" #b ".16b\n"
#define INTO(a, t) "uadalp %[a" #a "].8h, v" #t ".16b\n"
#define CLEAR(a) "movi %[a" #a "].16b, #0\n"
#define PIXEL(form, v, x) "ldr " form #v ", [" #x ", x7]\n"
#define COPY(form, v, lane) "dup v" #v "." form ", v" #v "." lane "[0]\n"
#define WEIGHT(v, at) "ldr q" #v ", [x13, #" #at "]\n"
#define WEIGHTS(v, w, at) "ldp q" #v ", q" #w ", [x13, #" #at "]\n"

#define CLEAR_4 CLEAR(0) CLEAR(1) CLEAR(2) CLEAR(3)
#define CLEAR_8 CLEAR_4 CLEAR(4) CLEAR(5) CLEAR(6) CLEAR(7)
#define CLEAR_16 CLEAR_8 CLEAR(8) CLEAR(9) CLEAR(10) CLEAR(11) CLEAR(12) CLEAR(13) CLEAR(14) CLEAR(15)
#define OUT(i) [a##i] "=&w"(acc[i])
#define OUT_1 OUT(0)
#define OUT_4 OUT(0), OUT(1), OUT(2), OUT(3)
#define OUT_8 OUT_4, OUT(4), OUT(5), OUT(6), OUT(7)
#define OUT_16 OUT_8, OUT(8), OUT(9), OUT(10), OUT(11), OUT(12), OUT(13), OUT(14), OUT(15)
#define HIGH_16 "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31"
#define HIGH_28 "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", HIGH_16

/*
 * FIRST loads a unit, STEP computes it and loads the one after, LAST only computes. x9 to x12: pixels, x7: how far in them, x13: weights. The last unit of
 * a stretch loads the first of the next one. Loads have no side effect on their address: that would hold up what keeps its order. Without LAST code is
 * saved: a step loads the first unit once more.
 */
#define QD_COUNTS_OF(name, type, N, START, FIRST, STEP, LAST, END, PIXEL_BYTES, WEIGHT_BYTES, ...)                   \
    QD_NEON_INLINE void name(const qd_walk *walk, const uint8_t *weights, type *acc) {                              \
        __asm__("mov x13, %[w]\n ldp x9, x10, [%[k]]\n ldp x11, x12, [%[k], #16]\n ldp x14, x15, [%[k], #32]\n"     \
                "ldp x16, x17, [%[k], #48]\n mov x7, #" #PIXEL_BYTES "\n" START FIRST                               \
                "add x13, x13, #" #WEIGHT_BYTES "\n subs x8, x15, #1\n b.eq 3f\n"                                   \
                "2: subs x8, x8, #1\n" STEP "add x7, x7, #" #PIXEL_BYTES "\n add x13, x13, #" #WEIGHT_BYTES "\n"     \
                "b.ne 2b\n"                                                                                         \
                "3: subs x14, x14, #1\n b.le 4f\n add x7, x7, x16\n add x13, x13, x17\n mov x8, x15\n b 2b\n"       \
                "4: " LAST END                                                                                      \
                : OUT_##N                                                                                           \
                : [k] "r"(walk), [w] "r"(weights)                                                                   \
                : "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17", __VA_ARGS__, "cc", "memory"); \
    }
#define QD_COUNTS(...) QD_COUNTS_OF(__VA_ARGS__)
#define STEP_AGAIN "b.mi 5f\n mov x8, #1\n mov x7, #0\n mov x13, %[w]\n b 2b\n 5: "

/*
 * 16 bytes, four pixels (v4 to v7) and eight channels (v8 to v15): a pixel is a period of 24 operations, in which the counts of the one before are
 * added up in pairs; the sums of the one before that go into its accumulator. Counts of two pixels lie in v16 to v23 and v24 to v31.
 */
#define PERIOD(x, s0, s1, s2, s3, s4, s5, s6, s7, r0, r1, r2, r3, r4, r5, r6, r7, a, W0, W1, W2, W3, W4, W5, W6, W7, X)             \
    XOR(s0, 8, x) W0 PAIRS(r0, r0, r1) XOR(s1, 9, x) W1 PAIRS(r2, r2, r3) XOR(s2, 10, x) W2 PAIRS(r4, r4, r5) XOR(s3, 11, x) W3     \
    PAIRS(r6, r6, r7) INTO(a, s7) PAIRS(r0, r0, r2) XOR(s4, 12, x) W4 XOR(s5, 13, x) W5 XOR(s6, 14, x) W6 PAIRS(r4, r4, r6)         \
    XOR(s7, 15, x) W7 COUNT(s0) X COUNT(s1) COUNT(s2) COUNT(s3) PAIRS(r7, r0, r4) COUNT(s4) COUNT(s5) COUNT(s6) COUNT(s7)
#define EVEN(x, a, ...) PERIOD(x, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, a, __VA_ARGS__)
#define ODD(x, a, ...) PERIOD(x, 24, 25, 26, 27, 28, 29, 30, 31, 16, 17, 18, 19, 20, 21, 22, 23, a, __VA_ARGS__)
#define NO_WEIGHTS , , , , , , ,
#define GROUP_STEP                                                                                                                  \
    EVEN(4, 2, NO_WEIGHTS, PIXEL("q", 4, x9)) ODD(5, 3, NO_WEIGHTS, PIXEL("q", 5, x10)) EVEN(6, 0, NO_WEIGHTS, PIXEL("q", 6, x11))   \
    ODD(7, 1, WEIGHT(8, 0), WEIGHT(9, 16), WEIGHT(10, 32), WEIGHT(11, 48), WEIGHT(12, 64), WEIGHT(13, 80), WEIGHT(14, 96),          \
        WEIGHT(15, 112), PIXEL("q", 7, x12))
#define GROUP_LAST EVEN(4, 2, NO_WEIGHTS, ) ODD(5, 3, NO_WEIGHTS, ) EVEN(6, 0, NO_WEIGHTS, ) ODD(7, 1, NO_WEIGHTS, )
#define GROUP_WEIGHTS WEIGHTS(8, 9, 0) WEIGHTS(10, 11, 32) WEIGHTS(12, 13, 64) WEIGHTS(14, 15, 96)
#define ZERO(t) "movi v" #t ".16b, #0\n"
#define GROUP_START CLEAR_4 ZERO(23) ZERO(24) ZERO(25) ZERO(26) ZERO(27) ZERO(28) ZERO(29) ZERO(30) ZERO(31)
#define TREE(r0, r1, r2, r3, r4, r5, r6, r7) \
    PAIRS(r0, r0, r1) PAIRS(r2, r2, r3) PAIRS(r4, r4, r5) PAIRS(r6, r6, r7) PAIRS(r0, r0, r2) PAIRS(r4, r4, r6) PAIRS(r0, r0, r4)
#define GROUP_END INTO(2, 23) TREE(24, 25, 26, 27, 28, 29, 30, 31) INTO(3, 24)
QD_COUNTS(qd_count_16_bytes_4, uint16x8_t, 4, GROUP_START,
          "ldr q4, [x9]\n ldr q5, [x10]\n ldr q6, [x11]\n ldr q7, [x12]\n" GROUP_WEIGHTS, GROUP_STEP, GROUP_LAST, GROUP_END, 16, 128, HIGH_28)

#define GROUP_ONE                                                                                                                 \
    XOR(16, 8, 4) XOR(17, 9, 4) XOR(18, 10, 4) XOR(19, 11, 4) XOR(20, 12, 4) XOR(21, 13, 4) XOR(22, 14, 4) XOR(23, 15, 4) COUNT(16) \
    COUNT(17) COUNT(18) COUNT(19) COUNT(20) COUNT(21) COUNT(22) COUNT(23)
#define GROUP_TREE TREE(16, 17, 18, 19, 20, 21, 22, 23) INTO(0, 16)
QD_COUNTS(qd_count_16_bytes_1, uint16x8_t, 1, CLEAR(0), "ldr q4, [x9]\n" GROUP_WEIGHTS, GROUP_ONE PIXEL("q", 4, x9) GROUP_WEIGHTS GROUP_TREE, STEP_AGAIN, "", 16, 128, HIGH_28)

/* Copied units: weights in v16 to v19, pixels in v20 to v23, counts in v24 to v31. L*: loads for the next step and D*: copies, or nothing. */
#define EIGHT(...) EIGHT_OF(__VA_ARGS__)
#define EIGHT_OF(w0, w1, w2, w3, x0, x1, x2, x3, a, b, c, d, e, f, g, h, L0, L1, L2, L3, L4, L5, D0, D1, D2, D3)                     \
    XOR(24, w0, x0) XOR(25, w1, x0) XOR(26, w2, x1) XOR(27, w3, x1) XOR(28, w0, x2) XOR(29, w1, x2) XOR(30, w2, x3)               \
    XOR(31, w3, x3) L0 COUNT(24) L1 COUNT(25) L2 COUNT(26) L3 COUNT(27) L4 COUNT(28) L5 COUNT(29) COUNT(30) COUNT(31)             \
    ADD(a, 24) D0 ADD(b, 25) D1 ADD(c, 26) D2 ADD(d, 27) D3 ADD(e, 28) ADD(f, 29) ADD(g, 30) ADD(h, 31)
#define FOUR_PIXELS(form) PIXEL(form, 20, x9), PIXEL(form, 21, x10), PIXEL(form, 22, x11), PIXEL(form, 23, x12)
#define FOUR_COPIES(form, lanes) COPY(form, 20, lanes), COPY(form, 21, lanes), COPY(form, 22, lanes), COPY(form, 23, lanes)
#define FIRST_FOUR(form) \
    "ld1r {v20." form "}, [x9]\n ld1r {v21." form "}, [x10]\n ld1r {v22." form "}, [x11]\n ld1r {v23." form "}, [x12]\n"
#define NO_LOADS , , , , , , , , ,

/* acc[4 * pixel + vector], four channels a vector. */
#define WORD_STEP(...)                                                                    \
    EIGHT(16, 17, 18, 19, 20, 20, 21, 21, 0, 1, 2, 3, 4, 5, 6, 7, NO_LOADS)               \
    EIGHT(16, 17, 18, 19, 22, 22, 23, 23, 8, 9, 10, 11, 12, 13, 14, 15, __VA_ARGS__)
#define WORD_WEIGHTS WEIGHTS(16, 17, 0) WEIGHTS(18, 19, 32)
QD_COUNTS(qd_count_words_4, uint8x16_t, 16, CLEAR_16, WORD_WEIGHTS FIRST_FOUR("4s"),
          WORD_STEP(FOUR_PIXELS("s"), WEIGHTS(16, 17, 0), WEIGHTS(18, 19, 32), FOUR_COPIES("4s", "s")), WORD_STEP(NO_LOADS), "", 4, 64, HIGH_16)

#define WORD_ONE                                                                                                                  \
    XOR(24, 16, 20) XOR(25, 17, 20) XOR(26, 18, 20) XOR(27, 19, 20) COUNT(24) COUNT(25) COUNT(26) COUNT(27)
#define WORD_SUMS ADD(0, 24) ADD(1, 25) ADD(2, 26) ADD(3, 27)
QD_COUNTS(qd_count_words_1, uint8x16_t, 4, CLEAR_4, WORD_WEIGHTS "ld1r {v20.4s}, [x9]\n",
          WORD_ONE PIXEL("s", 20, x9) WORD_WEIGHTS WORD_SUMS COPY("4s", 20, "s"), STEP_AGAIN, "", 4, 64, HIGH_16)

/* acc[2 * pixel + vector], eight channels a vector. */
#define HALF_STEP(...) EIGHT(16, 17, 16, 17, 20, 21, 22, 23, 0, 1, 2, 3, 4, 5, 6, 7, __VA_ARGS__)
#define HALF_WEIGHTS WEIGHTS(16, 17, 0)
QD_COUNTS(qd_count_halves_4, uint8x16_t, 8, CLEAR_8, HALF_WEIGHTS FIRST_FOUR("8h"),
          HALF_STEP(FOUR_PIXELS("h"), HALF_WEIGHTS, , FOUR_COPIES("8h", "h")), STEP_AGAIN, "", 2, 32, HIGH_16)

/*
 * Pairs of 8-bit pixels by weights -1 and +1: acc[2 * pixel + vector], eight channels a vector, of sums of pixels, inverted where the weight is -1.
 * With weights of 0 too, each vector of 16 weights is followed by its mask.
 */
#define PLAIN_OF(w0, w1, x0, x1, x2, x3, L0, L1, L2, L3, L4, D0, D1, D2, D3)                                                      \
    XOR(24, w0, x0) XOR(25, w1, x0) XOR(26, w0, x1) XOR(27, w1, x1) XOR(28, w0, x2) XOR(29, w1, x2) XOR(30, w0, x3)               \
    XOR(31, w1, x3) L0 INTO(0, 24) L1 INTO(1, 25) L2 INTO(2, 26) L3 INTO(3, 27) L4 D0 INTO(4, 28) D1 INTO(5, 29) D2 INTO(6, 30)   \
    D3 INTO(7, 31)
#define PLAIN(...) PLAIN_OF(16, 17, 20, 21, 22, 23, __VA_ARGS__)
#define AND(t, m) "and v" #t ".16b, v" #t ".16b, v" #m ".16b\n"
#define MASKED_OF(w0, w1, x0, x1, x2, x3, L0, L1, L2, L3, L4, D0, D1, D2, D3)                                                     \
    XOR(24, w0, x0) XOR(25, w1, x0) XOR(26, w0, x1) XOR(27, w1, x1) XOR(28, w0, x2) XOR(29, w1, x2) XOR(30, w0, x3)               \
    XOR(31, w1, x3) L0 AND(24, 18) L1 AND(25, 19) L2 AND(26, 18) L3 AND(27, 19) AND(28, 18) AND(29, 19) AND(30, 18) AND(31, 19)   \
    L4 INTO(0, 24) D0 INTO(1, 25) D1 INTO(2, 26) D2 INTO(3, 27) D3 INTO(4, 28) INTO(5, 29) INTO(6, 30) INTO(7, 31)
#define MASKED(...) MASKED_OF(16, 17, 20, 21, 22, 23, __VA_ARGS__)
QD_COUNTS(qd_add_plain_4, uint16x8_t, 8, CLEAR_8, WEIGHTS(16, 17, 0) FIRST_FOUR("8h"),
          PLAIN(FOUR_PIXELS("h"), WEIGHTS(16, 17, 0), FOUR_COPIES("8h", "h")), STEP_AGAIN, "", 2, 32, HIGH_16)
QD_COUNTS(qd_add_masked_4, uint16x8_t, 8, CLEAR_8, WEIGHTS(16, 17, 0) WEIGHTS(18, 19, 32) FIRST_FOUR("8h"),
          MASKED(FOUR_PIXELS("h"), WEIGHTS(16, 17, 0) WEIGHTS(18, 19, 32), FOUR_COPIES("8h", "h")), STEP_AGAIN, "", 2, 64, HIGH_16)

/*
 * Bytes of eight ternary digits of four pixels with 32 channels: acc[2 * pixel + vector] counts products of -1, one of 0 being left out by its mask.
 * Of two planes a pixel's byte of signs is followed by one of masks, 32 bytes of weights' signs by 32 of masks. What is not 0 at all is counted in
 * acc[8 + 2 * pixel + vector] if both have two planes, and in acc[8 + vector] if the weights have.
 */
#define SIGN(x) "dup v24.16b, v" #x ".b[0]\n"
#define MASK(x) "dup v25.16b, v" #x ".b[1]\n"
#define AND3(d, a, b) "and v" #d ".16b, v" #a ".16b, v" #b ".16b\n"
#define XOR_SIGNS XOR(28, 16, 24) XOR(29, 17, 24)
#define BOTH_OF(x, m0, m1, t0, t1, L)                                                                                 \
    MASK(x) SIGN(x) L AND3(26, 25, 18) AND3(27, 25, 19) XOR_SIGNS AND3(28, 28, 26) AND3(29, 29, 27) COUNT(26) COUNT(27) \
    COUNT(28) COUNT(29) ADD(t0, 26) ADD(t1, 27) ADD(m0, 28) ADD(m1, 29)
/* One operand of two planes: masks m0 to m7 of the vectors in v24 to v31, loads L, copies D. */
#define MASKED_EIGHT(...) MASKED_EIGHT_OF(__VA_ARGS__)
#define MASKED_EIGHT_OF(m0, m1, m2, m3, m4, m5, m6, m7, L0, L1, L2, L3, L4, D0, D1, D2, D3)                           \
    XOR(24, 16, 20) XOR(25, 17, 20) XOR(26, 16, 21) XOR(27, 17, 21) XOR(28, 16, 22) XOR(29, 17, 22) XOR(30, 16, 23)    \
    XOR(31, 17, 23) AND(24, m0) L0 AND(25, m1) L1 AND(26, m2) L2 AND(27, m3) L3 AND(28, m4) AND(29, m5) AND(30, m6)    \
    AND(31, m7) COUNT(24) L4 COUNT(25) COUNT(26) COUNT(27) COUNT(28) COUNT(29) COUNT(30) COUNT(31)                     \
    ADD(0, 24) D0 ADD(1, 25) D1 ADD(2, 26) D2 ADD(3, 27) D3 ADD(4, 28) ADD(5, 29) ADD(6, 30) ADD(7, 31)
#define BOTH(L0, L1, L2, L3, W) \
    BOTH_OF(20, 0, 1, 8, 9, L0) BOTH_OF(21, 2, 3, 10, 11, L1) BOTH_OF(22, 4, 5, 12, 13, L2) BOTH_OF(23, 6, 7, 14, 15, L3) W
#define PATCH(...) MASKED_EIGHT(8, 8, 9, 9, 10, 10, 11, 11, __VA_ARGS__)
#define PATCH_COPY(m, x) "dup v" #m ".16b, v" #x ".b[1]\n" COPY("16b", x, "b")
#define PATCH_COPIES PATCH_COPY(8, 20), PATCH_COPY(9, 21), PATCH_COPY(10, 22), PATCH_COPY(11, 23)
#define FIRST_PATCH PATCH_COPY(8, 20) PATCH_COPY(9, 21) PATCH_COPY(10, 22) PATCH_COPY(11, 23)
#define WEIGHT_PLANES(...) \
    "cnt v10.16b, v18.16b\n cnt v11.16b, v19.16b\n" MASKED_EIGHT(18, 19, 18, 19, 18, 19, 18, 19, __VA_ARGS__) ADD(8, 10) ADD(9, 11)
#define OUT_10 OUT_8, OUT(8), OUT(9)
#define CLEAR_10 CLEAR_8 CLEAR(8) CLEAR(9)
#define FIRST_RAW(form) "ldr " form "20, [x9]\n ldr " form "21, [x10]\n ldr " form "22, [x11]\n ldr " form "23, [x12]\n"
#define RAW(form) PIXEL(form, 20, x9), PIXEL(form, 21, x10), PIXEL(form, 22, x11), PIXEL(form, 23, x12)
#define ONE_PLANE WEIGHTS(16, 17, 0)
#define TWO_PLANES WEIGHTS(16, 17, 0) WEIGHTS(18, 19, 32)
#define STEP_OF(M, ...) M(__VA_ARGS__)
QD_COUNTS(qd_count_trits_4, uint8x16_t, 16, CLEAR_16, TWO_PLANES FIRST_RAW("h"), STEP_OF(BOTH, RAW("h"), TWO_PLANES), STEP_AGAIN, "", 2, 64,
          HIGH_16)
QD_COUNTS(qd_count_patch_trits_4, uint8x16_t, 8, CLEAR_8, ONE_PLANE FIRST_RAW("h") FIRST_PATCH, PATCH(RAW("h"), ONE_PLANE, PATCH_COPIES),
          STEP_AGAIN, "", 2, 32, "v8", "v9", "v10", "v11", HIGH_16)
QD_COUNTS(qd_count_weight_trits_4, uint8x16_t, 10, CLEAR_10, TWO_PLANES FIRST_FOUR("16b"),
          WEIGHT_PLANES(RAW("b"), TWO_PLANES, FOUR_COPIES("16b", "b")), STEP_AGAIN, "", 1, 64, "v10", "v11", HIGH_16)

#endif
#endif
