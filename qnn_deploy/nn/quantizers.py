"""Weight and activation quantisers: from latent float tensors to integer-valued tensors and a scale kept apart."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from qnn_deploy.nn.functional import quantize, sign


class BinaryWeight(nn.Module):
    """w -> sign(w) in {-1, +1}, no scale (BinaryConnect, Courbariaux et al. 2015)."""

    bits = 1

    def __init__(self, estimator: str = "clipped") -> None:
        super().__init__()
        self.estimator = estimator

    def forward(self, weight: Tensor) -> tuple[Tensor, Tensor | None]:
        """Returns (integers of weight's shape, None)."""
        return sign(weight, self.estimator), None


class Int8Weight(nn.Module):
    """w -> round_half_even(w / s) in [-127, 127], s = max(abs(w)) / 127 of each output channel; the scale is returned, not applied."""

    bits = 8

    def forward(self, weight: Tensor) -> tuple[Tensor, Tensor | None]:
        """Returns (integers of weight's shape, scales of shape [out_channels])."""
        scale = weight.detach().abs().amax(dim=tuple(range(1, weight.dim()))).clamp(min=1e-8) / 127
        integers = quantize(weight, scale.reshape(-1, *[1] * (weight.dim() - 1)), -127, 127)
        return integers, scale


class SignActivation(nn.Module):
    """x -> +1 where x >= 0, else -1 (sign(0) = +1)."""

    def __init__(self, estimator: str = "polynomial") -> None:
        super().__init__()
        self.estimator = estimator

    def forward(self, x: Tensor) -> Tensor:
        return sign(x, self.estimator)


class IntActivation(nn.Module):
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
        self.high = 2 ** (bits - 1) - 1
        self.width, self.momentum = width, momentum
        self.register_buffer("scale", torch.tensor(width / self.high))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            with torch.no_grad():
                root_mean_square = x.float().square().mean().sqrt()
                self.scale.lerp_(self.width * root_mean_square / self.high, self.momentum)
        return quantize(x, self.scale, -self.high, self.high)
