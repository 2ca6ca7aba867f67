"""DoReFa weights of 1 to 7 bits (Zhou et al. 2016, arXiv 1606.06160)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from qnn_deploy.nn.functional import quantize
from qnn_deploy.nn.gradients import per_scale
from qnn_deploy.nn.quantizers._base import WeightQuantizer
from qnn_deploy.nn.quantizers._surrogate import FLOOR, Surrogate


class DoReFaWeight(WeightQuantizer):
    """One bit: w -> E sign(w), E = mean(abs(w)) of the layer without gradient. k bits: w -> 2 round(n r) / n - 1,
    n = 2^k - 1, r = tanh(w) / (2 max(abs(tanh(w)))) + 1 / 2, with the identity for round's gradient. Confirmed from public code.

    The integers of k bits are the odd numbers from -n to n, and 1 / n is the scale: 8 bits would not fit int8.

    Args:
        bits: 1 to 7.
        estimator: spec of a `Surrogate`, for one bit.
    """

    def __init__(self, bits: int = 1, estimator: str | Mapping[str, Any] = "identity") -> None:
        super().__init__()
        if bits not in range(1, 8):
            raise ValueError(f"DoReFa weights take 1 to 7 bits, not {bits}")
        self.bits, self.steps = bits, 2**bits - 1
        self.levels = (-self.steps, self.steps)
        self.surrogate = Surrogate(estimator)

    def forward(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Returns (integers of weight's shape, scale of shape [])."""
        if self.bits == 1:
            scale = weight.detach().abs().mean()
            return per_scale(self.surrogate.sign(weight), scale), scale
        squashed = torch.tanh(weight)
        ratio = squashed / (2 * squashed.abs().amax()).clamp(min=FLOOR) + 0.5
        integers = 2 * quantize(self.steps * ratio, torch.ones((), device=weight.device), 0, self.steps) - self.steps
        return integers, torch.full((), 1 / self.steps, device=weight.device)
