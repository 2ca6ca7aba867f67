/* Stream steps with NEON, four channels at a time, all steps in one pass. */
#if defined(__aarch64__)

#include "neon.h"

void qd_stream_neon(const qd_stream *steps, const int32_t *acc, const float *in, const float *add, size_t channels, float *out) {
    qd_stream_part(steps, 0, channels, acc, in, add, out);
}

#else
typedef int qd_stream_neon_is_for_aarch64;
#endif
