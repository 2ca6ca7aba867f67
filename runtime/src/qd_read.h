/* A bounded little-endian reader: the only code that takes numbers out of file bytes. */
#ifndef QD_READ_H
#define QD_READ_H

#include <stddef.h>
#include <stdint.h>

typedef struct qd_cursor {
    const uint8_t *p;
    const uint8_t *end;
    int failed; /* set by the first read past the end, which gives 0; stays set */
} qd_cursor;

static inline const uint8_t *qd_take(qd_cursor *in, size_t n) {
    const uint8_t *p = in->p;
    if (in->failed || (size_t)(in->end - in->p) < n) {
        in->failed = 1;
        return NULL;
    }
    in->p += n;
    return p;
}

static inline uint8_t qd_u8(qd_cursor *in) {
    const uint8_t *p = qd_take(in, 1);
    return p ? p[0] : (uint8_t)0;
}

static inline uint16_t qd_u16(qd_cursor *in) {
    const uint8_t *p = qd_take(in, 2);
    if (!p) return 0;
    return (uint16_t)((uint32_t)p[0] | (uint32_t)p[1] << 8);
}

static inline uint32_t qd_u32(qd_cursor *in) {
    const uint8_t *p = qd_take(in, 4);
    return p ? (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24 : 0u;
}

static inline int32_t qd_i32(qd_cursor *in) {
    const uint32_t u = qd_u32(in);
    return u <= 0x7FFFFFFFu ? (int32_t)u : -(int32_t)(~u) - 1;
}

#endif
