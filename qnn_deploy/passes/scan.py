"""Threshold scan: an activation function, evaluated at every accumulator that its layer can reach, read off as one integer threshold.

No algebra: the switch point of a rounded function is where the function itself switches. The scan also proves that it switches once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
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
        constant_channels: channels that never switch.
    """

    layer: str
    channels: int
    accumulators: int
    violations: int
    reversed_channels: int
    constant_channels: int


@dataclasses.dataclass(frozen=True)
class Scan:
    """Result of a scan, per channel (length C).

    ``threshold``: +1 exactly where ``direction * acc >= threshold`` over [low, high]; ALWAYS or NEVER for a constant channel.
    ``broken``: (channel, accumulator) of the first switch back, or None.
    """

    threshold: NDArray[np.int64]
    direction: NDArray[np.int64]
    checked: int
    violations: int
    broken: tuple[int, int] | None


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
    """Scan ``sign(chain(acc))`` of channel c over every integer of [low[c], high[c]]."""
    channels = len(low)
    first = np.full(channels, NEVER, np.int64)  # smallest accumulator with +1
    last = np.full(channels, ALWAYS, np.int64)  # largest accumulator with +1
    changes = np.zeros(channels, np.int64)
    start: NDArray[np.bool_] = np.zeros(channels, bool)
    end: NDArray[np.bool_] = np.zeros(channels, bool)
    broken: tuple[int, int] | None = None
    step = max(1, _CHUNK // channels)
    bottom, top = int(low.min()), int(high.max())
    for begin in range(bottom, top + 1, step):
        grid = np.arange(begin, min(begin + step, top + 1), dtype=np.int64)
        x = np.broadcast_to(grid[:, None], (len(grid), channels))
        positive = evaluate(chain, np.ascontiguousarray(x.astype(np.int32)), rank) >= 0
        inside = (x >= low) & (x <= high)
        start = np.where(grid[0] <= low, np.take_along_axis(positive, np.clip(low - begin, 0, len(grid) - 1)[None], 0)[0], start)
        before = np.concatenate([end[None], positive[:-1]])
        switched = (before != positive) & inside & (x > low)
        changes += switched.sum(0)
        if broken is None and (changes > 1).any():
            channel = int(np.argmax(changes > 1))
            broken = channel, int(grid[np.flatnonzero(switched[:, channel])[-1]])
        hit = positive & inside
        first = np.minimum(first, np.where(hit, x, NEVER).min(0))
        last = np.maximum(last, np.where(hit, x, ALWAYS).max(0))
        end = positive[-1]
    never = first == NEVER
    always = ~never & (changes == 0)
    falling = ~never & ~always & start
    threshold = np.where(falling, -last, first)
    threshold = np.where(never, NEVER, np.where(always, ALWAYS, threshold))
    return Scan(threshold, np.where(falling, -1, 1), int((high - low + 1).sum()), int(np.maximum(changes - 1, 0).sum()), broken)
