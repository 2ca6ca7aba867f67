/* One tap of a depthwise convolution. */
#include "qd_kernel.h"

void qd_depthwise_ref(const int8_t *weights, const int16_t *x, size_t n, int32_t *acc) {
    for (size_t i = 0; i < n; i++) acc[i] += weights[i] * x[i];
}
