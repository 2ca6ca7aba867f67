"""Arena planner: gives each buffer an offset so that buffers alive at the same time do not overlap.

Greedy by size: the largest buffer first, each at the lowest aligned offset that is free over its whole lifetime
(Pisarchyk and Lee 2020, "greedy by size"). Where that takes more than the lower bound, the buffer that reaches the top is placed first
the next time, and so on; then the same from other orders. The smallest arena of all rounds is taken.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence

from qnn_deploy.ir.program import Op, Opcode, align

_ROUNDS = 64  # for each order


@dataclasses.dataclass(frozen=True)
class Block:
    """``size`` bytes alive from operator ``first`` to operator ``last``, both included."""

    size: int
    first: int
    last: int


# By size, by size and lifetime, by lifetime, by birth. Most networks need one round of the first.
_ORDERS: tuple[Callable[[Block], tuple[int, int]], ...] = (
    lambda block: (-block.size, block.first),
    lambda block: (-block.size * (block.last - block.first + 1), block.first),
    lambda block: (block.first - block.last, -block.size),
    lambda block: (block.first, -block.size),
)


def place(blocks: Sequence[Block]) -> tuple[list[int], int]:
    """Offsets (multiples of 64) of ``blocks``, and the arena's size."""
    bound = lower_bound(blocks)
    together = [[j for j, b in enumerate(blocks) if j != i and a.first <= b.last and b.first <= a.last] for i, a in enumerate(blocks)]
    best, smallest = [0] * len(blocks), -1
    for key in _ORDERS:
        order = sorted(range(len(blocks)), key=lambda i: (*key(blocks[i]), i))
        for _ in range(_ROUNDS):
            offsets = _in_order(blocks, together, order)
            ends = [offset + align(block.size) for offset, block in zip(offsets, blocks, strict=True)]
            arena = max(ends, default=0)
            if smallest < 0 or arena < smallest:
                best, smallest = offsets, arena
            if smallest == bound:
                return best, smallest
            top = ends.index(arena)
            order.remove(top)
            order.insert(0, top)
    return best, smallest


def _in_order(blocks: Sequence[Block], together: Sequence[Sequence[int]], order: Sequence[int]) -> list[int]:
    """Each block of ``order`` at the lowest offset that is free of those before it; ``together``: which are alive with each."""
    offsets: list[int] = [-1] * len(blocks)
    for index in order:
        offset = 0
        for other in sorted((i for i in together[index] if offsets[i] >= 0), key=lambda i: offsets[i]):
            if offset + align(blocks[index].size) <= offsets[other]:
                break
            offset = max(offset, offsets[other] + align(blocks[other].size))
        offsets[index] = offset
    return offsets


def lower_bound(blocks: Sequence[Block]) -> int:
    """The largest sum of aligned sizes alive at one operator."""
    steps = {block.first for block in blocks}
    return max((sum(align(b.size) for b in blocks if b.first <= step <= b.last) for step in steps), default=0)


def signs_of_streams(ops: Sequence[Op]) -> set[int]:
    """Outputs that the runtime writes one operator early, in one pass with the stream whose signs they are, if there is room for both."""
    pairs = itertools.pairwise(ops)
    return {sign.output for stream, sign in pairs if sign.opcode == Opcode.SIGN and sign.inputs[0] == stream.output}
