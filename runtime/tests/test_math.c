/* Exact fused multiply-add and rounding against libm, on random and on hand-made hard cases. */
#include <math.h>

#include "qd_math.h"
#include "test.h"

static long plain_wrong, relative_wrong;

/*
 * The fma without the instruction is for machines that lack it. An s390x never does, and qemu-s390x 7.2 multiplies float by
 * float into double wrongly.
 */
#if defined(__s390x__)
enum { check_soft = 0 };
#else
enum { check_soft = 1 };
#endif

static float from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t to_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static int same(float a, float b) { return to_bits(a) == to_bits(b) || (a != a && b != b); }

/* A correction by a fixed relative step instead of rounding to odd: kept here to show that it is not exact. */
static float fma_by_relative_step(float x, float a, float b) {
    const double p = (double)x * (double)a, c = (double)b, s = p + c, t = s - p;
    const double e = (p - (s - t)) + (c - t);
    const double step = (s < 0 ? -s : s) * 0x1p-52;
    return (float)(e > 0 ? s + step : e < 0 ? s - step : s);
}

static void check_fma(float x, float a, float b) {
    const float want = fmaf(x, a, b), got = qd_fmaf_soft(x, a, b), used = qd_fmaf(x, a, b);
    CHECK(!check_soft || same(want, got), "fma(%a, %a, %a): %a, not %a", (double)x, (double)a, (double)b, (double)got, (double)want);
    CHECK(same(want, used), "fma(%a, %a, %a): %a, not %a", (double)x, (double)a, (double)b, (double)used, (double)want);
    if (!same(want, (float)((double)x * (double)a + (double)b))) plain_wrong++;
    if (!same(want, fma_by_relative_step(x, a, b))) relative_wrong++;
}

/* The inverse of an odd number modulo 2^24, by Newton's iteration. */
static uint32_t inverse(uint32_t odd) {
    uint32_t y = odd;
    for (int i = 0; i < 5; i++) y *= 2 - odd * y;
    return y & 0xFFFFFF;
}

/* Odd numbers whose product has 25 bits: it is a midpoint between two binary32 numbers. */
static void midpoint_product(float *x, float *a) {
    for (;;) {
        const uint32_t u = 0x800u | random_u32() >> 21 | 1u, v = 0x1000u | random_u32() >> 20 | 1u;
        if (u * v >= 1u << 24) {
            *x = (float)u;
            *a = (float)v;
            return;
        }
    }
}

/*
 * Products of 24-bit numbers, 48 bits long, whose low 24 bits are `low`, which is odd. 0x7FFFFF and an addend near 1 put the
 * binary64 sum one place below a midpoint between two binary32 numbers; 0x800001 less one, one place above.
 */
static void hard_product(uint32_t low, float *x, float *a) {
    for (;;) {
        const uint32_t odd = 0x800000u | random_u32() >> 8 | 1u;
        const uint32_t other = (low * inverse(odd)) & 0xFFFFFF;
        if (other >= 0x800000u && (uint64_t)odd * other >= (uint64_t)1 << 47) {
            *x = (float)odd;
            *a = (float)other;
            return;
        }
    }
}

static void hard_cases(void) {
    for (int i = 0; i < 100000; i++) {
        const float sign = random_in(0, 1) ? 1.0f : -1.0f;
        const float tiny = ldexpf((float)random_in(1, 0xFFFFFF), random_in(-120, -30)) * (random_in(0, 1) ? 1.0f : -1.0f);
        float x, a, near_one;
        midpoint_product(&x, &a);
        check_fma(sign * x, a, tiny); /* a midpoint and a trace */
        check_fma(sign * x, a, 0.0f);
        hard_product(0x7FFFFFu, &x, &a);
        near_one = 1.0f - 0x1p-5f + (float)random_in(-8, 8) * 0x1p-20f; /* one binary64 place below a midpoint and a trace */
        check_fma(sign * x, a, sign * near_one);
        hard_product(0x800001u, &x, &a);
        check_fma(sign * x, a, -sign * near_one);
    }
}

static void random_cases(void) {
    static const uint32_t special[] = {0,          0x80000000u, 1,           0x80000001u, 0x007FFFFFu, 0x00800000u, 0x7F7FFFFFu,
                                       0xFF7FFFFFu, 0x7F800000u, 0xFF800000u, 0x7FC00000u, 0x3F800000u, 0xBF800000u, 0x3F7FFFFFu};
    const int n = (int)(sizeof special / sizeof *special);
    for (int i = 0; i < 500000; i++) check_fma(from_bits(random_u32()), from_bits(random_u32()), from_bits(random_u32()));
    for (int i = 0; i < 500000; i++) { /* ordinary exponents, sums that cancel in part */
        const float x = ldexpf((float)random_in(-0xFFFFFF, 0xFFFFFF), random_in(-30, 0));
        const float a = ldexpf((float)random_in(-0xFFFFFF, 0xFFFFFF), random_in(-30, 0));
        const float b = i % 2 ? -x * a : ldexpf((float)random_in(-0xFFFFFF, 0xFFFFFF), random_in(-60, 30));
        check_fma(x, a, b);
    }
    for (int i = 0; i < 200000; i++) { /* subnormal results */
        check_fma(from_bits(random_u32() & 0x9FFFFFFFu), from_bits(random_u32() & 0x9FFFFFFFu), from_bits(random_u32() & 0x80FFFFFFu));
    }
    for (int i = 0; i < n * n * n; i++) {
        check_fma(from_bits(special[i % n]), from_bits(special[i / n % n]), from_bits(special[i / n / n]));
    }
}

static void check_round(float v) {
    const float got = qd_round_half_even(v), want = rintf(v);
    CHECK(got == want || (got != got && want != want), "round(%a): %a, not %a", (double)v, (double)got, (double)want);
}

static void rounding(void) {
    for (int i = 0; i < 500000; i++) check_round(from_bits(random_u32()));
    for (int i = -100000; i <= 100000; i++) {
        check_round((float)i * 0.5f);
        check_round(nextafterf((float)i * 0.5f, 1e9f));
        check_round(nextafterf((float)i * 0.5f, -1e9f));
    }
    for (int e = 20; e < 26; e++) {
        for (int i = -8; i <= 8; i++) {
            check_round(ldexpf(1.0f, e) + (float)i * 0.5f);
            check_round(-ldexpf(1.0f, e) + (float)i * 0.5f);
        }
    }
}

int main(void) {
    if (!check_soft) puts("the fma without the instruction: not checked on this machine");
    hard_cases();
    printf("hard cases: binary64 alone is wrong in %ld, a relative step in %ld of 400000\n", plain_wrong, relative_wrong);
    CHECK(plain_wrong > 1000, "the hard cases are not hard: %ld", plain_wrong);
    random_cases();
    rounding();
    return finish("math");
}
