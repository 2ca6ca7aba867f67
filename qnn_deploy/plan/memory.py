"""Arena planner: gives each buffer an offset so that buffers alive at the same time do not overlap.

Greedy by size: the largest buffer first, each at the lowest aligned offset that is free over its whole lifetime
(Pisarchyk and Lee 2020, "greedy by size").
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

from qnn_deploy.ir.program import Op, Opcode, align


@dataclasses.dataclass(frozen=True)
class Block:
    """``size`` bytes alive from operator ``first`` to operator ``last``, both included."""

    size: int
    first: int
    last: int


def place(blocks: Sequence[Block]) -> tuple[list[int], int]:
    """Offsets (multiples of 64) of ``blocks``, and the arena's size."""
    offsets = [0] * len(blocks)
    placed: list[int] = []
    for index in sorted(range(len(blocks)), key=lambda i: (-blocks[i].size, blocks[i].first, i)):
        block = blocks[index]
        offset = 0
        for other in sorted(
            (i for i in placed if blocks[i].first <= block.last and block.first <= blocks[i].last), key=lambda i: offsets[i]
        ):
            if offset + align(block.size) <= offsets[other]:
                break
            offset = max(offset, offsets[other] + align(blocks[other].size))
        offsets[index] = offset
        placed.append(index)
    return offsets, max((offsets[i] + align(block.size) for i, block in enumerate(blocks)), default=0)


def lower_bound(blocks: Sequence[Block]) -> int:
    """The largest sum of aligned sizes alive at one operator."""
    steps = {block.first for block in blocks}
    return max((sum(align(b.size) for b in blocks if b.first <= step <= b.last) for step in steps), default=0)


def signs_of_streams(ops: Sequence[Op]) -> set[int]:
    """Outputs that the runtime writes one operator early, in one pass with the stream whose signs they are, if there is room for both."""
    pairs = itertools.pairwise(ops)
    return {sign.output for stream, sign in pairs if sign.opcode == Opcode.SIGN and sign.inputs[0] == stream.output}
