/*
 * Binary inner product in portable C: eight output channels side by side in the bytes of a 64-bit word.
 * One activation byte, copied to all eight, is compared with eight weight bytes; each byte's ones are counted by adding
 * neighbouring bits, then pairs, then halves. Counts are kept in 16 bits, even and odd channels apart; 65535 is the most.
 */
#include "qd_kernel.h"

static uint64_t load8(const uint8_t *p) { /* the first byte lowest, on any machine */
    return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24 | (uint64_t)p[4] << 32 |
           (uint64_t)p[5] << 40 | (uint64_t)p[6] << 48 | (uint64_t)p[7] << 56;
}

static uint64_t ones_of_bytes(uint64_t v) {
    v -= v >> 1 & 0x5555555555555555u;
    v = (v & 0x3333333333333333u) + (v >> 2 & 0x3333333333333333u);
    return (v + (v >> 4)) & 0x0F0F0F0F0F0F0F0Fu;
}

void qd_conv_bits_ref(const uint8_t *weights, size_t lanes, const uint8_t *patch, size_t patch_stride, size_t pixels,
                      const qd_run_span *runs, size_t n_runs, int32_t bits, int32_t *acc, size_t acc_stride) {
    const uint64_t low_bytes = 0x00FF00FF00FF00FFu;
    for (size_t p = 0; p < pixels; p++) {
        for (size_t l = 0; l < lanes; l += 8) {
            uint64_t even = 0, odd = 0;
            for (size_t r = 0; r < n_runs; r++) {
                QD_SMALL_LOOP for (size_t k = runs[r].from; k < (size_t)runs[r].from + runs[r].length; k++) {
                    const uint64_t x = patch[p * patch_stride + k] * (uint64_t)0x0101010101010101u;
                    const uint64_t ones = ones_of_bytes(x ^ load8(weights + k * lanes + l));
                    even += ones & low_bytes;
                    odd += ones >> 8 & low_bytes;
                }
            }
            for (size_t i = 0; i < 8; i++) {
                const uint64_t counts = i % 2 ? odd : even;
                acc[p * acc_stride + l + i] = bits - 2 * (int32_t)(counts >> (8 * (i - i % 2)) & 0xFFFF);
            }
        }
    }
}
