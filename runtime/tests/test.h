/* The whole test framework: CHECK counts, reports and goes on; finish() gives the exit status. */
#ifndef QD_TEST_H
#define QD_TEST_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static long test_passed, test_failed;

/* Built with it, a test ends at its first failure: the mutation test asks no more. */
#ifdef TEST_ENDS_AT_FAILURE
#define TEST_FAILED() exit(1)
#else
#define TEST_FAILED() (void)0
#endif

/* One check; the first few failures are printed with a message of the caller's. */
#define CHECK(condition, ...)                                     \
    do {                                                          \
        if (condition) {                                          \
            test_passed++;                                        \
        } else if (test_failed++ < 10) {                          \
            printf("%s:%d: failed: %s: ", __FILE__, __LINE__, #condition); \
            printf(__VA_ARGS__);                                  \
            putchar('\n');                                        \
            TEST_FAILED();                                        \
        }                                                         \
    } while (0)

/* A small generator, the same on every machine. */
static uint64_t test_state = 0x9E3779B97F4A7C15u;

static inline uint32_t random_u32(void) {
    test_state ^= test_state << 13;
    test_state ^= test_state >> 7;
    test_state ^= test_state << 17;
    return (uint32_t)(test_state >> 32);
}

/* In [low, high]. */
static inline int32_t random_in(int32_t low, int32_t high) {
    return (int32_t)(low + (int64_t)(random_u32() % ((uint64_t)((int64_t)high - low) + 1)));
}

static inline void random_bytes(void *to, size_t n) {
    for (size_t i = 0; i < n; i++) ((uint8_t *)to)[i] = (uint8_t)random_u32();
}

static inline int finish(const char *name) {
    printf("%s: %ld passed, %ld failed\n", name, test_passed, test_failed);
    return test_failed != 0;
}

#endif
