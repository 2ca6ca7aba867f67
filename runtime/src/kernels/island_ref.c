/* Steps of float islands: each one binary32 operation per element, in the order in which they are called. */
#include "qd_kernel.h"

void qd_island_add_product_ref(const float *weights, float x, size_t n, float *acc) {
    for (size_t i = 0; i < n; i++) {
        const float product = weights[i] * x; /* rounded: never fused with the addition */
        acc[i] = acc[i] + product;
    }
}

void qd_island_add_ref(const float *in, size_t n, float *acc) {
    for (size_t i = 0; i < n; i++) acc[i] = acc[i] + in[i];
}
