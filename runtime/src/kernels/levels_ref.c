/* Levels of one pixel: a threshold that is not reached takes one away. */
#include "qd_kernel.h"

void qd_levels_ref(const int32_t *acc, const int32_t *thresholds, size_t channels, int8_t *levels) {
    for (size_t i = 0; i < channels; i++) levels[i] = (int8_t)(levels[i] - (acc[i] < thresholds[i]));
}
