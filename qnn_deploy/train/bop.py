"""Bop, the optimiser of binary weights (Helwegen et al. 2019, "Latent Weights Do Not Exist"): it flips signs and keeps no latent weight.

    m <- (1 - gamma) m + gamma g;   flip w where abs(m) > threshold and sign(m) = sign(w)

The published CIFAR-10 run has gamma 1e-4 (a tenth every 100 of 500 epochs), threshold 1e-8, and Adam for everything that is not binary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from qnn_deploy.errors import UserError


class Bop(torch.optim.Optimizer):
    """Bop over weights that stay in {-1, +1}; other parameters need an optimiser of their own.

    Args:
        params: weights; what is not -1 or +1 becomes its sign at once (0 becomes +1).
        gamma: share of the gradient in the moving average, in (0, 1]; a key of the parameter groups, for a schedule.
        threshold: smallest average that flips, >= 0.

    Attributes:
        flips: weights that the last step flipped, 0-d int64.

    Raises:
        UserError: QD0202 for a gamma or threshold out of range.
    """

    flips: Tensor

    def __init__(self, params: Iterable[Any], gamma: float = 1e-4, threshold: float = 1e-8) -> None:
        if not 0 < gamma <= 1:
            raise UserError("QD0202", f"Bop's gamma is in (0, 1], not {gamma}")
        if threshold < 0:
            raise UserError("QD0202", f"Bop's threshold is not below 0, as {threshold} is")
        super().__init__(params, {"gamma": gamma, "threshold": threshold})
        self.flips = torch.tensor(0)
        with torch.no_grad():
            for group in self.param_groups:
                for weight in group["params"]:
                    weight.copy_(torch.where(weight >= 0, 1.0, -1.0))

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; weights without a gradient stay. ``closure`` as in torch."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        flips: Tensor | int = 0
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["average"] = torch.zeros_like(weight)
                average = state["average"].lerp_(weight.grad.to(weight.dtype), group["gamma"])
                flip = (average.abs() > group["threshold"]) & (average.sign() == weight.sign())
                weight.copy_(torch.where(flip, -weight, weight))
                flips = flips + flip.sum()
        self.flips = torch.as_tensor(flips)
        return loss
