"""Weights of 2 to 8 bits with a scale of their own range."""

from __future__ import annotations

from torch import Tensor

from qnn_deploy.nn.functional import quantize
from qnn_deploy.nn.quantizers._base import WeightQuantizer


class IntWeight(WeightQuantizer):
    """w -> round_half_even(w / s) in [-n, n], n = 2^(bits-1) - 1, s = max(abs(w)) / n; the scale is returned, not applied.

    Args:
        bits: 2 to 8.
        per: "channel" (a scale for each output channel) or "layer".
    """

    def __init__(self, bits: int = 8, per: str = "channel") -> None:
        super().__init__()
        if bits not in range(2, 9):
            raise ValueError(f"weights take 2 to 8 bits, not {bits}")
        if per not in ("channel", "layer"):
            raise ValueError(f'\'per\' is "channel" or "layer", not {per!r}')
        self.bits, self.per = bits, per
        self.levels = (1 - 2 ** (bits - 1), 2 ** (bits - 1) - 1)

    def forward(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Returns (integers of weight's shape, scales of shape [out_channels] or [])."""
        magnitude = weight.detach().abs()
        largest = magnitude.amax(dim=tuple(range(1, weight.dim()))) if self.per == "channel" else magnitude.amax()
        scale = largest.clamp(min=1e-8) / self.levels[1]
        shaped = scale.reshape(-1, *[1] * (weight.dim() - 1)) if self.per == "channel" else scale
        return quantize(weight, shaped, *self.levels), scale


class Int8Weight(IntWeight):
    """`IntWeight` of 8 bits with a scale for each output channel."""

    def __init__(self) -> None:
        super().__init__(8)
