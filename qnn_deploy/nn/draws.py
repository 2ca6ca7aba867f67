"""Random numbers that are a function of a seed and a counter: their whole state is two integers that a module keeps in buffers.

So a resumed run draws what the unbroken run would have drawn, on any number of threads, compiled or not, whatever else draws.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

_MASK = 0xFFFFFFFF
_MULTIPLIER = 0x45D9F3B  # below 2^27: a product with 32 bits stays in int64

BITS = 24


def seed_buffer(seed: int | None) -> Tensor:
    """``seed`` as a 0-d int64 tensor; None draws one from torch's generator, so that ``torch.manual_seed`` repeats it."""
    return torch.randint(2**31, ()) if seed is None else torch.tensor(seed & _MASK)


def bits(shape: Sequence[int], *keys: Tensor) -> Tensor:
    """An integer in [0, 2^24) for each element (int64): a hash of its index and of ``keys`` (int64, 0-d or of ``shape``)."""
    x = torch.arange(math.prod(shape), device=keys[0].device).reshape(tuple(shape))
    for key in keys:
        x = _mix(x ^ _mix(key & _MASK))
    return x >> 8


def uniform(shape: Sequence[int], *keys: Tensor) -> Tensor:
    """`bits` as float32 in [0, 1)."""
    return bits(shape, *keys).to(torch.float32) * 2.0**-BITS


def _mix(x: Tensor) -> Tensor:
    """A bijection of 32-bit integers, of which every input bit reaches every output bit (multiply and xor-shift)."""
    x = (x + 0x1E3779B9) & _MASK  # 0 is a fixed point of what follows
    for _ in range(2):
        x = ((x ^ (x >> 16)) * _MULTIPLIER) & _MASK
    return x ^ (x >> 16)
