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

/* Multiply-accumulates per core cycle that a family's instructions allow, by the kind of arithmetic; 0: not known. */
typedef struct limit_row {
    qd_family family;
    double bits; /* 1-bit by 1-bit */
    double int8; /* 8-bit by 8-bit */
} limit_row;

static const limit_row limit_rows[] = {
    {QD_REF, 64.0, 2.0},   /* one 64-bit population count; two multiplications */
    {QD_AVX2, 161.0, 32.0}, /* 38 operations for 2048 products by table, three ports; maddubs, madd, add */
    {QD_AVX512, 341.3, 128.0}, /* ternlog, vpopcntd, vpaddd for 512 products; vpdpbusd for 64; two ports */
    {QD_NEON, 85.3, 16.0},  /* xor, count, add for 128 products, two pipes; smlal */
};

/* Digits of two planes take seven operations (and three times, exclusive or, two counts, two additions) where bits take three. */
static double limit_on(const limit_row *row, qd_dtype input) {
    return input == QD_BITS ? row->bits : input == QD_TRITS ? row->bits * 3 / 7 : row->int8;
}

/* AUTO has the limit of the last row that the machine has. */
static double limit_of(qd_family family, const qd_op_description *op) {
    double limit = 0;
    for (size_t i = 0; i < sizeof limit_rows / sizeof *limit_rows; i++) {
        const limit_row *row = &limit_rows[i];
        if (op->macs == 0 || !qd_kernels_available(row->family)) continue;
        if (family == QD_AUTO || family == row->family) limit = limit_on(row, op->input.dtype);
    }
    return limit;
}

#endif
