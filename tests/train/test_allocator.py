"""Memory that a training step frees stays with the process."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

_STEPS = """
import ctypes, resource
from qnn_deploy.train.allocator import keep_freed_memory
{first}
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
def step():
    blocks = [libc.malloc(8 << 20) for _ in range(4)]
    for block in blocks:
        ctypes.memset(block, 1, 8 << 20)
    for block in blocks:
        libc.free(ctypes.c_void_p(block))
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_pages_are_mapped_once() -> None:
    """Page faults of five steps after the first, by default and with the setting: in pages of 4 KiB the default has tens of thousands."""

    def faults(first: str) -> int:
        done = subprocess.run([sys.executable, "-c", _STEPS.format(first=first)], capture_output=True, text=True, check=True)
        return int(done.stdout)

    assert faults("keep_freed_memory()") < 100 <= faults("")
