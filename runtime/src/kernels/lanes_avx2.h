/*
 * Sums of output channels in byte lanes, for whole convolutions with AVX2: P output pixels, of each Q blocks of 32 channels, or (Q = 0)
 * 16 channels of two pixels side by side in a vector.
 *
 * A lane counts in a byte as long as that holds it. Longer counts go on in 16 bits, the even channels and the odd ones apart: `all` adds
 * the bytes in pairs, even + 256 odd, `odd` the upper ones, and even = all - 256 odd. acc = most - 2^shift n lies in [-most, most], and
 * acc < threshold is n >= limit = floor((most - threshold) / 2^shift) + 1; a threshold that is cut to [-most, most + 1] has the same
 * answers.
 */
#ifndef QD_LANES_AVX2_H
#define QD_LANES_AVX2_H

#include "avx2.h"

/* What is the same for all output pixels of two bands and for up to 64 output channels. */
typedef struct qd_lanes {
    const uint8_t *weights; /* of the first tap inside */
    size_t block;           /* bytes from a block of 32 channels to the next */
    size_t rows, pieces;    /* kernel rows inside; stretches of bytes of one */
    size_t bytes;           /* of a stretch */
    size_t next, next_row;  /* in the map, from a stretch to the next of its kernel row, and from a row to the next */
    size_t row;             /* bytes of a kernel row of weights, per lane */
    size_t first, channels;
    int32_t most;
    int shift;
    int narrow;             /* all counts stay in bytes */
    __m256i limit[2][2];    /* of a block: of bytes, or of 16 bits of even and odd channels */
} qd_lanes;

QD_AVX2_INLINE __m256i qd_load(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }

QD_AVX2_INLINE void qd_lanes_widen(__m256i *wide, __m256i count) {
    wide[0] = _mm256_add_epi16(wide[0], count);
    wide[1] = _mm256_add_epi16(wide[1], _mm256_srli_epi16(count, 8));
}

QD_AVX2_INLINE uint32_t qd_lanes_reached_bytes(__m256i count, __m256i limit) {
    return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_max_epu8(count, limit), count));
}

/* A bit per byte lane: 1 where the count, in bytes or wide, is at least the limit. */
QD_AVX2_INLINE uint32_t qd_lanes_reached(const qd_lanes *t, __m256i count, const __m256i *wide, const __m256i *limit) {
    if (t->narrow) return qd_lanes_reached_bytes(count, limit[0]);
    const __m256i even = _mm256_sub_epi16(wide[0], _mm256_slli_epi16(wide[1], 8));
    const __m256i yes = _mm256_cmpeq_epi16(_mm256_max_epu16(even, limit[0]), even);
    const __m256i odd_yes = _mm256_cmpeq_epi16(_mm256_max_epu16(wide[1], limit[1]), wide[1]);
    return (uint32_t)_mm256_movemask_epi8(_mm256_or_si256(_mm256_srli_epi16(yes, 8), _mm256_slli_epi16(odd_yes, 8)));
}

QD_AVX2_INLINE void qd_lanes_store8(int32_t *acc, __m128i counts, const qd_lanes *t) {
    const __m256i n = _mm256_sll_epi32(_mm256_cvtepu16_epi32(counts), _mm_cvtsi32_si128(t->shift));
    _mm256_storeu_si256((__m256i *)(void *)acc, _mm256_sub_epi32(_mm256_set1_epi32(t->most), n));
}

/* Accumulators of 32 byte lanes: those of the lower 16 and of the upper. */
QD_AVX2_INLINE void qd_lanes_values(const qd_lanes *t, __m256i count, const __m256i *wide, int32_t *lower, int32_t *upper) {
    const __m256i odd = t->narrow ? _mm256_srli_epi16(count, 8) : wide[1];
    const __m256i even = _mm256_sub_epi16(t->narrow ? count : wide[0], _mm256_slli_epi16(odd, 8));
    const __m256i low = _mm256_unpacklo_epi16(even, odd), high = _mm256_unpackhi_epi16(even, odd);
    qd_lanes_store8(lower, _mm256_castsi256_si128(low), t);
    qd_lanes_store8(lower + 8, _mm256_castsi256_si128(high), t);
    qd_lanes_store8(upper, _mm256_extracti128_si256(low, 1), t);
    qd_lanes_store8(upper + 8, _mm256_extracti128_si256(high, 1), t);
}

/* The bits of a pixel from `first` on: of two blocks of 32 channels, of the second of two, or fewer, and spare ones to a multiple of 8. */
QD_AVX2_INLINE void qd_lanes_store_bits(const qd_map *m, size_t first, uint64_t bits, size_t pixel) {
    uint8_t *to = m->out + pixel * m->out_pixel + first / 8;
    if (m->out_pixel >= 8 && first % 64 == 0) memcpy(to, &bits, 8);
    else if (m->out_pixel >= 4) memcpy(to, &bits, 4);
    else if (m->out_pixel == 2) memcpy(to, &bits, 2);
    else to[0] = (uint8_t)bits;
}

/* n <= P pixels from their counts. */
QD_AVX2_INLINE void qd_lanes_finish(const int P, const int Q, const qd_map *m, const qd_lanes *t, size_t n,
                                    const __m256i *count, const __m256i (*wide)[2], const size_t *pixel) {
    if (m->thresholds) {
        _Pragma("GCC unroll 4") for (int p = 0; p < P; p++) {
            if (Q) {
                uint64_t bits = qd_lanes_reached(t, count[p * Q], wide[p * Q], t->limit[0]);
                if (Q == 2) bits |= (uint64_t)qd_lanes_reached(t, count[p * Q + 1], wide[p * Q + 1], t->limit[1]) << 32;
                qd_lanes_store_bits(m, t->first, bits, pixel[p]);
            } else if (p % 2 == 0) {
                const uint32_t bits = qd_lanes_reached(t, count[p / 2], wide[p / 2], t->limit[0]);
                qd_lanes_store_bits(m, 0, bits & 0xFFFF, pixel[p]);
                if (p + 1 < P) qd_lanes_store_bits(m, 0, bits >> 16, pixel[p + 1]);
            }
        }
    } else {
        int32_t acc[4][64];
        for (int p = 0; p < P; p++) {
            for (int q = 0; q < Q; q++) qd_lanes_values(t, count[p * Q + q], wide[p * Q + q], acc[p] + 32 * q, acc[p] + 32 * q + 16);
            if (!Q && p % 2 == 0) qd_lanes_values(t, count[p / 2], wide[p / 2], acc[p], acc[p + 1]);
        }
        for (size_t p = 0; p < n; p++) qd_store_values(m, t->first, t->channels, acc[p], pixel[p]);
    }
}

/* Limits of 16 channels, 0..65535, in 16 bits, n of them in use. */
QD_AVX2_INLINE __m256i qd_limits16(const int32_t *thresholds, size_t n, const qd_lanes *t) {
    const __m256i most = _mm256_set1_epi32(t->most), least = _mm256_set1_epi32(-t->most), one = _mm256_set1_epi32(1);
    const __m128i shift = _mm_cvtsi32_si128(t->shift);
    __m256i part[2];
    for (size_t i = 0; i < 2; i++) {
        const __m256i used = _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n - 8 * (int)i), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
        __m256i v = n > 8 * i ? _mm256_maskload_epi32(thresholds + 8 * i, used) : least;
        v = _mm256_max_epi32(_mm256_min_epi32(v, _mm256_add_epi32(most, one)), least);
        v = _mm256_blendv_epi8(least, v, used); /* no count reaches the limit of a lane without a channel */
        part[i] = _mm256_add_epi32(_mm256_sra_epi32(_mm256_sub_epi32(most, v), shift), one);
    }
    return _mm256_permute4x64_epi64(_mm256_packus_epi32(part[0], part[1]), 0xD8);
}

QD_AVX2_INLINE void qd_lanes_limits(const int Q, const qd_map *m, qd_lanes *t) {
    const __m256i lower = _mm256_set1_epi32(0xFFFF);
    for (size_t q = 0; q < (Q == 2 ? 2u : 1u); q++) {
        const size_t n = t->channels > 32 * q ? t->channels - 32 * q : 0;
        const int32_t *thresholds = m->thresholds + t->first + 32 * q;
        const __m256i x = qd_limits16(thresholds, n < 16 ? n : 16, t);
        const __m256i y = Q ? qd_limits16(thresholds + (n < 16 ? 0 : 16), n < 16 ? 0 : n - 16 < 16 ? n - 16 : 16, t) : x;
        if (t->narrow) {
            t->limit[q][0] = _mm256_permute4x64_epi64(_mm256_packus_epi16(x, y), 0xD8);
        } else {
            const __m256i even = _mm256_packus_epi32(_mm256_and_si256(x, lower), _mm256_and_si256(y, lower));
            const __m256i odd = _mm256_packus_epi32(_mm256_srli_epi32(x, 16), _mm256_srli_epi32(y, 16));
            t->limit[q][0] = _mm256_permute4x64_epi64(even, 0xD8);
            t->limit[q][1] = _mm256_permute4x64_epi64(odd, 0xD8);
        }
    }
}

/* Channels from `first` on: 64, 32, or all of at most 16. */
typedef void qd_lanes_group(const qd_map *m, size_t first);

/* A whole convolution by groups; without run_64 by 32. The spare bits of its signs are cleared. */
static inline int qd_lanes_run(const qd_map *m, qd_lanes_group *run_16, qd_lanes_group *run_32, qd_lanes_group *run_64) {
    if (m->out_channels <= 16) {
        run_16(m, 0);
    } else {
        for (size_t first = 0; first < m->out_channels;) {
            const int two = run_64 && m->out_channels - first > 32;
            (two ? run_64 : run_32)(m, first);
            first += two ? 64 : 32;
        }
    }
    qd_clear_spare_signs(m, (m->out_channels + 7) / 8);
    return QD_MAP_SIGNED;
}

#endif
