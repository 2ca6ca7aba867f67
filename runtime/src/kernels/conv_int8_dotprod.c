/*
 * Integer inner product with dot products of bytes. Of an activation x let l be the lower byte with a sign, h the upper one and c = -1 where l < 0, else 0:
 * x = l + 256 (h - c). Activations of one byte have h = c, and take l only. Each of the three sums may wrap, for what they make together does not.
 */
#include "qd_kernel.h"

#if QD_DOTPROD_KERNELS

#include "dotprod.h"

/* 16 terms of four pixels at x, weights of four terms after four at w: sums of l, or of h and c. `more` keeps a bit where h and c differ. */
QD_DOTPROD_INLINE void add16(const int upper, const int8x16_t *w, const int16_t *const *x, int32x4_t (*sums)[2], int32x4_t (*less)[2],
                             uint8x16_t *more) {
    _Pragma("GCC unroll 4") for (size_t p = 0; p < 4; p++) {
        const int8x16_t a = vreinterpretq_s8_s16(vld1q_s16(x[p])), b = vreinterpretq_s8_s16(vld1q_s16(x[p] + 8));
        const int8x16_t l = vuzp1q_s8(a, b), h = vuzp2q_s8(a, b), c = vshrq_n_s8(l, 7), v = upper ? h : l;
#define TERMS(to, lane, of)                                                              \
    (to)[p][0] = vdotq_laneq_s32((to)[p][0], w[(size_t)2 * (lane)], of, lane);           \
    (to)[p][1] = vdotq_laneq_s32((to)[p][1], w[(size_t)2 * (lane) + 1], of, lane)
        TERMS(sums, 0, v);
        TERMS(sums, 1, v);
        TERMS(sums, 2, v);
        TERMS(sums, 3, v);
        if (upper) {
            TERMS(less, 0, c);
            TERMS(less, 1, c);
            TERMS(less, 2, c);
            TERMS(less, 3, c);
        } else {
            *more = vorrq_u8(*more, vreinterpretq_u8_s8(veorq_s8(h, c)));
        }
    }
}

/* All terms. */
QD_DOTPROD_INLINE void add(const int upper, const int8_t *weights, size_t pairs, const int16_t *patch, size_t stride, size_t pixels,
                           int32x4_t (*sums)[2], int32x4_t (*less)[2], uint8x16_t *more) {
    int8_t last[128] = {0};
    int16_t rest[4][16] = {{0}};
    const int16_t *x[4];
    _Pragma("GCC unroll 4") for (size_t p = 0; p < 4; p++) {
        x[p] = patch + (p < pixels ? p : 0) * stride;
        memcpy(rest[p], x[p] + pairs / 8 * 16, pairs % 8 * 4);
        sums[p][0] = sums[p][1] = less[p][0] = less[p][1] = vdupq_n_s32(0);
    }
    memcpy(last, weights + pairs / 8 * 128, pairs % 8 * 16);
    for (size_t k = 0; k < pairs; k += 8, weights += 128) {
        const int8_t *from = k + 8 <= pairs ? weights : last;
        int8x16_t w[8];
        for (size_t p = 0; p < 4 && from == last; p++) x[p] = rest[p];
        _Pragma("GCC unroll 4") for (size_t i = 0; i < 4; i++) qd_four_terms(vld1q_s8(from + 32 * i), vld1q_s8(from + 32 * i + 16), w + 2 * i);
        add16(upper, w, x, sums, less, more);
        _Pragma("GCC unroll 4") for (size_t p = 0; p < 4; p++) x[p] += 16;
    }
}

QD_DOTPROD_TARGET void qd_conv_int8_dotprod(const int8_t *weights, size_t pairs, const int16_t *patch, size_t patch_stride, size_t pixels, int32_t *acc,
                                            size_t acc_stride) {
    int32x4_t sums[4][2], high[4][2], less[4][2];
    uint8x16_t more = vdupq_n_u8(0);
    add(0, weights, pairs, patch, patch_stride, pixels, sums, less, &more);
    if (vmaxvq_u8(more)) {
        add(1, weights, pairs, patch, patch_stride, pixels, high, less, &more);
        _Pragma("GCC unroll 4") for (size_t p = 0; p < 4; p++) {
            _Pragma("GCC unroll 2") for (size_t i = 0; i < 2; i++) {
                sums[p][i] = vaddq_s32(sums[p][i], vshlq_n_s32(vsubq_s32(high[p][i], less[p][i]), 8));
            }
        }
    }
    _Pragma("GCC unroll 4") for (size_t p = 0; p < 4; p++) {
        if (p >= pixels) break;
        vst1q_s32(acc + p * acc_stride, sums[p][0]);
        vst1q_s32(acc + p * acc_stride + 4, sums[p][1]);
    }
}

#else
typedef int qd_conv_int8_dotprod_is_for_aarch64;
#endif
