/*
 * What the library calls, for compilers that come without a C library for their target; the firmware has these functions. Without a
 * library a compiler takes no name for granted, so that it has to be told what it may inline.
 */
#ifndef QD_BARE_STRING_H
#define QD_BARE_STRING_H

#define memcpy __builtin_memcpy
#define memset __builtin_memset
#define memcmp __builtin_memcmp

#endif
