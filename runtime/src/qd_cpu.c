/*
 * Finds processor features, without a library: cpuid and xgetbv on x86-64; on AArch64 NEON is part of the base. Of the rest on Arm
 * only the system can tell, where the compiler was not told.
 */
#include "qd_cpu.h"

#if defined(__x86_64__)

#include <cpuid.h>

/* Which register states the operating system saves. Call only if cpuid says OSXSAVE. */
static uint32_t saved_states(void) {
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    (void)high;
    return low;
}

uint32_t qd_cpu_features(void) {
    const uint32_t osxsave = 1u << 27, avx = 1u << 28, fma = 1u << 12, avx2 = 1u << 5, pclmul_sse41 = 1u << 1 | 1u << 19;
    const uint32_t xmm_and_ymm = 6, and_zmm = 0xE6; /* 0xE0: masks, upper halves, upper registers */
    /* Foundation, DQ, BW, VL in ebx; VBMI, VNNI, VPOPCNTDQ in ecx. */
    const uint32_t wide_b = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31, wide_c = 1u << 1 | 1u << 11 | 1u << 14;
    uint32_t a, b, c, d, features = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
    if ((c & pclmul_sse41) == pclmul_sse41) features |= QD_CPU_PCLMUL;
    if ((c & osxsave) == 0 || (c & avx) == 0 || (saved_states() & xmm_and_ymm) != xmm_and_ymm) return features;
    if (c & fma) features |= QD_CPU_FMA;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & avx2)) return features;
    features |= QD_CPU_AVX2;
    if ((features & QD_CPU_FMA) && (b & wide_b) == wide_b && (c & wide_c) == wide_c && (saved_states() & and_zmm) == and_zmm) {
        features |= QD_CPU_AVX512;
    }
    return features;
}

#elif QD_NEON_KERNELS && !defined(__aarch64__) && !defined(__ARM_NEON)

#include <sys/auxv.h>

uint32_t qd_cpu_features(void) {
    const unsigned long neon = 1ul << 12; /* of AT_HWCAP */
    return getauxval(AT_HWCAP) & neon ? QD_CPU_NEON : 0;
}

#elif defined(__aarch64__) && defined(__linux__) && __STDC_HOSTED__

#include <sys/auxv.h>

uint32_t qd_cpu_features(void) {
    const unsigned long dot_products = 1ul << 20; /* of AT_HWCAP */
    return QD_CPU_NEON | (getauxval(AT_HWCAP) & dot_products ? QD_CPU_DOTPROD : 0u);
}

#elif QD_NEON_KERNELS

uint32_t qd_cpu_features(void) { return QD_CPU_NEON; }

#else

uint32_t qd_cpu_features(void) { return 0; }

#endif
