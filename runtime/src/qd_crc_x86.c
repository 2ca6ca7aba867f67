/*
 * zlib's CRC-32 by carry-less multiplication (Gopal et al. 2009, "Fast CRC computation for generic polynomials using PCLMULQDQ"):
 * four vectors of 16 bytes are folded over the next 64 bytes at a time, then into one, then reduced by Barrett's method.
 * The constants are x^n mod P for the distances, bits reflected.
 */
#include "qd_crc.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define TARGET __attribute__((target("pclmul,sse4.1")))

TARGET static __m128i at(const uint8_t *p) { return _mm_loadu_si128((const __m128i *)(const void *)p); }

/* x moved on by the distance of k, over y. */
TARGET static __m128i fold(__m128i x, __m128i k, __m128i y) {
    return _mm_xor_si128(_mm_xor_si128(_mm_clmulepi64_si128(x, k, 0x00), _mm_clmulepi64_si128(x, k, 0x11)), y);
}

TARGET uint32_t qd_crc32_folded(uint32_t crc, const uint8_t *p, size_t n) {
    const __m128i by_64 = _mm_set_epi64x(0x01C6E41596, 0x0154442BD4), by_16 = _mm_set_epi64x(0x00CCAA009E, 0x01751997D0);
    const __m128i by_8 = _mm_set_epi64x(0, 0x0163CD6124), barrett = _mm_set_epi64x(0x01F7011641, 0x01DB710641);
    const __m128i lower = _mm_setr_epi32(-1, 0, -1, 0);
    __m128i x0 = _mm_xor_si128(at(p), _mm_cvtsi32_si128((int)crc)), x1 = at(p + 16), x2 = at(p + 32), x3 = at(p + 48), y;
    for (p += 64, n -= 64; n >= 64; p += 64, n -= 64) {
        x0 = fold(x0, by_64, at(p));
        x1 = fold(x1, by_64, at(p + 16));
        x2 = fold(x2, by_64, at(p + 32));
        x3 = fold(x3, by_64, at(p + 48));
    }
    x0 = fold(fold(fold(x0, by_16, x1), by_16, x2), by_16, x3);
    for (; n >= 16; p += 16, n -= 16) x0 = fold(x0, by_16, at(p));
    x0 = _mm_xor_si128(_mm_clmulepi64_si128(x0, by_16, 0x10), _mm_srli_si128(x0, 8)); /* 128 bits to 96, to 64 */
    y = _mm_srli_si128(x0, 4);
    x0 = _mm_xor_si128(_mm_clmulepi64_si128(_mm_and_si128(x0, lower), by_8, 0x00), y);
    y = _mm_clmulepi64_si128(_mm_and_si128(x0, lower), barrett, 0x10);
    y = _mm_clmulepi64_si128(_mm_and_si128(y, lower), barrett, 0x00);
    return (uint32_t)_mm_extract_epi32(_mm_xor_si128(x0, y), 1);
}

#else
typedef int qd_crc_is_for_x86_64;
#endif
