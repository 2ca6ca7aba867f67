"""Trained ternary quantisation: learned scales, one for the positive and one for the negative weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from qnn_deploy.nn.functional import Gains
from qnn_deploy.nn.gradients import along, per_scale
from qnn_deploy.nn.quantizers._base import WeightQuantizer
from qnn_deploy.nn.quantizers._spec import check_name
from qnn_deploy.nn.quantizers._surrogate import ternary_surrogate


class TTQWeight(WeightQuantizer):
    """w -> Wp where w > D, 0 where abs(w) <= D, -Wn where w < -D; D = 0.05 max(abs(w)) of the layer, without gradient.

    TTQ, Zhu et al. 2017 (arXiv 1612.01064); confirmed from its released code. With g the gradient of the ternary weight:
    dL/dw = Wp g | g | Wn g in the three regions, dL/dWp = sum of g over w > D, dL/dWn = *minus* the sum over w < -D (the weight is -Wn).
    Wp and Wn are parameters like all others: as published they start at 1 and are decayed with the weights.

    Args:
        factor: D / max(abs(w)).
        symmetric: one scale for both signs: a single convolution on the device instead of two.
        per: scales for the "layer" (as published) or each output "channel".
        estimator: spec of a `Surrogate`; the identity is the published gradient.
        form: of the gradient, "envelope" or "thresholds" (see `functional.ternary`).
    """

    bits, levels = 2, (-1, 1)

    def __init__(
        self,
        factor: float = 0.05,
        symmetric: bool = False,
        per: str = "layer",
        estimator: str | Mapping[str, Any] = "identity",
        form: str = "envelope",
    ) -> None:
        super().__init__()
        if not 0 <= factor < 1:
            raise ValueError(f"'factor' lies in [0, 1), not at {factor}")
        check_name(per, ("layer", "channel"), "value of 'per'")
        self.factor, self.asymmetric, self.per, self.form = factor, not symmetric, per, form
        self.surrogate = ternary_surrogate(estimator, form)
        self.positive = nn.Parameter(torch.ones(()))
        self.negative = nn.Parameter(torch.ones(())) if self.asymmetric else None

    def attach(self, weight: Tensor) -> None:
        """Set the scales to 1, in the shape that the layer gives them."""
        for scale in (self.positive, self.negative):
            if scale is not None:
                scale.data = torch.ones(len(weight) if self.per == "channel" else (), device=weight.device)

    def forward(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Returns (integers of weight's shape, scales [Wp, Wn] of shape [2] or [2, out_channels]; [] or [out_channels] if symmetric)."""
        threshold = self.factor * weight.detach().abs().amax()
        scale = self.positive if self.negative is None else torch.stack([self.positive, self.negative])
        below = self.positive if self.negative is None else self.negative
        gains: Gains = (along(self.positive.detach(), weight), 1.0, along(below.detach(), weight))
        # The gains are the gradient of the ternary weight; the layer multiplies by the scale once more.
        return per_scale(self.surrogate.ternary(weight, threshold, self.form, gains), scale, self.asymmetric), scale
