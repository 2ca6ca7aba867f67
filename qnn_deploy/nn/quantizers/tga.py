"""Truncated Gaussian approximation: a learned threshold, with a scale in closed form."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from qnn_deploy.nn.gradients import clamp_gradient, per_scale
from qnn_deploy.nn.quantizers._base import WeightQuantizer
from qnn_deploy.nn.quantizers._statistics import centred_and_std
from qnn_deploy.nn.quantizers._surrogate import ternary_surrogate


class TGAWeight(WeightQuantizer):
    """w -> alpha {+1 where w - mu > d, -1 where w - mu < -d, else 0}, with mu and sigma the mean and standard deviation of the layer,
    d = min(abs(delta), 3 sigma), a = d / sigma, alpha = mu + sigma phi(a) / (1 - Phi(a)): the mean of a normal weight above mu + d.

    TGA, He and Fan 2019 (arXiv 1810.01018); confirmed from its released code. Gradients: identity through the integers; through alpha to
    ``delta``, mu and sigma, hence to every weight; none through the threshold. ``delta`` starts at 0.05 max(abs(w)) (`attach`; call
    `QuantLayer.reset_quantizer` after loading pretrained weights), and its gradient is clamped to +-0.001. As published it takes a
    pass of its own over each batch before the weights do (`split_parameters`); training both together is a simplification.

    Args:
        factor: initial delta / max(abs(w)).
        clamp: bound of delta's gradient.
        estimator: spec of a `Surrogate`.
    """

    bits, levels = 2, (-1, 1)
    separate = ("delta",)

    def __init__(self, factor: float = 0.05, clamp: float = 1e-3, estimator: str | Mapping[str, Any] = "identity") -> None:
        super().__init__()
        self.factor, self.clamp = factor, clamp
        self.surrogate = ternary_surrogate(estimator, "envelope")
        self.delta = nn.Parameter(torch.zeros(()))

    def attach(self, weight: Tensor) -> None:
        """Set delta from the weights."""
        self.delta.data = self.factor * weight.abs().amax()

    def forward(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Returns (integers of weight's shape, scale of shape [])."""
        _, sigma = centred_and_std(weight, tuple(range(weight.dim())))
        sigma, mean = sigma.reshape(()), weight.mean()
        threshold = torch.minimum(clamp_gradient(self.delta, self.clamp).abs(), 3 * sigma.detach())
        a = threshold / sigma
        density = torch.exp(-a.square() / 2) / math.sqrt(2 * math.pi)
        scale = mean + sigma * density / (torch.special.erfc(a / math.sqrt(2)) / 2)
        integers = self.surrogate.ternary(weight - mean.detach(), threshold.detach())
        return per_scale(integers, scale), scale


def split_parameters(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """(parameters that train together, parameters with a pass of their own): the two groups of a training loop in two passes.

    The second are those that their quantiser lists in ``separate`` (TGA's thresholds); empty where no quantiser has any.
    """
    separate = [getattr(module, name) for module in model.modules() if isinstance(module, WeightQuantizer) for name in module.separate]
    chosen = {id(parameter) for parameter in separate}
    return [parameter for parameter in model.parameters() if id(parameter) not in chosen], separate
