/*
 * Sums of products of 8-bit maps with the DSP instructions of 32-bit Arm: four output channels of two output pixels at a time.
 *
 * USADA8 adds up |u - b| of four bytes, which is u where b is 0, and 255 - u where b is 255. So weights of +1 and -1 take one instruction for four
 * terms; weights that may be 0 take two, whose b are equal but for weights of 0: u + 255 - u is the same for every u. u is a pixel, or x + 128
 * of int8. Other weights are widened to 16 bits, for SMLAD.
 */
#ifndef QD_SUMS_ARM32_H
#define QD_SUMS_ARM32_H

#include <stddef.h>
#include <stdint.h>

/* Four sums of two output pixels, as the assembly below has them. */
typedef struct qd_sums {
    int32_t start[4];
    const uint8_t *x;
    const uint8_t *words;
    size_t apart;      /* from the taps of the first pixel to the other's */
    size_t bytes;      /* of a row of the kernel, a multiple of 4 */
    size_t rows;       /* of the kernel, at least 1 */
    size_t x_skip;     /* bytes from the end of one to the beginning of the next */
    size_t words_skip; /* the same of weights */
    int32_t acc[2][4]; /* the result */
} qd_sums;

/*
 * Eight terms a turn, or four in the first. r1 to r8: accumulators, r9: x, r10: words; at sp how far the pixels are apart, then the end of a row and
 * how many are left. Loads stand together, or two steps before their result is used.
 */
#define BOTH(at, then_x) "ldr r11, [sp]\n ldr r12, [r10, #" #at "]\n ldr r11, [r9, r11]\n ldr r0, [r9]" then_x "\n ldr lr, [r10, #" #at " + 4]\n"
#define FOUR(op, at, then)                                                                                  \
    op " r5, r11, r12, r5\n" op " r1, r0, r12, r1\n ldr r12, [r10, #" #at " + 8]\n"                         \
    op " r6, r11, lr, r6\n" op " r2, r0, lr, r2\n ldr lr, [r10, #" #at " + 12]\n"                           \
    op " r7, r11, r12, r7\n" op " r3, r0, r12, r3\n" then op " r8, r11, lr, r8\n" op " r4, r0, lr, r4\n"
#if defined(__thumb2__)
#define ABOVE_0 "eor r11, r11, #0x80808080\n eor r0, r0, #0x80808080\n"
#else
#define FLIP(bits) "eor r11, r11, #" #bits "\n eor r0, r0, #" #bits "\n"
#define ABOVE_0 FLIP(0x80) FLIP(0x8000) FLIP(0x800000) FLIP(0x80000000)
#endif
#define HALVES(xtb16, odd) xtb16 " r11, r11" odd "\n " xtb16 " r0, r0" odd "\n"
#define THE_END "ldr r12, [sp, #4]\n"

#define U_SIGNS(at, then) BOTH(at, ", #4") FOUR("usada8", at, then)
#define X_SIGNS(at, then) BOTH(at, ", #4") ABOVE_0 FOUR("usada8", at, then)
#define DIGITS_(at, then) FOUR("usada8", at, "ldr r12, [r10, #" #at " + 16]\n") "ldr lr, [r10, #" #at " + 20]\n" FOUR("usada8", at + 16, then)
#define U_DIGITS(at, then) BOTH(at, ", #4") DIGITS_(at, then)
#define X_DIGITS(at, then) BOTH(at, ", #4") ABOVE_0 DIGITS_(at, then)
#define BYTES_(xtb16, at, then)                                                                                 \
    BOTH(at, "") HALVES(xtb16, "") FOUR("smlad", at, "") BOTH(at + 16, ", #4") HALVES(xtb16, ", ror #8") FOUR("smlad", at + 16, then)
#define U_BYTES(at, then) BYTES_("uxtb16", at, then)
#define X_BYTES(at, then) BYTES_("sxtb16", at, then)

#define ADD(name, STEP, size)                                                                                                                 \
    __attribute__((naked, noinline)) static void name(qd_sums *s __attribute__((unused))) {                                                   \
        __asm__("push {r0, r4-r11, lr}\n sub sp, sp, #16\n ldm r0, {r1-r4, r9-r11}\n ldr r12, [r0, #32]\n str r11, [sp]\n"                    \
                "mov r5, r1\n mov r6, r2\n mov r7, r3\n mov r8, r4\n str r12, [sp, #8]\n"                                                     \
                "1: ldr r12, [r0, #28]\n tst r12, #4\n add r12, r12, r9\n str r12, [sp, #4]\n bne 3f\n"                                       \
                "2: " STEP(0, "") "4: " STEP(size, THE_END) "add r10, r10, #2 * " #size "\n cmp r9, r12\n bne 2b\n"                           \
                "ldr r0, [sp, #16]\n ldr r11, [sp, #8]\n subs r11, r11, #1\n beq 5f\n"                                                        \
                "ldr r12, [r0, #36]\n ldr lr, [r0, #40]\n str r11, [sp, #8]\n add r9, r9, r12\n add r10, r10, lr\n b 1b\n"                    \
                "5: add r0, r0, #44\n stm r0, {r1-r8}\n add sp, sp, #20\n pop {r4-r11, pc}\n"                                                 \
                "3: sub r10, r10, #" #size "\n b 4b\n" ::: "memory");                                                                         \
    }
ADD(qd_add_u_signs, U_SIGNS, 16)
ADD(qd_add_x_signs, X_SIGNS, 16)
ADD(qd_add_u_digits, U_DIGITS, 32)
ADD(qd_add_x_digits, X_DIGITS, 32)
ADD(qd_add_u_bytes, U_BYTES, 32)
ADD(qd_add_x_bytes, X_BYTES, 32)

#endif
