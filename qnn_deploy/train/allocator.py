"""The C library's allocator, told to keep the memory that a training step frees, for the next step to use."""

from __future__ import annotations

import ctypes
import platform

# From glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3


def keep_freed_memory() -> None:
    """Tell glibc not to give memory back to the system between steps. No effect where the C library is another one.

    Every step allocates and frees the same maps, megabytes each. By default glibc returns such blocks to the system, which maps and clears
    their pages anew each time: on a virtual machine that took as long as the arithmetic.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    most = 2**31 - 1
    for option, value in ((_M_MMAP_THRESHOLD, most), (_M_TRIM_THRESHOLD, most), (_M_TOP_PAD, 2**26)):
        mallopt(option, value)
