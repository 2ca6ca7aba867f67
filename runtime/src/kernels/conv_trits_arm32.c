/*
 * Inner product with ternary digits in 32-bit words, for processors without vectors, by full adders as in conv_bits_arm32.c. A product is not 0
 * where both masks are 1, and then -1 where the signs differ: both are counted. What is not 0 of weights times bits is counted for one pixel of
 * four, of trits times weights without 0 for one channel.
 */
#if defined(__arm__) && defined(__ARM_FEATURE_SIMD32) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__

#include "counts_arm32.h"
#include "qd_kernel.h"

/* Groups of a piece: their counts fit in a byte, once the eights are apart. */
enum { PIECE = 120 };

/* Groups of a patch, each byte four times. */
typedef struct piece {
    uint32_t sign[PIECE], mask[PIECE];
} piece;

/* Where products of four channels are -1, or, without SIGNS, not 0. */
QD_ARM32_INLINE uint32_t products(const int SIGNS, const size_t W, const size_t X, const uint8_t *w, size_t lanes, const piece *x, size_t k) {
    uint32_t v = SIGNS ? qd_load4(w) ^ x->sign[k] : ~(uint32_t)0;
    if (W == 2) v &= qd_load4(w + lanes);
    if (X == 2) v &= x->mask[k];
    return v;
}

/* acc[0..4) += times * how many of n groups. W and X: planes of weights and of the patch. */
QD_ARM32_INLINE void count(const int SIGNS, const size_t W, const size_t X, const uint8_t *w, size_t lanes, const piece *x, size_t n, int32_t times,
                           int32_t *acc) {
    uint32_t ones = 0, twos = 0, fours = 0, eights = 0, rest = 0;
    size_t k = 0;
#define NEXT(v)                                       \
    const uint32_t v = products(SIGNS, W, X, w, lanes, x, k++); \
    w += W * lanes
    QD_SMALL_LOOP while (k + 8 <= n) {
        NEXT(a);
        NEXT(b);
        NEXT(c);
        NEXT(d);
        const uint32_t low = qd_carry(&twos, qd_carry(&ones, a, b), qd_carry(&ones, c, d));
        NEXT(e);
        NEXT(f);
        NEXT(g);
        NEXT(h);
        const uint32_t high = qd_carry(&twos, qd_carry(&ones, e, f), qd_carry(&ones, g, h));
        eights += qd_ones_of_bytes(qd_carry(&fours, low, high));
    }
    QD_SMALL_LOOP while (k < n) {
        NEXT(a);
        rest += qd_ones_of_bytes(a);
    }
#undef NEXT
    rest += 4 * qd_ones_of_bytes(fours) + 2 * qd_ones_of_bytes(twos) + qd_ones_of_bytes(ones);
    qd_add_counts(eights, rest, times, acc);
}

/* One pixel. Of bits its accumulators hold already what is not 0. */
QD_ARM32_INLINE void pixel(const size_t W, const size_t X, const uint8_t *weights, size_t lanes, const uint8_t *patch, const qd_run_span *runs,
                           size_t n_runs, int32_t *acc) {
    piece x;
    uint32_t all = 0; /* of weights without 0 */
    for (size_t r = 0; r < n_runs; r++) {
        const size_t end = (size_t)runs[r].from + runs[r].length;
        for (size_t k = runs[r].from; k < end; k += PIECE) {
            const size_t n = end - k < PIECE ? end - k : PIECE;
            QD_SMALL_LOOP for (size_t i = 0; i < n; i++) {
                x.sign[i] = patch[X * (k + i)] * 0x01010101u;
                if (X == 2) x.mask[i] = patch[2 * (k + i) + 1] * 0x01010101u;
                if (W == 1) all += qd_ones_of_bytes(patch[2 * (k + i) + 1]);
            }
            QD_SMALL_LOOP for (size_t l = 0; l < lanes; l += 4) {
                const uint8_t *w = weights + k * W * lanes + l;
                if (W == 2 && X == 2) count(0, W, X, w, lanes, &x, n, 1, acc + l);
                count(1, W, X, w, lanes, &x, n, -2, acc + l);
            }
        }
    }
    QD_SMALL_LOOP for (size_t l = 0; W == 1 && l < lanes; l++) acc[l] += (int32_t)all;
}

/* What is not 0 in the runs of the weights of all channels. */
static void count_masks(const uint8_t *weights, size_t lanes, const qd_run_span *runs, size_t n_runs, int32_t *acc) {
    for (size_t r = 0; r < n_runs; r++) {
        const size_t end = (size_t)runs[r].from + runs[r].length;
        for (size_t k = runs[r].from; k < end; k += PIECE) {
            const size_t n = end - k < PIECE ? end - k : PIECE;
            QD_SMALL_LOOP for (size_t l = 0; l < lanes; l += 4) count(0, 2, 1, weights + k * 2 * lanes + l, lanes, NULL, n, 1, acc + l);
        }
    }
}

void qd_conv_trits_arm32(const uint8_t *weights, size_t weight_planes, size_t lanes, const uint8_t *patch, size_t patch_planes,
                         size_t patch_stride, size_t pixels, const qd_run_span *runs, size_t n_runs, int32_t *acc, size_t acc_stride) {
    int32_t begin[32] = {0};
    if (patch_planes == 1) count_masks(weights, lanes, runs, n_runs, begin);
    for (size_t p = 0; p < pixels; p++, patch += patch_stride, acc += acc_stride) {
        memcpy(acc, begin, lanes * sizeof *acc);
        if (patch_planes == 1) pixel(2, 1, weights, lanes, patch, runs, n_runs, acc);
        else if (weight_planes == 1) pixel(1, 2, weights, lanes, patch, runs, n_runs, acc);
        else pixel(2, 2, weights, lanes, patch, runs, n_runs, acc);
    }
}

#else
typedef int qd_conv_trits_arm32_is_for_arm;
#endif
