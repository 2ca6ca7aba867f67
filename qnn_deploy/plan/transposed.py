"""A transposed convolution as ordinary ones: of stride s, output pixels y with one y % s see the same taps of the kernel, on neighbouring
pixels of the map. Each such phase is a convolution of stride 1; interleaved, the phases are the output.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray


@dataclasses.dataclass(frozen=True)
class Phase:
    """One phase along one axis.

    Attributes:
        taps: of the kernel, in the order of the map's pixels; -1 for one of weight 0, that the window needs to lie beside the map.
        before, behind: padding.
        size: of its output.
    """

    taps: tuple[int, ...]
    before: int
    behind: int
    size: int


def phases(size: int, kernel: int, stride: int, pad: int, out: int) -> list[Phase]:
    """The phases of an axis of ``size`` pixels; ``pad`` is what is cut off in front, ``out`` the size of the result."""
    return [_phase(size, kernel, stride, pad, out, number) for number in range(min(stride, out))]


def _phase(size: int, kernel: int, stride: int, pad: int, out: int, number: int) -> Phase:
    # Output y = stride * t + number sees pixel t + shift - m through tap first + m * stride.
    shift, first = divmod(number + pad, stride)
    taps = list(range(first, kernel, stride))[::-1] or [-1]
    count = -(-(out - number) // stride)
    before = len(taps) - 1 - shift
    behind = count - 1 + shift - (size - 1)
    # A window may begin behind the first pixel or end before the last one, or lie beside the map altogether.
    ahead = max(0, -before, behind - len(taps) + 1)
    after = max(0, -behind, before - len(taps) + 1)
    return Phase((*[-1] * ahead, *taps, *[-1] * after), before + ahead, behind + after, count)


def kernel_of(weights: NDArray[np.int8], rows: Phase, columns: Phase) -> NDArray[np.int8]:
    """The kernel [O, C, taps, taps] of a phase of ``weights`` [O, C, kh, kw]."""
    padded = np.pad(weights, ((0, 0), (0, 0), (0, 1), (0, 1)))  # tap -1 is the last one
    return np.ascontiguousarray(padded[:, :, list(rows.taps)][:, :, :, list(columns.taps)])
