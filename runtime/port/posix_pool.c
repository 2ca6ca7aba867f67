/*
 * The threads of port.h for POSIX systems. Layers of a small network take microseconds, less than waking a thread: who waits
 * looks at the counters for a while before it sleeps. Parts are taken from one counter, so that no thread waits for another's.
 */
#define _POSIX_C_SOURCE 200809L

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "port.h"

enum { LOOKS = 20000, MOST_THREADS = 64 };

struct port_pool {
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    pthread_t threads[MOST_THREADS];
    size_t n;                 /* threads beside the caller's */
    atomic_uint job;          /* counts the calls of port_pool_run; all below is written before it */
    atomic_size_t next, done; /* parts taken, threads that have seen the job through */
    atomic_int stop;
    size_t parts;
    void (*work)(void *context, size_t part);
    void *context;
};

static void relax(unsigned look) {
    if (look % 64 == 63) sched_yield();
}

static void take_parts(port_pool *pool) {
    size_t part;
    while ((part = atomic_fetch_add(&pool->next, 1)) < pool->parts) pool->work(pool->context, part);
}

static void *thread_main(void *argument) {
    port_pool *pool = (port_pool *)argument;
    unsigned seen = 0;
    for (;;) {
        for (unsigned look = 0; look < LOOKS && atomic_load(&pool->job) == seen; look++) relax(look);
        if (atomic_load(&pool->job) == seen) {
            pthread_mutex_lock(&pool->mutex);
            while (atomic_load(&pool->job) == seen) pthread_cond_wait(&pool->wake, &pool->mutex);
            pthread_mutex_unlock(&pool->mutex);
        }
        if (atomic_load(&pool->stop)) return NULL;
        seen++;
        take_parts(pool);
        atomic_fetch_add(&pool->done, 1);
    }
}

/* Under the mutex, so that a thread about to sleep does not miss it. */
static void announce(port_pool *pool) {
    pthread_mutex_lock(&pool->mutex);
    atomic_fetch_add(&pool->job, 1);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->mutex);
}

void port_pool_run(void *argument, size_t parts, void (*work)(void *context, size_t part), void *context) {
    port_pool *pool = (port_pool *)argument;
    pool->parts = parts;
    pool->work = work;
    pool->context = context;
    atomic_store(&pool->done, 0);
    atomic_store(&pool->next, 0);
    announce(pool);
    take_parts(pool);
    for (unsigned look = 0; atomic_load(&pool->done) < pool->n; look++) relax(look);
}

port_pool *port_pool_new(size_t threads) {
    port_pool *pool = (port_pool *)calloc(1, sizeof *pool);
    if (!pool || threads == 0 || threads > MOST_THREADS) {
        free(pool);
        return NULL;
    }
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->wake, NULL);
    while (pool->n + 1 < threads && pthread_create(&pool->threads[pool->n], NULL, thread_main, pool) == 0) pool->n++;
    if (pool->n + 1 < threads) {
        port_pool_free(pool);
        return NULL;
    }
    return pool;
}

void port_pool_free(port_pool *pool) {
    if (!pool) return;
    atomic_store(&pool->stop, 1);
    announce(pool);
    for (size_t i = 0; i < pool->n; i++) pthread_join(pool->threads[i], NULL);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->mutex);
    free(pool);
}
