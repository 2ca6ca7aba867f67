/* Brings activations and weights of trits, or of bits beside trits, into the order in which counts_trits_neon.h reads them. */
#ifndef QD_ORDER_TRITS_NEON_H
#define QD_ORDER_TRITS_NEON_H

#include "counts_trits_neon.h"

typedef struct qd_order {
    size_t unit, units;           /* bytes of a plane that a vector repeats: 16, 8 or 4; how many a pixel has */
    size_t planes, weight_planes; /* of the map, of the weights */
    int plus;                     /* planes of +1 instead of masks */
} qd_order;

/* A unit of one plane, repeated. */
QD_NEON_INLINE uint8x16_t qd_repeat(const size_t unit, uint8x8_t v) {
    return unit == 8 ? vcombine_u8(v, v) : vreinterpretq_u8_u32(vdupq_lane_u32(vreinterpret_u32_u8(v), 0));
}

/* n pixels of trits to `out`, and how many digits of each are not 0. */
QD_NEON_INLINE void spread_trits(const size_t unit, const qd_order *o, const uint8_t *in, size_t n, uint8_t *out, uint16_t *digits) {
    for (size_t i = 0; i < n; i++) {
        unsigned found = 0;
        for (size_t k = 0; k < o->units; k++, in += 2 * unit, out += 32) {
            uint8x16_t s, m;
            if (unit == 16) {
                const uint8x16x2_t v = vld2q_u8(in);
                s = v.val[0];
                m = v.val[1];
                found += vaddvq_u8(vcntq_u8(m));
            } else {
                const uint8x8_t low = vld1_u8(in), high = unit == 8 ? vld1_u8(in + 8) : low, masks = vuzp2_u8(low, high);
                s = qd_repeat(unit, vuzp1_u8(low, high));
                m = qd_repeat(unit, masks);
                found += vaddv_u8(vcnt_u8(masks));
            }
            vst1q_u8(out, s);
            vst1q_u8(out + 16, o->plus ? veorq_u8(m, s) : m);
        }
        digits[i] = (uint16_t)(unit == 4 ? found / 2 : found);
    }
}

static void qd_spread(const qd_order *o, const uint8_t *in, size_t n, uint8_t *out, uint16_t *digits) {
    if (o->planes == 2) {
        if (o->unit == 16) spread_trits(16, o, in, n, out, digits);
        else if (o->unit == 8) spread_trits(8, o, in, n, out, digits);
        else spread_trits(4, o, in, n, out, digits);
    } else if (o->unit == 8) {
        for (size_t i = 0; i < n * o->units; i++) vst1q_u8(out + 16 * i, qd_repeat(8, vld1_u8(in + 8 * i)));
    } else {
        for (size_t i = 0; i < n * o->units; i++) vst1q_u32((uint32_t *)(void *)(out + 16 * i), vld1q_dup_u32((const uint32_t *)(const void *)(in + 4 * i)));
    }
}

/* Rows [k, k + 4) of a plane of 16 channels as words, a channel each; the plane of +1 is what is in one of two. */
QD_NEON_INLINE void weight_words(const qd_order *o, const uint8_t *from, size_t row, size_t lanes, size_t plane, uint32_t *words) {
    uint8x16x4_t v;
    _Pragma("GCC unroll 4") for (size_t j = 0; j < 4; j++) {
        v.val[j] = vld1q_u8(from + j * row + plane * lanes);
        if (plane == 1 && o->plus) v.val[j] = veorq_u8(v.val[j], vld1q_u8(from + j * row));
    }
    vst4q_u8((uint8_t *)words, v);
}

/* The weights of 16 channels, n bytes a plane. */
static void qd_order_weights(const qd_order *o, const uint8_t *from, size_t lanes, size_t n, uint8_t *to) {
    const size_t planes = o->weight_planes, row = planes * lanes, block = n * planes * 64 / o->unit;
    for (size_t k = 0; k < n; k += o->unit, from += o->unit * row) {
        for (size_t plane = 0; plane < planes; plane++, to += 64) {
            uint32_t words[4][16];
            for (size_t j = 0; j < o->unit / 4; j++) weight_words(o, from + 4 * j * row, row, lanes, plane, words[j]);
            if (o->unit == 4) {
                for (size_t i = 0; i < 4; i++) vst1q_u32((uint32_t *)(void *)(to + 16 * i), vld1q_u32(words[0] + 4 * i));
            } else {
                for (size_t i = 0; i < 4; i++) { /* four channels */
                    if (o->unit == 8) {
                        const uint32x4x2_t v = {{vld1q_u32(words[0] + 4 * i), vld1q_u32(words[1] + 4 * i)}};
                        vst2q_u32((uint32_t *)(void *)(to + i / 2 * block + i % 2 * 32), v);
                    } else {
                        const uint32x4x4_t v = {{vld1q_u32(words[0] + 4 * i), vld1q_u32(words[1] + 4 * i), vld1q_u32(words[2] + 4 * i),
                                                 vld1q_u32(words[3] + 4 * i)}};
                        vst4q_u32((uint32_t *)(void *)(to + i * block), v);
                    }
                }
            }
        }
    }
}

/* Weights of 16 channels that are not 0, by taps of n bytes. */
static void qd_count_weights(const uint8_t *from, size_t lanes, size_t taps, size_t n, uint16x8_t (*counts)[2]) {
    for (size_t t = 0; t < taps; t++) {
        counts[t][0] = counts[t][1] = vdupq_n_u16(0);
        for (size_t k = 0; k < n; k += QD_STEPS) {
            uint8x16_t sum = vdupq_n_u8(0);
            for (size_t i = k; i < n && i < k + QD_STEPS; i++, from += 2 * lanes) sum = vaddq_u8(sum, vcntq_u8(vld1q_u8(from + lanes)));
            counts[t][0] = vaddw_u8(counts[t][0], vget_low_u8(sum));
            counts[t][1] = vaddw_high_u8(counts[t][1], sum);
        }
    }
}

#endif
