/* Integer inner product by weights of few bits with NEON: a pair of weights of eight channels is widened, then multiplied in. */
#include "specialise.h"

#if QD_NEON_KERNELS

#include "neon.h"

#define INLINE QD_NEON_INLINE

/* -1 in the lanes whose place, a bit, is set in the two bytes at w. */
INLINE int16x8_t lanes_of_bits(const uint8_t *w, uint16x8_t place) {
    return vreinterpretq_s16_u16(vtstq_u16(vdupq_n_u16((uint16_t)(w[0] | w[1] << 8)), place));
}

/* The first (term 0) or second weight of the pair, of eight channels. */
INLINE int16x8_t widen(const uint8_t *w, const qd_small_form form, const size_t term) {
    static const uint16_t places[2][8] = {{1, 4, 16, 64, 256, 1024, 4096, 16384}, {2, 8, 32, 128, 512, 2048, 8192, 32768}};
    if (form == QD_SMALL_INT4) {
        const int8x8_t v = vreinterpret_s8_u8(vld1_u8(w));
        return vmovl_s8(term == 0 ? vshr_n_s8(vshl_n_s8(v, 4), 4) : vshr_n_s8(v, 4));
    } else {
        const uint16x8_t place = vld1q_u16(places[term]);
        const int16x8_t minus = lanes_of_bits(w, place);
        if (form == QD_SMALL_MASKS) return vnegq_s16(minus);
        if (form == QD_SMALL_BITS) return vorrq_s16(minus, vdupq_n_s16(1));
        return vsubq_s16(vaddq_s16(minus, minus), lanes_of_bits(w + 2, place)); /* -2 + 1, 0 + 1 or 0 */
    }
}

/* Where this is used, P (1 or 4 pixels computed) and the form are constants. */
INLINE void block(const size_t P, const uint8_t *weights, const qd_small_form form, size_t pairs, const int16_t *patch, size_t stride,
                  size_t pixels, int32_t *acc, size_t acc_stride) {
    int32x4_t low[4], high[4];
    const int16_t *x[4];
    for (size_t p = 0; p < P; p++) {
        x[p] = patch + (p < pixels ? p : 0) * stride;
        low[p] = high[p] = vdupq_n_s32(0);
    }
    for (size_t k = 0; k < pairs; k++) {
        const uint8_t *pair = weights + k * qd_small_pair_bytes(form);
        const int16x8_t first = widen(pair, form, 0), second = widen(pair, form, 1);
        for (size_t p = 0; p < P; p++) {
            low[p] = vmlal_n_s16(low[p], vget_low_s16(first), x[p][2 * k]);
            high[p] = vmlal_n_s16(high[p], vget_high_s16(first), x[p][2 * k]);
            low[p] = vmlal_n_s16(low[p], vget_low_s16(second), x[p][2 * k + 1]);
            high[p] = vmlal_n_s16(high[p], vget_high_s16(second), x[p][2 * k + 1]);
        }
    }
    for (size_t p = 0; p < P && p < pixels; p++) {
        vst1q_s32(acc + p * acc_stride, low[p]);
        vst1q_s32(acc + p * acc_stride + 4, high[p]);
    }
}

#define BLOCK(P, form) block(P, weights, form, pairs, patch, patch_stride, pixels, acc, acc_stride)

QD_NEON_TARGET void qd_conv_small_neon(const uint8_t *weights, qd_small_form form, size_t pairs, const int16_t *patch, size_t patch_stride,
                                       size_t pixels, int32_t *acc, size_t acc_stride) {
    QD_EACH_SMALL(pixels, form, BLOCK);
}

#endif
