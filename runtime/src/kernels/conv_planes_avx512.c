/*
 * With AVX-512, whole convolutions of bits by bits keep channels in lanes (conv_map_avx512.c), for which there is an instruction that counts.
 * Bits by trits have no kernel of AVX-512's own: theirs is AVX2's.
 */
#if defined(__x86_64__)

#include "qd_kernel.h"

int qd_conv_planes_avx512(const qd_map *map) { return map->weight_planes == 1 ? QD_MAP_NOT : qd_conv_planes_avx2(map); }

#else
typedef int qd_conv_planes_avx512_is_for_x86_64;
#endif
