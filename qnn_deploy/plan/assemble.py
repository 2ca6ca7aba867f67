"""The last step of planning: lifetimes, offsets in the arena, and the numbers of the buffers that are left."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from qnn_deploy.ir.program import Buffer, Op, Program, align
from qnn_deploy.plan.memory import Block, lower_bound, place, signs_of_streams


def assemble(
    name: str, unplaced: Sequence[Buffer], steps: Sequence[Op], constants: Sequence[NDArray[Any]], source: int, output: int
) -> Program:
    """The program of the operators ``steps``; buffers that none of them uses are left out. ``source`` and ``output``: input and output."""
    first, last = {source: 0}, {output: len(steps) - 1}
    for index, op in enumerate(steps):
        first.setdefault(op.output, index)
        for buffer in (op.output, *op.inputs):
            last[buffer] = max(last.get(buffer, 0), index)
    used = sorted(first)
    renumber = {old: new for new, old in enumerate(used)}
    buffers = [dataclasses.replace(unplaced[i], first=first[i], last=last.get(i, 0)) for i in used]
    scratch = [i for i, op in enumerate(steps) if op.scratch_bytes]
    early = signs_of_streams(steps)
    blocks = [Block(b.bytes, b.first - (i in early), b.last) for i, b in zip(used, buffers, strict=True)]
    blocks += [Block(steps[i].scratch_bytes, i, i) for i in scratch]
    offsets, arena = place(blocks)
    buffers = [dataclasses.replace(b, offset=offset) for b, offset in zip(buffers, offsets, strict=False)]
    at = dict(zip(scratch, offsets[len(buffers) :], strict=True))
    ops = tuple(
        dataclasses.replace(op, inputs=tuple(renumber[i] for i in op.inputs), output=renumber[op.output], scratch=at.get(i, 0))
        for i, op in enumerate(steps)
    )
    return Program(name, tuple(buffers), ops, tuple(constants), renumber[source], renumber[output], align(arena), lower_bound(blocks))
