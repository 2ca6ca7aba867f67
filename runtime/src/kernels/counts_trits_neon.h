/*
 * Sums of products of ternary digits of four pixels with 4, 8 or 16 output channels, in blocks of assembly as in counts_neon.h.
 *
 * A unit of 16, 8 or 4 bytes of each plane fills a vector: of a pixel it is repeated, a vector of weights has it of one, two or four channels. A step
 * is a unit of four such vectors of each plane of the weights, and of the four pixels. Counts of bytes are added up pairwise: down to one vector
 * of 16-bit sums a pixel (units of 16 bytes: four channels, two sums of each; 8: eight channels), or to two (4: 16 channels). Each period of 8 vectors
 * adds up those of the one before.
 */
#ifndef QD_COUNTS_TRITS_NEON_H
#define QD_COUNTS_TRITS_NEON_H

#include "counts_neon.h"

#define LOW_24 "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17", "v18", \
               "v19", "v20", "v21", "v22", "v23", "x4", "x5", "x6"
#define SUB(d, t) "sub v" #d ".16b, v" #d ".16b, v" #t ".16b\n"
#define SIGNED_INTO(a, t) "sadalp %[a" #a "].8h, v" #t ".16b\n"
#define SELECT(d, one, zero) "bsl v" #d ".16b, v" #one ".16b, v" #zero ".16b\n"
#define LOAD(v, x, at) "ldr q" #v ", [" #x ", " #at "]\n"
#define LOADS(v, w, at) "ldp q" #v ", q" #w ", [x4, #" #at "]\n"
/* Where signs and masks of this unit, then of the next, are. */
#define HERE "add x6, x5, #16\n"
#define THERE "mov x5, x7\n add x6, x7, #16\n"
#define BEGIN ZERO(16) ZERO(17) ZERO(18) ZERO(19) "mov x5, #0\n mov x4, x13\n"

/* What v16 to v19 hold goes into accumulators in the next period, S0 to S5; the name's digit is that of the period. */
#define TREES(a, b) PAIRS(16, 16, 17), PAIRS(18, 18, 19), INTO(a, 16), INTO(b, 18), ,
#define TREES0 TREES(0, 1)
#define TREES1 TREES(2, 3)
#define TREES2 TREES(4, 5)
#define TREES3 TREES(6, 7)
#define HALVES0 INTO(0, 16), INTO(1, 17), INTO(2, 18), INTO(3, 19), ,
#define HALVES1 INTO(4, 16), INTO(5, 17), INTO(6, 18), INTO(7, 19), ,
#define LESS(a, b) SUB(16, 18), SUB(17, 19), SUB(16, 18), SUB(17, 19), SIGNED_INTO(a, 16), SIGNED_INTO(b, 17)
#define LESS0 LESS(0, 1)
#define LESS1 LESS(2, 3)
#define LESS2 LESS(4, 5)
#define LESS3 LESS(6, 7)
#define TREE_INTO(a) PAIRS(16, 16, 17), , INTO(a, 16), , ,
#define TREE0 TREE_INTO(0)
#define TREE1 TREE_INTO(1)
#define TREE2 TREE_INTO(2)
#define TREE3 TREE_INTO(3)
#define HALF_INTO(a, b) INTO(a, 16), INTO(b, 17), , , ,
#define HALF0 HALF_INTO(0, 1)
#define HALF1 HALF_INTO(2, 3)
#define HALF2 HALF_INTO(4, 5)
#define HALF3 HALF_INTO(6, 7)
#define ALL(S0, S1, S2, S3, S4, S5) S0 S1 S2 S3 S4 S5
#define NO_LOADS_4 , , ,
#define EXPAND(M, ...) M(__VA_ARGS__)

/* Two pixels x and y with one operand of two planes: masks m of x, n of y. */
#define TWO(x, y, m0, m1, m2, m3, n0, n1, n2, n3, S0, S1, S2, S3, S4, S5, L0, L1, L2, L3)                                       \
    XOR(8, 0, x) XOR(9, 1, x) S0 XOR(10, 2, x) XOR(11, 3, x) S1 XOR(12, 0, y) XOR(13, 1, y) S2 XOR(14, 2, y) XOR(15, 3, y) S3   \
    AND(8, m0) AND(9, m1) AND(10, m2) AND(11, m3) AND(12, n0) AND(13, n1) AND(14, n2) AND(15, n3)                              \
    COUNT(8) L0 COUNT(9) COUNT(10) L1 COUNT(11) COUNT(12) L2 COUNT(13) COUNT(14) L3 COUNT(15)                                  \
    PAIRS(16, 8, 9) PAIRS(17, 10, 11) PAIRS(18, 12, 13) PAIRS(19, 14, 15)
/* One pixel of signs s and masks m, both operands of two planes: what is not 0 in v16 and v17, what is -1 in v18 and v19. */
#define ONE(s, m, S0, S1, S2, S3, S4, S5, L0, L1, L2, L3)                                                                       \
    AND3(8, m, 4) AND3(9, m, 5) S0 AND3(10, m, 6) AND3(11, m, 7) S1 XOR(12, 0, s) XOR(13, 1, s) S2 XOR(14, 2, s) XOR(15, 3, s)  \
    S3 AND(12, 8) AND(13, 9) S4 AND(14, 10) AND(15, 11) S5 COUNT(8) L0 COUNT(9) COUNT(10) L1 COUNT(11) COUNT(12) L2 COUNT(13)   \
    COUNT(14) L3 COUNT(15) PAIRS(16, 8, 9) PAIRS(17, 10, 11) PAIRS(18, 12, 13) PAIRS(19, 14, 15)
/*
 * The same in six operations of 128 products, for cores to which a select is one: planes of what is -1 (s) and +1 (p). Where the weight is +1 that of
 * -1 counts twice, where it is -1 that of +1, and where it is 0 both count: the digits that are not 0, less the products' sum.
 */
#define SELECTED(s, p, S0, S1, S2, S3, S4, S5, L0, L1)                                                                         \
    LOADS(8, 9, 0) LOADS(10, 11, 32) SELECT(8, p, s) LOADS(12, 13, 64) SELECT(9, p, s) LOADS(14, 15, 96) S0 SELECT(10, p, s)   \
    SELECT(11, p, s) SELECT(12, s, p) SELECT(13, s, p) S1 SELECT(14, s, p) SELECT(15, s, p) S2 COUNT(8) L0 COUNT(9) COUNT(10)  \
    L1 COUNT(11) COUNT(12) COUNT(13) COUNT(14) COUNT(15) SUM(8, 12) SUM(9, 13) SUM(10, 14) SUM(11, 15) PAIRS(16, 8, 9) PAIRS(17, 10, 11)
#define SUM(d, t) "add v" #d ".16b, v" #d ".16b, v" #t ".16b\n"

#define SIGNS_AT "ldp q0, q1, [x13]\n ldp q2, q3, [x13, #32]\n"
#define PLANES_AT SIGNS_AT "ldp q4, q5, [x13, #64]\n ldp q6, q7, [x13, #96]\n"
#define SIGN_LOADS WEIGHT(0, 0) WEIGHT(1, 16), WEIGHT(2, 32) WEIGHT(3, 48)
#define PLANE_LOADS                                                                                                   \
    WEIGHT(0, 0) WEIGHT(1, 16) WEIGHT(2, 32), WEIGHT(3, 48) WEIGHT(4, 64) WEIGHT(5, 80), WEIGHT(6, 96) WEIGHT(7, 112)
#define DIGITS(s, m, x) LOAD(s, x, x5) LOAD(m, x, x6)

/* bits x trits */
#define BITS_2(x, y, ...) EXPAND(TWO, x, y, 4, 5, 6, 7, 4, 5, 6, 7, __VA_ARGS__)
#define BITS_STEP(S)                                                                                                  \
    BITS_2(20, 21, S##1, LOAD(20, x9, x7), LOAD(21, x10, x7), , )                                                     \
    BITS_2(22, 23, S##0, LOAD(22, x11, x7) LOAD(23, x12, x7), PLANE_LOADS)
#define BITS_LAST(S) BITS_2(20, 21, S##1, NO_LOADS_4) BITS_2(22, 23, S##0, NO_LOADS_4)
#define BITS_END(S) EXPAND(ALL, S##1)
#define BITS_FIRST PLANES_AT "ldr q20, [x9]\n ldr q21, [x10]\n ldr q22, [x11]\n ldr q23, [x12]\n"

/* trits x bits */
#define TRITS_2(...) EXPAND(TWO, 20, 22, 21, 21, 21, 21, 23, 23, 23, 23, __VA_ARGS__)
#define TRITS_0(S) HERE TRITS_2(S##1, LOAD(20, x11, x5), LOAD(21, x11, x6), LOAD(22, x12, x5), LOAD(23, x12, x6))
#define TRITS_STEP(S) TRITS_0(S) THERE TRITS_2(S##0, DIGITS(20, 21, x9), DIGITS(22, 23, x10), SIGN_LOADS)
#define TRITS_LAST(S) TRITS_0(S) TRITS_2(S##0, NO_LOADS_4)
#define TRITS_END(S) EXPAND(ALL, S##1)
#define DIGITS_FIRST "ldp q20, q21, [x9]\n ldp q22, q23, [x10]\n"
#define TRITS_FIRST SIGNS_AT DIGITS_FIRST

/* trits x trits */
#define BOTH_1(...) EXPAND(ONE, __VA_ARGS__)
#define BOTH_0(S)                                                                                                     \
    HERE BOTH_1(20, 21, S##3, LOAD(20, x11, x5), LOAD(21, x11, x6), , ) BOTH_1(22, 23, S##0, LOAD(22, x12, x5), LOAD(23, x12, x6), , )
#define BOTH_STEP(S)                                                                                                  \
    BOTH_0(S) THERE BOTH_1(20, 21, S##1, LOAD(20, x9, x5), LOAD(21, x9, x6), , ) BOTH_1(22, 23, S##2, DIGITS(22, 23, x10), PLANE_LOADS)
#define BOTH_LAST(S) BOTH_0(S) BOTH_1(20, 21, S##1, NO_LOADS_4) BOTH_1(22, 23, S##2, NO_LOADS_4)
#define BOTH_END(S) EXPAND(ALL, S##3)
#define BOTH_FIRST PLANES_AT DIGITS_FIRST
#define SELECT_1(...) EXPAND(SELECTED, __VA_ARGS__)
#define SELECT_0(S)                                                                                                   \
    HERE SELECT_1(20, 21, S##3, LOAD(20, x11, x5), LOAD(21, x11, x6)) SELECT_1(22, 23, S##0, LOAD(22, x12, x5), LOAD(23, x12, x6))
#define SELECT_STEP(S)                                                                                                \
    SELECT_0(S) THERE SELECT_1(20, 21, S##1, LOAD(20, x9, x5), LOAD(21, x9, x6))                                      \
    SELECT_1(22, 23, S##2, LOAD(22, x10, x5), LOAD(23, x10, x6)) "mov x4, x13\n"
#define SELECT_LAST(S) SELECT_0(S) SELECT_1(20, 21, S##1, , ) SELECT_1(22, 23, S##2, , )
#define SELECT_END(S) EXPAND(ALL, S##3)
#define SELECT_FIRST DIGITS_FIRST

#define QD_TRITS(name, N, KIND, PIXEL_BYTES, WEIGHT_BYTES, S, LAST) \
    QD_COUNTS(name, uint16x8_t, N, CLEAR_##N BEGIN, KIND##_FIRST, KIND##_STEP(S), LAST, KIND##_END(S), PIXEL_BYTES, WEIGHT_BYTES, LOW_24)

/* Of units of 16 or 8 bytes, then of 4. What they leave in acc, p being the pixel and v the vector of eight channels: */
QD_TRITS(qd_bits_by_trits, 4, BITS, 16, 128, TREES, BITS_LAST(TREES))     /* [p]: counts of -1 */
QD_TRITS(qd_bits_by_trits_4, 8, BITS, 16, 128, HALVES, STEP_AGAIN)        /* [2 p + v] */
QD_TRITS(qd_trits_by_bits, 4, TRITS, 32, 64, TREES, TRITS_LAST(TREES))
QD_TRITS(qd_trits_by_bits_4, 8, TRITS, 32, 64, HALVES, STEP_AGAIN)
QD_TRITS(qd_trits_by_trits, 8, BOTH, 32, 128, TREES, BOTH_LAST(TREES))    /* [2 p]: of what is not 0; [2 p + 1]: of -1 */
QD_TRITS(qd_trits_by_trits_4, 8, BOTH, 32, 128, LESS, STEP_AGAIN)         /* [2 p + v]: the products' sum */
QD_TRITS(qd_trits_selected, 4, SELECT, 32, 128, TREE, SELECT_LAST(TREE))  /* [p]: digits that are not 0, less the products' sum */
QD_TRITS(qd_trits_selected_4, 8, SELECT, 32, 128, HALF, STEP_AGAIN)

#endif
