/* With AVX-512 convolutions of bits keep channels in lanes (conv_map_avx512.c), for which there is an instruction that counts. */
#if defined(__x86_64__)

#include "qd_kernel.h"

int qd_conv_planes_avx512(const qd_map *map) {
    (void)map;
    return QD_MAP_NOT;
}

#else
typedef int qd_conv_planes_avx512_is_for_x86_64;
#endif
