"""Binary weights with a scale from their own statistics: XNOR-Net, IR-Net, ReCU."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from qnn_deploy.nn.quantizers._base import WeightQuantizer
from qnn_deploy.nn.quantizers._statistics import centred_and_std
from qnn_deploy.nn.quantizers._surrogate import Surrogate


class XnorWeight(WeightQuantizer):
    """w -> alpha sign(w'), w' = clamp(w - mean over the input channels, -1, 1), alpha = mean(abs(w')) of each output channel.

    XNOR-Net, Rastegari et al. 2016; centring, clamping and alpha confirmed from the released code, which stores w' back into w; here
    w stays, and its gradient goes through w', which moves w' alike (`WeightClip`, mode "abs", bounds w itself).
    The gradient is the analytic one: dL/dw'_i = alpha g_i 1{abs(w'_i) <= 1} + sign(w'_i) / n sum_j g_j sign(w'_j), g by the scaled
    weights. (The released code has g_i / n in the place of the second term, and a factor n for SGD.)

    Args:
        estimator: spec of a `Surrogate`.
        centre: subtract the mean. A layer with a single input channel would lose everything; it is never centred.
        clamp: bound of w'.
    """

    bits, levels = 1, (-1, 1)

    def __init__(self, estimator: str | Mapping[str, Any] = "clipped", centre: bool = True, clamp: float = 1.0) -> None:
        super().__init__()
        self.surrogate, self.centre, self.clamp = Surrogate(estimator), centre, clamp

    def forward(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Returns (integers of weight's shape, scales of shape [out_channels])."""
        if self.centre and weight.shape[1] > 1:
            weight = weight - weight.mean(1, keepdim=True)
        weight = weight.clamp(-self.clamp, self.clamp)
        return self.surrogate.sign(weight), weight.abs().flatten(1).mean(1)


class IRNetWeight(WeightQuantizer):
    """w -> 2^round(log2 mean(abs(w'))) sign(w'), w' = (w - mean) / std of each output channel: the scale is a shift.

    IR-Net, Qin et al. 2020; confirmed from its released code. The gradient goes through w', not through the scale.

    Args:
        estimator: spec of a `Surrogate`; "ede" has the annealed quantity ``t`` (published: 1e-3 to 10, its logarithm linear).
    """

    bits, levels = 1, (-1, 1)

    def __init__(self, estimator: str | Mapping[str, Any] = "ede") -> None:
        super().__init__()
        self.surrogate = Surrogate(estimator)

    def forward(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Returns (integers of weight's shape, powers of two of shape [out_channels]; 0 where a channel is constant)."""
        centred, std = centred_and_std(weight, tuple(range(1, weight.dim())))
        normal = centred / std
        scale = torch.exp2(torch.round(torch.log2(normal.detach().abs().flatten(1).mean(1))))
        return self.surrogate.sign(normal), scale


class ReCUWeight(WeightQuantizer):
    """w -> alpha sign(clamp(w', -Q, Q)), w' = (w - mean) / (std / (2 sqrt(2))) of each output channel, Q = -mean(abs(w')) ln(2 - 2 tau).

    ReCU, Xu et al. 2021 (arXiv 2103.12369); confirmed from its released code, which starts alpha at random: here it starts at 1.
    Weights beyond Q (the tau quantile of a Laplace distribution) get no gradient; the bits do not depend on Q.
    Annealed quantity: ``tau`` (published: from 0.85 to 0.99, A exp(epoch / E) + B).

    Args:
        tau: where no schedule sets it, in (0.5, 1).
        estimator: spec of a `Surrogate`.
    """

    bits, levels = 1, (-1, 1)
    annealed = ("tau",)
    tau: Tensor

    def __init__(self, tau: float = 0.99, estimator: str | Mapping[str, Any] = "identity") -> None:
        super().__init__()
        if not 0.5 < tau < 1:
            raise ValueError(f"'tau' lies in (0.5, 1), not at {tau}")
        self.surrogate = Surrogate(estimator)
        self.register_buffer("tau", torch.tensor(tau), persistent=False)
        self.alpha = nn.Parameter(torch.ones(()))

    def attach(self, weight: Tensor) -> None:
        """Give alpha a value for each output channel, 1."""
        self.alpha.data = torch.ones(len(weight), device=weight.device)

    def forward(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Returns (integers of weight's shape, learned scales of shape [out_channels])."""
        centred, std = centred_and_std(weight, tuple(range(1, weight.dim())))
        normal = centred / (std / (2 * math.sqrt(2)))
        bound = -normal.detach().abs().mean() * torch.log(2 - 2 * self.tau)
        return self.surrogate.sign(torch.clamp(normal, -bound, bound)), self.alpha
