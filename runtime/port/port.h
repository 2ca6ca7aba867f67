/* What the tools need from an operating system. The library itself needs nothing. */
#ifndef QD_PORT_H
#define QD_PORT_H

#include <stddef.h>

/* A whole file in memory at a 64-byte boundary, or NULL with a reason in *why. Free with port_free. */
void *port_load(const char *path, size_t *size, const char **why);

/* n bytes (at least 1 is taken) at a 64-byte boundary, zeroed, or NULL. Free with port_free. */
void *port_alloc(size_t n);
void port_free(void *memory);

/* Makes a folder; 1 if it is there afterwards. */
int port_make_folder(const char *path);

/* Seconds from some fixed moment, never going back. */
double port_seconds(void);

#endif
