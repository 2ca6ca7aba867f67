/* What becomes of accumulators that lie in vectors of eight channels: bits, streams or themselves. */
#ifndef QD_FINISH_AVX2_H
#define QD_FINISH_AVX2_H

#include "avx2.h"

/* Bits of eight channels. */
QD_AVX2_INLINE unsigned qd_bits8(const int32_t *thresholds, __m256i acc) {
    const __m256i limit = _mm256_loadu_si256((const __m256i *)(const void *)thresholds);
    return (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(limit, acc)));
}

/* Q blocks of eight channels from `block` on of P output pixels from `pixel` on. P and Q, at most 4 and 2, are constants. */
QD_AVX2_INLINE void qd_finish(const int P, const int Q, const qd_map *m, size_t block, const __m256i (*acc)[2], size_t pixel) {
    const size_t c = 8 * block, channels = m->out_channels - c < 8 * (size_t)Q ? m->out_channels - c : 8 * (size_t)Q;
    if (channels < 8 * (size_t)Q || (!m->thresholds && !m->steps)) {
        for (size_t p = 0; p < (size_t)P; p++) {
            int32_t values[16];
            for (int q = 0; q < Q; q++) _mm256_storeu_si256((__m256i *)(void *)(values + 8 * q), acc[p][q]);
            if (m->thresholds) qd_pack_ref(values, m->thresholds + c, channels, m->out + (pixel + p) * m->out_pixel + block);
            else qd_store_values(m, c, channels, values, pixel + p);
        }
    } else if (m->thresholds) {
        uint8_t *to = m->out + pixel * m->out_pixel + block;
        _Pragma("GCC unroll 4") for (int p = 0; p < P; p++, to += m->out_pixel) {
            const uint16_t both = (uint16_t)(qd_bits8(m->thresholds + c, acc[p][0]) | (Q > 1 ? qd_bits8(m->thresholds + c + 8, acc[p][1]) << 8 : 0));
            if (Q > 1) memcpy(to, &both, 2);
            else to[0] = (uint8_t)both;
        }
    } else {
        _Pragma("GCC unroll 2") for (int q = 0; q < Q; q++) {
            const qd_steps8 s = qd_steps_from(m->steps, c + 8 * (size_t)q);
            for (int p = 0; p < P; p++) {
                const size_t at = (pixel + (size_t)p) * m->out_channels + c + 8 * (size_t)q;
                const __m256 v = qd_apply8(1, &s, acc[p][q], m->add ? _mm256_loadu_ps(m->add + at) : _mm256_set1_ps(-0.0f));
                _mm256_storeu_ps((float *)(void *)m->out + at, v);
                if (m->signs) m->signs[(pixel + (size_t)p) * m->sign_pixel + block + (size_t)q] = qd_signs8(v);
            }
        }
    }
}

#endif
