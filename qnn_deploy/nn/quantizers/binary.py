"""Binary weights without statistics: the plain sign, and BinaryConnect's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from qnn_deploy.nn.gradients import per_scale
from qnn_deploy.nn.quantizers._base import WeightQuantizer
from qnn_deploy.nn.quantizers._surrogate import Surrogate


class BinaryWeight(WeightQuantizer):
    """w -> sign(w) in {-1, +1}, no scale (BinaryNet, Courbariaux et al. 2016).

    Args:
        estimator: spec of a `Surrogate`.
    """

    bits, levels = 1, (-1, 1)

    def __init__(self, estimator: str | Mapping[str, Any] = "clipped") -> None:
        super().__init__()
        self.surrogate = Surrogate(estimator)

    def forward(self, weight: Tensor) -> tuple[Tensor, None]:
        """Returns (integers of weight's shape, None)."""
        return self.surrogate.sign(weight), None


class BinaryConnectWeight(WeightQuantizer):
    """w -> H sign(w), in training by chance if ``stochastic``: +H with probability clip((w / H + 1) / 2, 0, 1).

    BinaryConnect, Courbariaux et al. 2015; confirmed from its released code. dL/dw = psi(w / H) dL/d(H q), the identity as published,
    where the latent weights are clipped to [-H, H] after each step (`weight_clip.WeightClip`, mode "abs").

    Args:
        bound: H, a number or "glorot": sqrt(1.5 / (fan in + fan out)). 1 gives no scale.
        stochastic: in training only; the deployed weights are the signs.
        estimator: spec of a `Surrogate`; its u is w / H.
    """

    bits, levels = 1, (-1, 1)
    bound: Tensor

    def __init__(self, bound: float | str = 1.0, stochastic: bool = False, estimator: str | Mapping[str, Any] = "identity") -> None:
        super().__init__()
        if bound != "glorot" and not (isinstance(bound, (int, float)) and bound > 0):
            raise ValueError(f"'bound' is a positive number or \"glorot\", not {bound!r}")
        self.glorot, self.stochastic = bound == "glorot", stochastic
        self.scaled = bound != 1.0
        self.surrogate = Surrogate(estimator)
        self.register_buffer("bound", torch.tensor(1.0 if self.glorot else float(bound)), persistent=False)

    def attach(self, weight: Tensor) -> None:
        """Set H where it follows the layer's size."""
        if self.glorot:
            fan_in, fan_out = weight[0].numel(), len(weight) * (weight[0].numel() // weight.shape[1])
            self.bound.fill_(math.sqrt(1.5 / (fan_in + fan_out)))

    def forward(self, weight: Tensor) -> tuple[Tensor, Tensor | None]:
        """Returns (integers of weight's shape, H of shape [] or None where it is 1)."""
        bound = self.bound
        random = self.stochastic and self.training
        integers = self.surrogate.stochastic_sign(weight, bound) if random else self.surrogate.sign(weight, bound)
        return (per_scale(integers, bound), bound) if self.scaled else (integers, None)
