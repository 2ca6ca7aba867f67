"""Activations of one bit, and of 8 or 16 bits with a scale that follows the data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from qnn_deploy.nn.functional import quantize
from qnn_deploy.nn.quantizers._base import ActivationQuantizer
from qnn_deploy.nn.quantizers._surrogate import Surrogate


class SignActivation(ActivationQuantizer):
    """x -> +1 where x >= 0, else -1 (sign(0) = +1).

    Args:
        estimator: spec of a `Surrogate`.
    """

    bits = 1
    levels = (-1, 1)

    def __init__(self, estimator: str | Mapping[str, Any] = "polynomial") -> None:
        super().__init__()
        self.surrogate = Surrogate(estimator, axis=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.surrogate.sign(x)


class IntActivation(ActivationQuantizer):
    """x -> clamp(round_half_even(x / scale), -(2^(bits-1) - 1), 2^(bits-1) - 1), integer-valued; ``scale`` is one number for the layer.

    In training the scale follows ``width`` standard deviations of x (exponential moving average), so that the range covers them.

    Args:
        bits: 8 or 16.
        width: standard deviations that the largest integer stands for.
    """

    scale: Tensor

    def __init__(self, bits: int = 8, width: float = 6.0, momentum: float = 0.05) -> None:
        super().__init__()
        if bits not in (8, 16):
            raise ValueError(f"IntActivation takes 8 or 16 bits, not {bits}")
        self.bits = bits
        self.high = 2 ** (bits - 1) - 1
        self.levels = (-self.high, self.high)
        self.width, self.momentum = width, momentum
        self.register_buffer("scale", torch.tensor(width / self.high))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            with torch.no_grad():
                some = x[:: max(1, len(x) // 16)]  # 16 to 31 images tell it well enough, and spare the pass over all of them
                root_mean_square = some.float().square().mean().sqrt()
                self.scale.lerp_(self.width * root_mean_square / self.high, self.momentum)
        return quantize(x, self.scale, -self.high, self.high)


class Int8Activation(IntActivation):
    """`IntActivation` of 8 bits."""

    def __init__(self, width: float = 6.0, momentum: float = 0.05) -> None:
        super().__init__(8, width, momentum)


class Int16Activation(IntActivation):
    """`IntActivation` of 16 bits."""

    def __init__(self, width: float = 6.0, momentum: float = 0.05) -> None:
        super().__init__(16, width, momentum)
