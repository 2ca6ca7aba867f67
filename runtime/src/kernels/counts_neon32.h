/*
 * What counts_neon.h does, for 32-bit Arm and its 16 registers: byte sums of two pixels with 8 or 16 channels. A unit of a row, 8, 4 or 2 bytes of a
 * pixel, is copied to all of a vector, against as many bytes of 2, 4 or 8 channels. Units of 8 and 4 bytes are counted by a block of assembly.
 */
#ifndef QD_COUNTS_NEON32_H
#define QD_COUNTS_NEON32_H

/* Vectors of weights of a unit of U bytes: 16 channels, of 8 bytes only eight. */
#define QD_VECTORS(U) ((size_t)((U) == 2 ? 2 : 4))

/*
 * Four vectors of weights, the first two and the last two in q0 and q1, by two pixels in q2 and q3: eight counts of a step in turn in q8 to q11,
 * one of which is begun while that before is counted and the third before is added. A load follows the last use of its register, between
 * operations, and leaves its address alone: cores that keep their order do both at once then. x0, x1 and w are for the step to come; behind the last
 * one they point to what may be read. Eight bytes of a pixel are loaded twice, which takes no turn of what computes.
 */
#define XOR(t, w, x) "veor q" #t ", q" #w ", q" #x "\n"
#define COUNT(t) "vcnt.8 q" #t ", q" #t "\n"
#define ADD(a, t) "vadd.i8 %q[a" #a "], %q[a" #a "], q" #t "\n"
#define ZERO(v) "vmov.i8 " v ", #0\n"
#define LOAD(v, from, at) "vldr d" #v ", [%[" #from "], #" #at "]\n"
#define COPY_8(low, high, x) LOAD(low, x, 0), LOAD(high, x, 0) "add %[" #x "], %[" #x "], #8\n"
#define COPY_4(low, high, x) "vld1.32 {d" #low "[], d" #high "[]}, [%[" #x "]]!\n",
#define CLEAR(a) ZERO("%q[a" #a "]")
#define OUT(i) [a##i] "=&w"(acc[i])
#define BOTH_OF(a, b) a b
#define BOTH(...) BOTH_OF(__VA_ARGS__)
#define STEP(...) STEP_OF(__VA_ARGS__)
#define STEP_OF(X0, X1, X2, X3)                                                                                                   \
    XOR(8, 0, 2) "subs %[step], %[step], #1\n" COUNT(11) ADD(3, 9)                                                                \
    XOR(9, 1, 2) COUNT(8) ADD(6, 10)                                                                                              \
    XOR(10, 0, 3) LOAD(0, now, 32) COUNT(9) LOAD(1, now, 40) ADD(7, 11)                                                           \
    XOR(11, 1, 3) LOAD(2, now, 48) COUNT(10) LOAD(3, now, 56) ADD(0, 8) "mov %[now], %[w]\n"                                       \
    XOR(8, 0, 2) COUNT(11) ADD(1, 9)                                                                                              \
    XOR(9, 1, 2) X0 COUNT(8) X1 ADD(4, 10)                                                                                        \
    XOR(10, 0, 3) LOAD(0, w, 0) COUNT(9) LOAD(1, w, 8) ADD(5, 11)                                                                 \
    XOR(11, 1, 3) LOAD(2, w, 16) COUNT(10) LOAD(3, w, 24) ADD(2, 8) X2 X3 "add %[w], %[w], #64\n"
#define QD_COUNTS(name, COPY)                                                                                                     \
    QD_NEON_INLINE void name(const qd_walk *walk, const uint8_t *const *x, const uint8_t *weights, uint8x16_t *acc) {             \
        const uint8_t *x0 = x[0], *x1 = x[1], *now = weights, *w = weights + 64;                                                  \
        size_t step = walk->steps - 1, stretch = walk->stretches;                                                                 \
        __asm__(BOTH(COPY(4, 5, x0)) BOTH(COPY(6, 7, x1)) LOAD(0, now, 0) LOAD(1, now, 8) LOAD(2, now, 16) LOAD(3, now, 24)       \
                CLEAR(0) CLEAR(1) CLEAR(2) CLEAR(3) CLEAR(4) CLEAR(5) CLEAR(6) CLEAR(7) ZERO("q9") ZERO("q10") ZERO("q11")        \
                "cmp %[step], #0\n beq 3f\n"                                                                                      \
                "2: " STEP(COPY(4, 5, x0), COPY(6, 7, x1)) "bne 2b\n"                                                             \
                "3: subs %[stretch], %[stretch], #1\n bmi 5f\n beq 4f\n ldr %[step], [%[walk], #24]\n"                            \
                "add %[x0], %[x0], %[step]\n add %[x1], %[x1], %[step]\n ldr %[step], [%[walk], #28]\n"                           \
                "add %[w], %[w], %[step]\n ldr %[step], [%[walk], #20]\n b 2b\n"                                                  \
                "4: ldr %[x0], [%[x]]\n ldr %[x1], [%[x], #4]\n mov %[w], %[now]\n mov %[step], #1\n b 2b\n"                      \
                "5: " COUNT(11) ADD(3, 9) ADD(6, 10) ADD(7, 11)                                                                   \
                : OUT(0), OUT(1), OUT(2), OUT(3), OUT(4), OUT(5), OUT(6), OUT(7), [x0] "+&r"(x0), [x1] "+&r"(x1), [w] "+&r"(w),   \
                  [now] "+&r"(now), [step] "+&r"(step), [stretch] "+&r"(stretch)                                                  \
                : [walk] "r"(walk), [x] "r"(x)                                                                                   \
                : "q0", "q1", "q2", "q3", "q8", "q9", "q10", "q11", "cc", "memory");                                              \
    }
QD_COUNTS(qd_count_8_bytes_2, COPY_8)
QD_COUNTS(qd_count_words_2, COPY_4)

QD_NEON_INLINE uint8x16_t qd_halves(const uint8_t *x) { return vreinterpretq_u8_u16(vld1q_dup_u16((const uint16_t *)(const void *)x)); }

QD_NEON_INLINE void qd_count_halves_2(const qd_walk *walk, const uint8_t *const *x, const uint8_t *weights, uint8x16_t *acc) {
    const uint8_t *x0 = x[0], *x1 = x[1];
    uint8x16_t a = vdupq_n_u8(0), b = a, c = a, d = a;
    for (size_t r = walk->stretches; r > 0; r--, x0 += walk->x_skip, x1 += walk->x_skip, weights += walk->w_skip) {
        for (size_t k = walk->steps; k > 0; k--, x0 += 2, x1 += 2, weights += 32) {
            const uint8x16_t low = vld1q_u8(weights), high = vld1q_u8(weights + 16), first = qd_halves(x0), second = qd_halves(x1);
            a = vaddq_u8(a, vcntq_u8(veorq_u8(low, first)));
            b = vaddq_u8(b, vcntq_u8(veorq_u8(high, first)));
            c = vaddq_u8(c, vcntq_u8(veorq_u8(low, second)));
            d = vaddq_u8(d, vcntq_u8(veorq_u8(high, second)));
        }
    }
    acc[0] = a, acc[1] = b, acc[2] = c, acc[3] = d;
}

/* acc[QD_VECTORS(U) * pixel + vector] of two pixels. */
QD_NEON_INLINE void qd_count_2(const size_t U, const qd_walk *walk, const uint8_t *const *x, const uint8_t *weights, uint8x16_t *acc) {
    if (U == 8) qd_count_8_bytes_2(walk, x, weights, acc);
    else if (U == 4) qd_count_words_2(walk, x, weights, acc);
    else qd_count_halves_2(walk, x, weights, acc);
}

/* Pairs of 8-bit pixels as in counts_neon.h: acc[2 * pixel + vector]. */
QD_NEON_INLINE void qd_add_pairs(const int masked, const qd_walk *walk, const uint8_t *weights, uint16x8_t *acc) {
    const uint8_t *x[4];
    uint16x8_t sums[8];
    for (size_t p = 0; p < 4; p++) x[p] = walk->x[p];
    for (size_t i = 0; i < 8; i++) sums[i] = vdupq_n_u16(0);
    for (size_t k = walk->steps; k > 0; k--) {
        uint8x16_t w[4];
        for (size_t i = 0; i < (masked ? 4 : 2); i++) w[i] = vld1q_u8(weights + 16 * i);
        weights += masked ? 64 : 32;
        for (size_t p = 0; p < 4; p++) {
            const uint8x16_t copies = qd_halves(x[p]);
            x[p] += 2;
            for (size_t i = 0; i < 2; i++) {
                const uint8x16_t turned = veorq_u8(w[i], copies);
                sums[2 * p + i] = vpadalq_u8(sums[2 * p + i], masked ? vandq_u8(turned, w[2 + i]) : turned);
            }
        }
    }
    for (size_t i = 0; i < 8; i++) acc[i] = sums[i];
}

QD_NEON_INLINE void qd_add_plain_4(const qd_walk *walk, const uint8_t *weights, uint16x8_t *acc) {
    qd_add_pairs(0, walk, weights, acc);
}

QD_NEON_INLINE void qd_add_masked_4(const qd_walk *walk, const uint8_t *weights, uint16x8_t *acc) {
    qd_add_pairs(1, walk, weights, acc);
}

#endif
