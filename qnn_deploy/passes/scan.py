"""Threshold scan: an activation function, evaluated at every accumulator that its layer can reach, read off as integer thresholds.

No algebra: the switch points of a rounded function are where the function itself switches. The scan also proves that it is monotone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from qnn_deploy.ops import BY_KEY

ALWAYS, NEVER = -(2**31), 2**31 - 1
_CHUNK = 1 << 20


@dataclasses.dataclass(frozen=True)
class ThresholdProof:
    """What was checked for one layer: every channel at every accumulator in its range, without sampling.

    Attributes:
        layer: name of the reduction.
        channels: number of channels.
        accumulators: channels times attainable accumulators checked.
        violations: accumulators at which the function was not monotone (an empty proof otherwise).
        reversed_channels: channels whose function falls, their weights negated.
        constant_channels: channels that never leave their level.
    """

    layer: str
    channels: int
    accumulators: int
    violations: int
    reversed_channels: int
    constant_channels: int


@dataclasses.dataclass(frozen=True)
class Scan:
    """Result of a scan of C channels with T thresholds, one for each level above the lowest.

    ``thresholds`` int64 [T, C], rising along T: over [low, high] the level of channel c is the number of i with
    ``direction[c] * acc >= thresholds[i, c]``; ALWAYS or NEVER where that holds, or fails, for every accumulator.
    ``broken``: (channel, accumulator) of the first step back, or None.
    """

    thresholds: NDArray[np.int64]
    direction: NDArray[np.int64]
    checked: int
    violations: int
    broken: tuple[int, int] | None

    @property
    def threshold(self) -> NDArray[np.int64]:
        """The only threshold of each channel, [C], of a function with two levels."""
        return self.thresholds.reshape(-1)


def evaluate(chain: Sequence[ir.Node], x: NDArray[Any], rank: int = 2) -> NDArray[Any]:
    """The elementwise ``chain`` on accumulators x [A, C], through the operators' own references; pools are skipped.

    ``rank`` is that of the tensors in the graph: the references see [A, C, 1, 1] for maps.
    """
    values = x.reshape(*x.shape, *[1] * (rank - 2))
    for node in chain:
        if node.op_type == "MaxPool":
            continue
        op = BY_KEY[(node.domain, node.op_type)]
        constants = [v.const_value.numpy() for v in node.inputs[1:] if v is not None and v.const_value is not None]
        attributes = {name: attribute.value for name, attribute in node.attributes.items()}
        values = op.reference([values, *constants], attributes)
    return values.reshape(x.shape)


def scan(chain: Sequence[ir.Node], low: NDArray[np.int64], high: NDArray[np.int64], rank: int) -> Scan:
    """Scan ``sign(chain(acc))`` of channel c over every integer of [low[c], high[c]]: level 0 is -1, level 1 is +1."""
    return _scan(lambda x: evaluate(chain, x, rank) >= 0, low, high, 1)


def scan_levels(chain: Sequence[ir.Node], low: NDArray[np.int64], high: NDArray[np.int64], rank: int, levels: tuple[int, int]) -> Scan:
    """Scan ``chain(acc)``, integers from levels[0] to levels[1], as `scan` does: level i is ``levels[0] + i``."""
    least, most = levels
    return _scan(lambda x: evaluate(chain, x, rank) - least, low, high, most - least)


def _scan(level_of: Callable[[NDArray[Any]], NDArray[Any]], low: NDArray[np.int64], high: NDArray[np.int64], count: int) -> Scan:
    """Scan a function to levels 0..count. Whatever its range, its steps are few: only they are looked at one by one."""
    channels = len(low)
    up = np.full((count, channels), NEVER, np.int64)  # first accumulator at which level i + 1 is reached
    down = np.full((count, channels), NEVER, np.int64)  # first accumulator at which it is left
    start, end, before = (np.zeros(channels, np.int64) for _ in range(3))  # levels at low, at high, and before a chunk
    sense = np.zeros(channels, np.int64)  # of the first step
    violations, broken = 0, None
    chunk = max(1, _CHUNK // channels)
    bottom, top = int(low.min()), int(high.max())
    for begin in range(bottom, top + 1, chunk):
        grid = np.arange(begin, min(begin + chunk, top + 1), dtype=np.int32)
        x = np.ascontiguousarray(np.broadcast_to(grid[:, None], (len(grid), channels)))
        level = np.concatenate([before[None], level_of(x).astype(np.int64)])
        for limit, at in ((low, start), (high, end)):
            here = np.flatnonzero((limit >= begin) & (limit < begin + len(grid)))
            at[here] = level[limit[here] - begin + 1, here]
        before = level[-1]
        row, channel = np.nonzero(level[1:] != level[:-1])
        inside = (row + begin > low[channel]) & (row + begin <= high[channel])
        row, channel = row[inside], channel[inside]
        old, new = level[row, channel], level[row + 1, channel]
        for i in range(count):
            for steps, first in (((old <= i) & (new > i), up), ((old > i) & (new <= i), down)):
                np.minimum.at(first[i], channel[steps], row[steps] + begin)
        stepping, position = np.unique(channel, return_index=True)
        sense[stepping] = np.where(sense[stepping] == 0, np.sign(new - old)[position], sense[stepping])
        back = np.flatnonzero(np.sign(new - old) != sense[channel])
        violations += len(back)
        if broken is None and len(back):
            broken = int(channel[back[0]]), int(row[back[0]] + begin)
    falling = sense < 0
    index = np.arange(count)[:, None]
    least = np.where(falling, end, start)
    switch = np.where(falling, 1 - down, up)
    thresholds = np.where(least > index, ALWAYS, np.where((switch == NEVER) | (switch == 1 - NEVER), NEVER, switch))
    return Scan(thresholds, np.where(falling, -1, 1), int((high - low + 1).sum()), violations, broken)
