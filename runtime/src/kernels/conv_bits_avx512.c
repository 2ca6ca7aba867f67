/*
 * Binary inner product with AVX-512 VPOPCNTDQ: four bytes of weights per channel are brought together by permutations of bytes
 * and used for up to four pixels. This is the kernel for few pixels; conv_map_avx512.c is the one for whole maps.
 */
#if defined(__x86_64__)

#include "specialise.h"
#include "words_avx512.h"

/* Q vectors of 16 channels, P pixels: both constant where this is used. */
QD_AVX512_INLINE void block(const int P, const int Q, const uint8_t *weights, const uint8_t *patch, size_t stride,
                            const qd_run_span *runs, size_t n_runs, int32_t bits, int32_t *acc, size_t acc_stride) {
    __m512i count[4][2];
    _Pragma("GCC unroll 4") for (int p = 0; p < P; p++) count[p][0] = count[p][1] = _mm512_setzero_si512();
    for (size_t r = 0; r < n_runs; r++) {
        const size_t end = (size_t)runs[r].from + runs[r].length;
        for (size_t k = runs[r].from; k < end; k += 4) {
            const int whole = end - k >= 4;
            __m512i w[2];
            qd_words_of_bits(Q, weights + k * 16 * (size_t)Q, 16 * (size_t)Q, 16 * (size_t)Q, whole ? 15u : (1u << (end - k)) - 1, w);
            _Pragma("GCC unroll 4") for (int p = 0; p < P; p++) {
                const uint8_t *at = patch + (size_t)p * stride + k;
                const __m512i x = _mm512_set1_epi32((int)(whole ? qd_word(at) : qd_short_word(at, end - k)));
                _Pragma("GCC unroll 2") for (int q = 0; q < Q; q++) {
                    count[p][q] = _mm512_add_epi32(count[p][q], _mm512_popcnt_epi32(_mm512_xor_si512(x, w[q])));
                }
            }
        }
    }
    _Pragma("GCC unroll 4") for (int p = 0; p < P; p++) {
        _Pragma("GCC unroll 2") for (int q = 0; q < Q; q++) {
            const __m512i v = _mm512_sub_epi32(_mm512_set1_epi32(bits), _mm512_slli_epi32(count[p][q], 1));
            _mm512_storeu_si512(acc + (size_t)p * acc_stride + 16 * (size_t)q, v);
        }
    }
}

#define BLOCK32(P) block(P, 2, weights, patch, patch_stride, runs, n_runs, bits, acc, acc_stride)
#define BLOCK16(P) block(P, 1, weights, patch, patch_stride, runs, n_runs, bits, acc, acc_stride)

QD_AVX512_TARGET void qd_conv_bits_avx512(const uint8_t *weights, size_t lanes, const uint8_t *patch, size_t patch_stride,
                                          size_t pixels, const qd_run_span *runs, size_t n_runs, int32_t bits, int32_t *acc,
                                          size_t acc_stride) {
    if (lanes == 32) QD_EACH_PIXELS(pixels, BLOCK32);
    else QD_EACH_PIXELS(pixels, BLOCK16);
}

#else
typedef int qd_conv_bits_avx512_is_for_x86_64;
#endif
