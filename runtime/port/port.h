/* What the tools need from an operating system. The library itself needs nothing. */
#ifndef QD_PORT_H
#define QD_PORT_H

#include <stddef.h>

/* A whole file in memory at a 64-byte boundary, or NULL with a reason in *why. It may be mapped: it stays until the program
   ends, and the file must not be written to meanwhile. */
void *port_load(const char *path, size_t *size, const char **why);

/* n bytes (at least 1 is taken) at a 64-byte boundary, zeroed, or NULL. Free with port_free. */
void *port_alloc(size_t n);
void port_free(void *memory);

/* Makes a folder; 1 if it is there afterwards. */
int port_make_folder(const char *path);

/* Threads that wait for work; the caller is one of them. NULL if they cannot be had. Give it back with port_pool_free. */
typedef struct port_pool port_pool;
port_pool *port_pool_new(size_t threads);
void port_pool_free(port_pool *pool);

/* A qd_parallel: runs all parts by the threads of the pool that argument points to. */
void port_pool_run(void *argument, size_t parts, void (*work)(void *context, size_t part), void *context);

/* Seconds from some fixed moment, never going back. */
double port_seconds(void);

#endif
