/* Activations of few levels, straight from accumulators by integer thresholds. */
#include <string.h>

#include "qd_constants.h"
#include "qd_exec.h"

qd_level_table qd_levels_of(const qd_job *job) {
    const uint16_t constant = job->op->constants[QD_C_THRESHOLDS];
    qd_level_table table;
    table.thresholds = (const int32_t *)qd_constant_data(job->model, constant);
    table.count = qd_load_constant(job->model, constant).count / job->out.c;
    table.low = job->op->range[1];
    return table;
}

void qd_levels_pixel(const qd_job *job, const qd_level_table *table, const int32_t *acc, uint8_t *out) {
    const size_t channels = job->out.c;
    int8_t *levels = (int8_t *)out;
    memset(out, table->low + (int32_t)table->count, channels);
    for (size_t i = 0; i < table->count; i++) {
        const int32_t *thresholds = table->thresholds + i * channels;
#if QD_CONSTANTS_IN_PLACE
        job->kernels->levels(acc, thresholds, channels, levels);
#else
        int32_t piece[QD_PIECE];
        for (size_t c = 0; c < channels; c += QD_PIECE) {
            const size_t n = channels - c < QD_PIECE ? channels - c : QD_PIECE;
            qd_convert(thresholds + c, n, piece);
            job->kernels->levels(acc + c, piece, n, levels + c);
        }
#endif
    }
}
