/*
 * Constants of more than one byte, as kernels take them. A little-endian machine uses them where they lie in the file; any
 * other one (or a build with -DQD_CONSTANTS_IN_PLACE=0) converts them by the reader, a piece of channels at a time.
 */
#ifndef QD_CONSTANTS_H
#define QD_CONSTANTS_H

#include <string.h>

#include "qd_read.h"

#ifndef QD_CONSTANTS_IN_PLACE
#if defined(__BYTE_ORDER__) && defined(__ORDER_LITTLE_ENDIAN__)
#define QD_CONSTANTS_IN_PLACE (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
#else
#define QD_CONSTANTS_IN_PLACE 0
#endif
#endif

/* Channels of a piece: a multiple of 8, so that pieces of bits begin at a byte. */
enum { QD_PIECE = 32 };

/* Element i of an i16 constant. */
static inline int16_t qd_constant_i16(const int16_t *constant, size_t i) {
#if QD_CONSTANTS_IN_PLACE
    return constant[i];
#else
    qd_cursor in;
    in.p = (const uint8_t *)constant + 2 * i;
    in.end = in.p + 2;
    in.failed = 0;
    return (int16_t)qd_u16(&in);
#endif
}

/* Element i of an i32 constant that is not negative. */
static inline uint32_t qd_constant_u32(const int32_t *constant, size_t i) {
#if QD_CONSTANTS_IN_PLACE
    return (uint32_t)constant[i];
#else
    qd_cursor in;
    in.p = (const uint8_t *)constant + 4 * i;
    in.end = in.p + 4;
    in.failed = 0;
    return qd_u32(&in);
#endif
}

#if !QD_CONSTANTS_IN_PLACE
/* n elements of four bytes, i32 or binary32. */
static inline void qd_convert(const void *constant, size_t n, void *to) {
    qd_cursor in;
    in.p = (const uint8_t *)constant;
    in.end = in.p + 4 * n;
    in.failed = 0;
    for (size_t i = 0; i < n; i++) {
        const uint32_t word = qd_u32(&in);
        memcpy((uint8_t *)to + 4 * i, &word, 4);
    }
}
#endif

#endif
