/* The two binary32 operations that C leaves to libm, exact everywhere. Leaf header: kernels may include it. */
#ifndef QD_MATH_H
#define QD_MATH_H

#include <float.h>
#include <stdint.h>
#include <string.h>

#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD != 0
#error "binary32 operations must round to binary32: build with SSE2 or hardware floats of that width"
#endif

/*
 * x * a + b, rounded once, without a fused instruction.
 *
 * The product of two binary32 numbers is exact in binary64. The sum is rounded to odd there: TwoSum gives its exact error e;
 * if e is not 0 the sum lies strictly between two neighbouring doubles, and the one with the odd last bit is taken. Binary64
 * has 29 bits more than binary32, so the second rounding then sees on which side of a midpoint the true value lies.
 * (Moving s by a fixed relative amount is not enough: it can step on a midpoint that the true value has not reached.)
 * e = 0 also covers s = 0, whose sign must stay; an e that is NaN means that s is infinite or NaN.
 */
static inline float qd_fmaf_soft(float x, float a, float b) {
    const double p = (double)x * (double)a;
    const double c = (double)b;
    double s = p + c;
    const double t = s - p;
    const double e = (p - (s - t)) + (c - t);
    if (e < 0.0 || e > 0.0) {
        uint64_t bits;
        memcpy(&bits, &s, sizeof bits);
        if ((bits & 1u) == 0) {
            bits = ((e > 0.0) == (s > 0.0)) ? bits + 1 : bits - 1;
            memcpy(&s, &bits, sizeof bits);
        }
    }
    return (float)s;
}

static inline float qd_fmaf(float x, float a, float b) {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA) || defined(__s390x__) /* where it is part of every machine */
    return __builtin_fmaf(x, a, b);
#else
    return qd_fmaf_soft(x, a, b);
#endif
}

/* The nearest integer, ties to even, in the default rounding mode. NaN, infinities and |v| >= 2^23 come back as they are. */
static inline float qd_round_half_even(float v) {
    const float magic = 8388608.0f; /* 2^23: its last place is 1 */
    float r;
    if (!(v < magic && v > -magic)) return v;
    if (v < 0.0f) {
        r = v - magic;
        return r + magic;
    }
    r = v + magic;
    return r - magic;
}

#endif
