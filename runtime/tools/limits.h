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

#if defined(__x86_64__) && defined(__GNUC__)
/* VPDPBUSD of 512 bits per cycle, measured, for processors with AVX-512 have one unit or two. */
__attribute__((target("avx512f,avx512vnni"))) static double dot_products_per_cycle(double hertz) {
    enum { TURNS = 20000 };
    double best = 0;
    for (int repeat = 0; repeat < 3; repeat++) {
        const double start = port_seconds();
        double rate;
        for (int i = 0; i < TURNS; i++) { /* of 10 independent sums */
#define QD_DOT(n) "vpdpbusd %%zmm31, %%zmm30, %%zmm" n "\n "
            __asm__ volatile(QD_DOT("16") QD_DOT("17") QD_DOT("18") QD_DOT("19") QD_DOT("20") QD_DOT("21") QD_DOT("22") QD_DOT("23")
                                 QD_DOT("24") QD_DOT("25")::: "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23",
                             "xmm24", "xmm25");
#undef QD_DOT
        }
        rate = 10.0 * (double)TURNS / (port_seconds() - start) / hertz;
        if (rate > best) best = rate;
    }
    return best;
}

/* 1 or 2. */
static double dot_units(double hertz) { return qd_kernels_available(QD_AVX512) && hertz > 0 && dot_products_per_cycle(hertz) < 1.4 ? 1.0 : 2.0; }
#else
static double dot_units(double hertz) {
    (void)hertz;
    return 2.0;
}
#endif

/*
 * Multiply-accumulates per core cycle that a family's instructions allow, by the kind of arithmetic.
 * Bits by bits: REF one 64-bit population count; AVX2 38 operations for 2048 products by table, three ports: four look-ups and four
 * additions of bytes for each of four pixels and 64 channels, and three operations for each half byte of weights; the limit that the goals are set
 * against, where two output channels a look-up (kernels/conv_planes_avx2.c) need 24 for as many, which is 256; AVX512 ternlog, vpopcntd,
 * vpaddd for 512, two ports; ARM32 full adders, 58 instructions for 256; NEON xor, count, add for 128, two pipes.
 * Trits by bits: the same with AVX2, whose tables hold sums of products; by counting an AND more, which ternlog has for nothing.
 * By trits AVX2 looks up twice, for weights of +1 and of -1: 78 operations. By counting that is no more than trits by bits, but trits by
 * trits takes two counts: 7 operations where bits take 3, and 6 with selects (DOTPROD, whose cores have them as one operation).
 * 8 bits: REF two multiplications; AVX2 maddubs, madd, add; AVX512 vpdpbusd for 64, on each unit that has it (measured); NEON smlal, DOTPROD sdot for 16, two pipes; ARM32 smlad.
 */
typedef struct limit_row {
    qd_family family;
    double planes[2][2]; /* [planes of the map - 1][planes of the weights - 1] */
    double int8;
} limit_row;

static const limit_row limit_rows[] = {
    {QD_REF, {{64.0, 64.0}, {64.0, 32.0}}, 2.0},
    {QD_AVX2, {{161.7, 78.8}, {161.7, 78.8}}, 32.0},
    {QD_AVX512, {{341.3, 341.3}, {341.3, 170.7}}, 64.0}, /* 8 bits: of one unit */
    {QD_ARM32, {{4.4, 0}, {0, 0}}, 2.0},
    {QD_NEON, {{85.3, 64.0}, {64.0, 36.6}}, 16.0},
    {QD_DOTPROD, {{85.3, 64.0}, {64.0, 42.7}}, 32.0},
};

static double limit_on(const limit_row *row, double units, const qd_op_description *op) {
    const int planes = op->input.dtype == QD_BITS ? 1 : op->input.dtype == QD_TRITS ? 2 : 0;
    return planes && op->weight_planes ? row->planes[planes - 1][op->weight_planes - 1] : row->int8 * (row->family == QD_AVX512 ? units : 1.0);
}

/* AUTO has the limit of the last row that the machine has. units: as `dot_units` finds. */
static double limit_of(qd_family family, double units, const qd_op_description *op) {
    double limit = 0;
    for (size_t i = 0; i < sizeof limit_rows / sizeof *limit_rows; i++) {
        const limit_row *row = &limit_rows[i];
        if (op->macs == 0 || !qd_kernels_available(row->family)) continue;
        if (family == QD_AUTO || family == row->family) limit = limit_on(row, units, op);
    }
    return limit;
}

#endif
