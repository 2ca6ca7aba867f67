/* The core's clock, measured, and what a core can do per cycle. */
#ifndef QD_LIMITS_H
#define QD_LIMITS_H

#include "../port/port.h"
#include "qd/qd.h"

/* Core cycles per second, from a chain of dependent instructions of known latency; 0 where that is not known. */
static double core_hertz(void) {
#if defined(__GNUC__) && (defined(__x86_64__) || defined(__aarch64__))
    enum { TURNS = 20000 };
    double best = 0;
    for (int repeat = 0; repeat < 3; repeat++) {
        uint64_t x = 3;
        double rate;
        const double start = port_seconds();
        for (int i = 0; i < TURNS; i++) {
#if defined(__x86_64__) /* 3 cycles each; additions would do no better, newer cores fold chains of them */
            __asm__ volatile("imul %0, %0\n imul %0, %0\n imul %0, %0\n imul %0, %0\n imul %0, %0\n"
                             "imul %0, %0\n imul %0, %0\n imul %0, %0\n imul %0, %0\n imul %0, %0\n"
                             : "+r"(x));
            rate = 30.0;
#else /* one cycle each */
            __asm__ volatile("add %0, %0, %0\n add %0, %0, %0\n add %0, %0, %0\n add %0, %0, %0\n add %0, %0, %0\n"
                             "add %0, %0, %0\n add %0, %0, %0\n add %0, %0, %0\n add %0, %0, %0\n add %0, %0, %0\n"
                             : "+r"(x));
            rate = 10.0;
#endif
        }
        rate *= (double)TURNS / (port_seconds() - start);
        if (rate > best) best = rate;
    }
    return best;
#else
    return 0;
#endif
}

/*
 * Multiply-accumulates per core cycle that a family's instructions allow, by the kind of arithmetic.
 * Bits by bits: REF one 64-bit population count; AVX2 38 operations for 2048 products by table, three ports: four look-ups and four
 * additions of bytes for each of four pixels and 64 channels, and three operations for each half byte of weights; the limit that the goals are set
 * against, where two output channels a look-up (kernels/conv_planes_avx2.c) need 24 for as many, which is 256; AVX512 ternlog, vpopcntd,
 * vpaddd for 512, two ports; ARM32 full adders, 58 instructions for 256; NEON xor, count, add for 128, two pipes.
 * Trits by bits: the same with AVX2, whose tables hold sums of products; by counting an AND more, which ternlog has for nothing.
 * By trits AVX2 looks up twice, for weights of +1 and of -1: 78 operations. By counting that is no more than trits by bits, but trits by
 * trits takes two counts: 7 operations where bits take 3, and 6 with selects (DOTPROD, whose cores have them as one operation).
 * 8 bits: REF two multiplications; AVX2 maddubs, madd, add; AVX512 vpdpbusd for 64, two ports; NEON smlal, DOTPROD sdot for 16, two pipes; ARM32 smlad.
 */
typedef struct limit_row {
    qd_family family;
    double planes[2][2]; /* [planes of the map - 1][planes of the weights - 1] */
    double int8;
} limit_row;

static const limit_row limit_rows[] = {
    {QD_REF, {{64.0, 64.0}, {64.0, 32.0}}, 2.0},
    {QD_AVX2, {{161.7, 78.8}, {161.7, 78.8}}, 32.0},
    {QD_AVX512, {{341.3, 341.3}, {341.3, 170.7}}, 128.0},
    {QD_ARM32, {{4.4, 0}, {0, 0}}, 2.0},
    {QD_NEON, {{85.3, 64.0}, {64.0, 36.6}}, 16.0},
    {QD_DOTPROD, {{85.3, 64.0}, {64.0, 42.7}}, 32.0},
};

static double limit_on(const limit_row *row, const qd_op_description *op) {
    const int planes = op->input.dtype == QD_BITS ? 1 : op->input.dtype == QD_TRITS ? 2 : 0;
    return planes && op->weight_planes ? row->planes[planes - 1][op->weight_planes - 1] : row->int8;
}

/* AUTO has the limit of the last row that the machine has. */
static double limit_of(qd_family family, const qd_op_description *op) {
    double limit = 0;
    for (size_t i = 0; i < sizeof limit_rows / sizeof *limit_rows; i++) {
        const limit_row *row = &limit_rows[i];
        if (op->macs == 0 || !qd_kernels_available(row->family)) continue;
        if (family == QD_AUTO || family == row->family) limit = limit_on(row, op);
    }
    return limit;
}

#endif
