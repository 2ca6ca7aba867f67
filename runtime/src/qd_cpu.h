/* Processor features that kernels may need. */
#ifndef QD_CPU_H
#define QD_CPU_H

#include <stdint.h>

/* AVX512: F, BW, DQ, VL, VBMI, VNNI and VPOPCNTDQ, as Ice Lake, Zen 4 and their successors have them, with AVX2 and FMA. */
enum { QD_CPU_AVX2 = 1, QD_CPU_FMA = 2, QD_CPU_NEON = 4, QD_CPU_AVX512 = 8, QD_CPU_PCLMUL = 16, QD_CPU_DOTPROD = 32 };

/* Of compilers for Arm, which know NEON (32-bit) or dot products in single functions of a program that does without. */
#if defined(__GNUC__) && (!defined(__clang__) || __clang_major__ >= 19)
#define QD_NEON_BY_FUNCTION 1
#else
#define QD_NEON_BY_FUNCTION 0
#endif

/*
 * Whether there are kernels for NEON. 32-bit Arm: where every processor has it that the compiler makes code for, or where Linux tells
 * which has; bytes in the order of words, floats in registers of their own.
 */
#if defined(__aarch64__)
#define QD_NEON_KERNELS 1
#elif defined(__arm__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && defined(__ARM_NEON)
#define QD_NEON_KERNELS 1
#elif defined(__arm__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && defined(__linux__) && __STDC_HOSTED__ && defined(__ARM_FP) && \
    __ARM_ARCH >= 7 && QD_NEON_BY_FUNCTION
#define QD_NEON_KERNELS 1
#else
#define QD_NEON_KERNELS 0
#endif

/* Whether there are kernels with dot products, in functions of programs for any AArch64. */
#if defined(__aarch64__) && (defined(__ARM_FEATURE_DOTPROD) || QD_NEON_BY_FUNCTION)
#define QD_DOTPROD_KERNELS 1
#else
#define QD_DOTPROD_KERNELS 0
#endif

/* The features of the machine that runs this, as far as the operating system lets programs use them. */
uint32_t qd_cpu_features(void);

#endif
