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

/* n thresholds of one level, from channel c on; `space` holds QD_PIECE. */
static const int32_t *thresholds_at(const qd_job *job, const qd_level_table *table, size_t level, size_t c, size_t n,
                                    int32_t *space) {
    const int32_t *thresholds = table->thresholds + level * job->out.c + c;
#if QD_CONSTANTS_IN_PLACE
    (void)n;
    (void)space;
    return thresholds;
#else
    qd_convert(thresholds, n, space);
    return space;
#endif
}

/* -1 where the lowest threshold is not reached, +1 where the highest is. */
static void trits_pixel(const qd_job *job, const qd_level_table *table, const int32_t *acc, uint8_t *out) {
    const size_t channels = job->out.c;
    memset(out, 0, qd_pixel_bytes(QD_TRITS, job->out.c));
    for (size_t c = 0; c < channels; c += QD_PIECE) {
        const size_t n = channels - c < QD_PIECE ? channels - c : (size_t)QD_PIECE;
        uint8_t minus[QD_PIECE / 8] = {0}, not_plus[QD_PIECE / 8];
        int32_t space[QD_PIECE];
        memset(not_plus, 0xFF, sizeof not_plus);
        if (table->low < 0) {
            job->kernels->pack(acc + c, thresholds_at(job, table, 0, c, n, space), n, minus);
        }
        if (table->low + (int32_t)table->count > 0) {
            job->kernels->pack(acc + c, thresholds_at(job, table, table->count - 1, c, n, space), n, not_plus);
        }
        for (size_t i = 0; i < n; i += 8, out += 2) {
            const unsigned used = n - i >= 8 ? 0xFFu : (1u << (n - i)) - 1u;
            out[0] = minus[i / 8];
            out[1] = (uint8_t)((minus[i / 8] | ~(unsigned)not_plus[i / 8]) & used);
        }
    }
}

void qd_levels_pixel(const qd_job *job, const qd_level_table *table, const int32_t *acc, uint8_t *out) {
    const size_t channels = job->out.c;
    if (job->out.dtype == QD_TRITS) {
        trits_pixel(job, table, acc, out);
        return;
    }
    memset(out, table->low + (int32_t)table->count, channels);
    for (size_t i = 0; i < table->count; i++) {
        const size_t piece = QD_CONSTANTS_IN_PLACE ? channels : (size_t)QD_PIECE;
        for (size_t c = 0; c < channels; c += piece) {
            const size_t n = channels - c < piece ? channels - c : piece;
            int32_t space[QD_PIECE];
            job->kernels->levels(acc + c, thresholds_at(job, table, i, c, n, space), n, (int8_t *)out + c);
        }
    }
}
