/* Words of four bytes per output channel, the form in which AVX-512 counts and multiplies, made from the file's weight layouts. */
#ifndef QD_WORDS_AVX512_H
#define QD_WORDS_AVX512_H

#include <string.h>

#include "avx512.h"

/* The first n bytes at p, at most 4, the rest 0. */
static inline uint32_t qd_short_word(const uint8_t *p, size_t n) {
    uint32_t word = 0;
    for (size_t i = 0; i < n && i < 4; i++) word |= (uint32_t)p[i] << (8 * i);
    return word;
}

static inline uint32_t qd_word(const uint8_t *p) {
    uint32_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

/*
 * Bytes k..k+3 of the first 16 Q output channels of a lane-major block of `lanes` lanes. rows: at byte k. step: bytes from there to byte k + 1,
 * more than `lanes` where a byte has several planes. valid: bit i says that byte k + i is wanted; the others are 0 and are not read.
 */
QD_AVX512_INLINE void qd_words_of_bits(const int Q, const uint8_t *rows, size_t lanes, size_t step, unsigned valid, __m512i *words) {
    const __m512i lane = _mm512_mullo_epi32(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
                                            _mm512_set1_epi32(0x01010101));
    if (lanes == 16 && step == 16 && valid == 15) {
        words[0] = _mm512_permutexvar_epi8(_mm512_add_epi8(lane, _mm512_set1_epi32(0x30201000)), _mm512_loadu_si512(rows));
    } else {
        const __mmask32 wanted = Q == 1 ? 0xFFFF : 0xFFFFFFFF;
        __m256i part[4];
        __m512i low, high;
        _Pragma("GCC unroll 4") for (unsigned i = 0; i < 4; i++) part[i] = _mm256_maskz_loadu_epi8(valid >> i & 1u ? wanted : 0, rows + i * step);
        low = _mm512_inserti64x4(_mm512_castsi256_si512(part[0]), part[1], 1);
        high = _mm512_inserti64x4(_mm512_castsi256_si512(part[2]), part[3], 1);
        words[0] = _mm512_permutex2var_epi8(low, _mm512_add_epi8(lane, _mm512_set1_epi32(0x60402000)), high);
        if (Q == 2) words[1] = _mm512_permutex2var_epi8(low, _mm512_add_epi8(lane, _mm512_set1_epi32(0x70503010)), high);
    }
}

/* Elements k..k+3 of the 8 channels of a pair-major block of `pairs` pairs, those not wanted 0. */
QD_AVX512_INLINE __m256i qd_words_of_int8(const int8_t *block, size_t pairs, size_t k, unsigned valid) {
    const size_t p = k / 2;
    __m256i part[3], words;
    uint32_t wanted = 0;
    for (size_t i = 0; i < 3; i++) {
        part[i] = p + i < pairs ? _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)(block + (p + i) * 16)))
                                : _mm256_setzero_si256();
    }
    for (unsigned i = 0; i < 4; i++) {
        if (valid >> i & 1u) wanted |= 0xFFu << (8 * i);
    }
    if (k % 2 == 0) {
        words = _mm256_or_si256(part[0], _mm256_slli_epi32(part[1], 16));
    } else {
        words = _mm256_or_si256(_mm256_srli_epi32(part[0], 8), _mm256_slli_epi32(part[1], 8));
        words = _mm256_or_si256(words, _mm256_slli_epi32(part[2], 24));
    }
    return _mm256_and_si256(words, _mm256_set1_epi32((int)wanted));
}

#endif
