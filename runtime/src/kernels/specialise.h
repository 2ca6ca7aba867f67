/* Calls of a block that is inlined once for each number of pixels, or form of weights: CALL takes it as a constant. */
#ifndef QD_SPECIALISE_H
#define QD_SPECIALISE_H

#include "qd_kernel.h"

/* CALL(P), P = pixels = 1..4. */
#define QD_EACH_PIXELS(pixels, CALL) \
    do {                             \
        switch (pixels) {            \
        case 1: CALL(1); break;      \
        case 2: CALL(2); break;      \
        case 3: CALL(3); break;      \
        default: CALL(4); break;     \
        }                            \
    } while (0)

/* CALL(P, form), P = 1 for one pixel and 4 for more. */
#define QD_EACH_SMALL_FORM(form, P, CALL)                \
    do {                                                 \
        switch (form) {                                  \
        case QD_SMALL_BITS: CALL(P, QD_SMALL_BITS); break;  \
        case QD_SMALL_TRITS: CALL(P, QD_SMALL_TRITS); break; \
        case QD_SMALL_MASKS: CALL(P, QD_SMALL_MASKS); break; \
        default: CALL(P, QD_SMALL_INT4); break;          \
        }                                                \
    } while (0)

#define QD_EACH_SMALL(pixels, form, CALL)                \
    do {                                                 \
        if ((pixels) == 1) QD_EACH_SMALL_FORM(form, 1, CALL); \
        else QD_EACH_SMALL_FORM(form, 4, CALL);          \
    } while (0)

#endif
