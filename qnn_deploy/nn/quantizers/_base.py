"""What every quantiser has: bits, levels, and for weights the form of the scale."""

from __future__ import annotations

from torch import Tensor, nn


class WeightQuantizer(nn.Module):
    """``forward(weight [out, ...]) -> (integers, scale)``; the scale is never multiplied into the integers.

    In ``eval()`` the result is the deployed form, exactly, and the same at each call.

    Attributes:
        bits: of the stored integers (1 binary, 2 ternary).
        levels: smallest and largest integer.
        asymmetric: the scale has a row for the positive and one for the negative integers, [2] or [2, out]; else it is None, [] or [out].
        separate: names of parameters that train in a pass of their own (see `threshold_parameters`).
    """

    bits: int
    levels: tuple[int, int]
    asymmetric: bool = False
    separate: tuple[str, ...] = ()

    def attach(self, weight: Tensor) -> None:
        """Create what depends on the layer: called once by the layer that owns ``weight`` [out, ...], and again to reset to its values."""

    def forward(self, weight: Tensor) -> tuple[Tensor, Tensor | None]:
        raise NotImplementedError


class ActivationQuantizer(nn.Module):
    """``forward(x) -> integer-valued float tensor`` of x's shape; the scale goes into what follows.

    Attributes:
        bits: of one stored value (1 sign, 2 ternary).
        levels: smallest and largest integer.
    """

    bits: int
    levels: tuple[int, int]

    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError


class FoldedWeight(WeightQuantizer):
    """What is left of a quantiser when its layer is folded: no state, only what the stored integers are."""

    def __init__(self, quantizer: WeightQuantizer) -> None:
        super().__init__()
        self.bits, self.levels = quantizer.bits, quantizer.levels
        self.asymmetric = quantizer.asymmetric
