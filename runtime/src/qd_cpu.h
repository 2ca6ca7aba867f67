/* Processor features that kernels may need. */
#ifndef QD_CPU_H
#define QD_CPU_H

#include <stdint.h>

/* AVX512: F, BW, DQ, VL, VBMI, VNNI and VPOPCNTDQ, as Ice Lake, Zen 4 and their successors have them, with AVX2 and FMA. */
enum { QD_CPU_AVX2 = 1, QD_CPU_FMA = 2, QD_CPU_NEON = 4, QD_CPU_AVX512 = 8, QD_CPU_PCLMUL = 16 };

/* The features of the machine that runs this, as far as the operating system lets programs use them. */
uint32_t qd_cpu_features(void);

#endif
