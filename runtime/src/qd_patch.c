/* Patches: what lies under the kernel at one output pixel, as the kernels read it. */
#include <string.h>

#include "qd_constants.h"
#include "qd_conv.h"

/* memcpy for the short rows of patches: most are a few words, for which a call costs more than the copy. */
static void copy_row(uint8_t *to, const uint8_t *from, size_t n) {
    if (n > 64) {
        memcpy(to, from, n);
        return;
    }
    for (; n >= 8; n -= 8, to += 8, from += 8) memcpy(to, from, 8);
    if (n & 4) {
        memcpy(to, from, 4);
        to += 4;
        from += 4;
    }
    if (n & 2) {
        memcpy(to, from, 2);
        to += 2;
        from += 2;
    }
    if (n & 1) *to = *from;
}

void qd_fill_bits(const qd_conv *v, uint8_t *patch) {
    const size_t planes = v->shape.planes, bytes = v->shape.pixel / planes;
    for (size_t t = 0; t < v->shape.taps; t++, patch += v->shape.pixel) {
        for (size_t j = 0; j < bytes; j++) {
            const size_t left = v->shape.in > 8 * j ? v->shape.in - 8 * j : 0;
            const unsigned used = left >= 8 ? 0xFFu : (1u << left) - 1u;
            patch[j * planes] = (uint8_t)(v->edge & used);
            if (planes == 2) patch[j * 2 + 1] = (uint8_t)used;
        }
    }
}

void qd_gather_bits(const qd_conv *v, size_t oy, size_t ox, size_t group, qd_taps rows, qd_taps columns, uint8_t *patch) {
    const size_t n = columns.to - columns.from, patch_row = v->kernel_w * v->shape.pixel;
    const uint8_t *row = v->in + qd_source_at(v, oy, ox, rows.from, columns.from) + group * v->tap;
    uint8_t *to = patch + (rows.from * v->kernel_w + columns.from) * v->shape.pixel;
    for (size_t ky = rows.from; ky < rows.to; ky++) {
        if (v->whole_rows) {
            copy_row(to, row, n * v->shape.pixel);
        } else {
            const uint8_t *from = row;
            uint8_t *tap = to;
            for (size_t i = 0; i < n; i++, tap += v->shape.pixel, from += v->dilation_w * v->pixel) copy_row(tap, from, v->tap);
        }
        row += v->dilation_h * v->w * v->pixel;
        to += patch_row;
    }
}

void qd_widen(const qd_conv *v, const uint8_t *from, size_t c, size_t n, int16_t *to) {
    size_t i;
    if (v->job->in.dtype == QD_I16) {
        memcpy(to, from + 2 * c, n * sizeof *to);
    } else if (v->job->in.dtype == QD_I8) {
        const int8_t *in = (const int8_t *)from + c;
        for (i = 0; i < n; i++) to[i] = in[i];
    } else if (v->job->in.dtype == QD_BITS) { /* never more than one pixel */
        for (i = 0; i < n; i++) to[i] = (int16_t)(1 - 2 * (from[(c + i) / 8] >> (c + i) % 8 & 1));
    } else if (v->job->in.dtype == QD_TRITS) {
        for (i = 0; i < n; i++) {
            const unsigned sign = from[(c + i) / 8 * 2] >> (c + i) % 8 & 1u, mask = from[(c + i) / 8 * 2 + 1] >> (c + i) % 8 & 1u;
            to[i] = (int16_t)((int)mask - 2 * (int)sign);
        }
    } else if (v->one_zero) {
        const int16_t zero = qd_constant_i16(v->zero, 0);
        for (i = 0; i < n; i++) to[i] = (int16_t)(from[c + i] - zero);
    } else {
        size_t channel = c;
        for (i = 0; i < n; i++) {
            to[i] = (int16_t)(from[c + i] - qd_constant_i16(v->zero, channel));
            if (++channel == v->c) channel = 0;
        }
    }
}

void qd_gather_int8(const qd_conv *v, size_t oy, size_t ox, size_t group, qd_taps rows, qd_taps columns, int16_t *patch) {
    const size_t n = columns.to - columns.from, channels = v->shape.in;
    patch += (rows.from * v->kernel_w + columns.from) * channels;
    for (size_t ky = rows.from; ky < rows.to; ky++, patch += v->kernel_w * channels) {
        const uint8_t *from = v->in + qd_source_at(v, oy, ox, ky, columns.from);
        if (v->whole_rows) {
            qd_widen(v, from, 0, n * channels, patch);
        } else {
            for (size_t i = 0; i < n; i++, from += v->dilation_w * v->pixel) {
                qd_widen(v, from, group * channels, channels, patch + i * channels);
            }
        }
    }
}
