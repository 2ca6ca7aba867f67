/* Every limit of the runtime. Override with -D; a model beyond a limit is refused by qd_open, never half run. */
#ifndef QD_CONFIG_H
#define QD_CONFIG_H

/* Largest table sizes accepted. The verifier keeps 4 bytes per buffer on the stack while qd_open runs. */
#ifndef QD_MAX_BUFFERS
#define QD_MAX_BUFFERS 4096
#endif
#ifndef QD_MAX_OPERATORS
#define QD_MAX_OPERATORS 4096
#endif
#ifndef QD_MAX_CONSTANTS
#define QD_MAX_CONSTANTS 32768
#endif

/* Largest sides of a map. */
#ifndef QD_MAX_SIDE
#define QD_MAX_SIDE 32768
#endif
#ifndef QD_MAX_CHANNELS
#define QD_MAX_CHANNELS 65536
#endif

/* Kernel rows of a binary convolution that has padding at the left or right; 8 bytes of stack each while it runs. */
#ifndef QD_MAX_PATCH_RUNS
#define QD_MAX_PATCH_RUNS 64
#endif

/* Steps of one whole run (multiply-accumulates, window reads, element copies): what bounds the time of a hostile file. */
#ifndef QD_MAX_WORK
#define QD_MAX_WORK 1000000000000
#endif

#endif
