/*
 * Inner product with ternary digits in portable C: eight output channels side by side in the bytes of a 64-bit word.
 * A product is not 0 where both masks are 1, and then -1 where the signs differ: count both, each channel in 16 bits.
 */
#include "qd_kernel.h"

static uint64_t load8(const uint8_t *p) { /* the first byte lowest, on any machine */
    uint64_t v = 0;
    for (size_t i = 0; i < 8; i++) v |= (uint64_t)p[i] << 8 * i;
    return v;
}

static uint64_t ones_of_bytes(uint64_t v) {
    v -= v >> 1 & 0x5555555555555555u;
    v = (v & 0x3333333333333333u) + (v >> 2 & 0x3333333333333333u);
    return (v + (v >> 4)) & 0x0F0F0F0F0F0F0F0Fu;
}

void qd_conv_trits_ref(const uint8_t *weights, size_t weight_planes, size_t lanes, const uint8_t *patch, size_t patch_planes,
                       size_t patch_stride, size_t pixels, const qd_run_span *runs, size_t n_runs, int32_t *acc,
                       size_t acc_stride) {
    const uint64_t low_bytes = 0x00FF00FF00FF00FFu, every_byte = 0x0101010101010101u;
    for (size_t p = 0; p < pixels; p++) {
        const uint8_t *x = patch + p * patch_stride;
        for (size_t l = 0; l < lanes; l += 8) {
            uint64_t terms[2] = {0, 0}, minus[2] = {0, 0}; /* of even and odd channels */
            for (size_t r = 0; r < n_runs; r++) {
                for (size_t k = runs[r].from; k < (size_t)runs[r].from + runs[r].length; k++) {
                    const uint8_t *w = weights + k * weight_planes * lanes + l;
                    uint64_t mask = patch_planes == 2 ? x[2 * k + 1] * every_byte : ~(uint64_t)0;
                    uint64_t ones;
                    if (weight_planes == 2) mask &= load8(w + lanes);
                    ones = ones_of_bytes(mask);
                    terms[0] += ones & low_bytes;
                    terms[1] += ones >> 8 & low_bytes;
                    ones = ones_of_bytes((x[patch_planes * k] * every_byte ^ load8(w)) & mask);
                    minus[0] += ones & low_bytes;
                    minus[1] += ones >> 8 & low_bytes;
                }
            }
            for (size_t i = 0; i < 8; i++) {
                const size_t shift = 8 * (i - i % 2);
                acc[p * acc_stride + l + i] = (int32_t)(terms[i % 2] >> shift & 0xFFFF) - 2 * (int32_t)(minus[i % 2] >> shift & 0xFFFF);
            }
        }
    }
}
