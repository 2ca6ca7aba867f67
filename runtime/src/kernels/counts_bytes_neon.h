/*
 * Sums of products of bytes of four pixels and four channels, in blocks of assembly as in counts_neon.h: acc[4 * pixel + channel] has those of
 * 16 products, or of pairs of them in 16 bits, side by side. A step is 16 bytes of each pixel and of each channel's weights.
 */
#ifndef QD_COUNTS_BYTES_NEON_H
#define QD_COUNTS_BYTES_NEON_H

#include "counts_neon.h"

#define EXPAND(M, ...) M(__VA_ARGS__)
#define STEP_FIRST WEIGHTS(16, 17, 0) WEIGHTS(18, 19, 32) "ldr q20, [x9]\n ldr q21, [x10]\n ldr q22, [x11]\n ldr q23, [x12]\n"
#define STEP_LOADS                                                                                                                     \
    PIXEL("q", 20, x9), PIXEL("q", 21, x10), PIXEL("q", 22, x11), PIXEL("q", 23, x12), WEIGHT(16, 0), WEIGHT(17, 16), WEIGHT(18, 32), \
        WEIGHT(19, 48)
#define NO_STEP_LOADS , , , , , , ,

/* 16 products by M(vector, weights, pixel), which A(accumulator, vector) adds up eight operations later. X and W: loads for the next step, or nothing. */
#define BY_VECTORS(M, A, X0, X1, X2, X3, W0, W1, W2, W3)                                                                            \
    M(24, 16, 20) M(25, 17, 20) M(26, 18, 20) M(27, 19, 20) X0 M(28, 16, 21) M(29, 17, 21) M(30, 18, 21) M(31, 19, 21) X1           \
    A(0, 24) M(24, 16, 22) A(1, 25) M(25, 17, 22) A(2, 26) M(26, 18, 22) A(3, 27) M(27, 19, 22) X2                                  \
    A(4, 28) M(28, 16, 23) W0 A(5, 29) M(29, 17, 23) W1 A(6, 30) M(30, 18, 23) W2 A(7, 31) M(31, 19, 23) W3 X3                      \
    A(8, 24) A(9, 25) A(10, 26) A(11, 27) A(12, 28) A(13, 29) A(14, 30) A(15, 31)
/* The same where M(accumulator, weights, pixel) adds them up itself. */
#define DIRECTLY(M, X0, X1, X2, X3, W0, W1, W2, W3)                                                                                 \
    M(0, 16, 20) M(1, 17, 20) M(2, 18, 20) M(3, 19, 20) X0 M(4, 16, 21) M(5, 17, 21) M(6, 18, 21) M(7, 19, 21) X1                   \
    M(8, 16, 22) M(12, 16, 23) W0 M(9, 17, 22) M(13, 17, 23) W1 M(10, 18, 22) M(14, 18, 23) W2 M(11, 19, 22) X2 M(15, 19, 23) W3 X3

#define AND_WITH(t, w, x) "and v" #t ".16b, v" #w ".16b, v" #x ".16b\n"
#define PAIRS_INTO(a, t) "sadalp %[a" #a "].8h, v" #t ".16b\n"
#define WORDS_INTO(a, t) "sadalp %[a" #a "].4s, v" #t ".8h\n"
#define LOWER(t, w, x) "smull v" #t ".8h, v" #w ".8b, v" #x ".8b\n"
#define UPPER(t, w, x) "smull2 v" #t ".8h, v" #w ".16b, v" #x ".16b\n"
#define ADD_LOWER(a, w, x) "smlal %[a" #a "].8h, v" #w ".8b, v" #x ".8b\n"
#define ADD_UPPER(a, w, x) "smlal2 %[a" #a "].8h, v" #w ".16b, v" #x ".16b\n"
#define ADD_FOUR(a, w, x) "sdot %[a" #a "].4s, v" #w ".16b, v" #x ".16b\n"

#define BY_MASKS(...) EXPAND(BY_VECTORS, AND_WITH, PAIRS_INTO, __VA_ARGS__)
#define BY_SIGNS(...) EXPAND(BY_VECTORS, XOR, PAIRS_INTO, __VA_ARGS__)
#define BY_SMALL(...) EXPAND(DIRECTLY, ADD_LOWER, NO_STEP_LOADS) EXPAND(DIRECTLY, ADD_UPPER, __VA_ARGS__)
#define BY_BYTES(...) EXPAND(BY_VECTORS, LOWER, WORDS_INTO, NO_STEP_LOADS) EXPAND(BY_VECTORS, UPPER, WORDS_INTO, __VA_ARGS__)
#define BY_DOTS(...) EXPAND(DIRECTLY, ADD_FOUR, __VA_ARGS__)
#define QD_PRODUCTS(name, STEP, LAST) QD_COUNTS(name, int32x4_t, 16, CLEAR_16, STEP_FIRST, STEP(STEP_LOADS), LAST, "", 16, 64, HIGH_16)

QD_PRODUCTS(qd_by_masks, BY_MASKS, BY_MASKS(NO_STEP_LOADS)) /* weights 0 and -1, for 0 and +1; sums of pairs */
QD_PRODUCTS(qd_by_signs, BY_SIGNS, BY_SIGNS(NO_STEP_LOADS)) /* weights 0 and -1, for +1 and -1, of which each is 1 too little; sums of pairs */
QD_PRODUCTS(qd_by_small, BY_SMALL, BY_SMALL(NO_STEP_LOADS)) /* sums of pairs */
QD_PRODUCTS(qd_by_bytes, BY_BYTES, STEP_AGAIN)
QD_PRODUCTS(qd_by_dots, BY_DOTS, BY_DOTS(NO_STEP_LOADS)) /* for functions that may use dot products */

#endif
