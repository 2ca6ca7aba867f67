/* Signs with AVX2: a comparison, not the sign bit, so that -0.0 counts as +1 and NaN as -1. */
#if defined(__x86_64__)

#include <immintrin.h>

#include "qd_kernel.h"

__attribute__((target("avx2"))) void qd_sign_avx2(const float *in, size_t channels, uint8_t *out) {
    const __m256 zero = _mm256_setzero_ps();
    size_t i = 0;
    for (; i + 8 <= channels; i += 8) {
        out[i / 8] = (uint8_t)_mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(in + i), zero, _CMP_NGE_UQ));
    }
    if (i < channels) qd_sign_ref(in + i, channels - i, out + i / 8);
}

#else
typedef int qd_sign_avx2_is_for_x86_64;
#endif
