"""Ternary weights with a threshold and a scale from their own statistics: TWN, the fixed threshold of WACV 2019, BitNet's absmean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from qnn_deploy.nn.gradients import along, per_scale
from qnn_deploy.nn.quantizers._base import WeightQuantizer
from qnn_deploy.nn.quantizers._spec import check_name
from qnn_deploy.nn.quantizers._surrogate import ternary_surrogate

_STATISTICS = ("mean", "max")


class TernaryWeight(WeightQuantizer):
    """w -> alpha {-1, 0, 1}: 0 where abs(w) <= D = 0.7 mean(abs(w)), alpha = mean of the abs(w) > D, both without gradient.

    Ternary weight networks, Li and Liu 2016 (arXiv 1605.04711); confirmed from public code. A layer of zeros has the scale 0.

    Args:
        factor, threshold: D = factor * mean(abs(w)), or * max(abs(w)) with "max".
        per: threshold and scale for the "layer" (as published) or each output "channel".
        estimator: spec of a `Surrogate`; the identity as published, dL/dw = dL/d(alpha q).
        form: of the gradient, "envelope" or "thresholds" (see `functional.ternary`).
    """

    bits, levels = 2, (-1, 1)

    def __init__(
        self,
        factor: float = 0.7,
        threshold: str = "mean",
        per: str = "layer",
        estimator: str | Mapping[str, Any] = "identity",
        form: str = "envelope",
    ) -> None:
        super().__init__()
        if factor < 0:
            raise ValueError(f"'factor' is not negative, unlike {factor}")
        check_name(threshold, _STATISTICS, "threshold")
        check_name(per, ("layer", "channel"), "value of 'per'")
        self.factor, self.threshold, self.per, self.form = factor, threshold, per, form
        self.surrogate = ternary_surrogate(estimator, form)

    def statistics(self, magnitude: Tensor) -> tuple[Tensor, Tensor]:
        """(threshold, scale), [] or [out], of abs(weight)."""
        dims = tuple(range(1, magnitude.dim())) if self.per == "channel" else tuple(range(magnitude.dim()))
        threshold = self.factor * (magnitude.mean(dims) if self.threshold == "mean" else magnitude.amax(dims))
        chosen = magnitude > along(threshold, magnitude)
        return threshold, (magnitude * chosen).sum(dims) / chosen.sum(dims).clamp(min=1)

    def forward(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Returns (integers of weight's shape, scale of shape [] or [out_channels])."""
        with torch.no_grad():
            threshold, scale = self.statistics(weight.abs())
        integers = self.surrogate.ternary(weight, along(threshold, weight), self.form)
        return (per_scale(integers, scale) if self.form == "envelope" else integers), scale


class FixedThresholdWeight(TernaryWeight):
    """`TernaryWeight` with D = 0.05 max(abs(w)) and the clipped estimator (He, Gong, Fan, WACV 2019, arXiv 1807.07948; confirmed)."""

    def __init__(
        self, factor: float = 0.05, per: str = "layer", estimator: str | Mapping[str, Any] = "clipped", form: str = "envelope"
    ) -> None:
        super().__init__(factor, "max", per, estimator, form)


class AbsmeanWeight(TernaryWeight):
    """w -> gamma clip(round(w / gamma), -1, 1), gamma = mean(abs(w)): a threshold at gamma / 2.

    BitNet b1.58, Ma et al. 2024 (arXiv 2402.17764); recalled, and restated in public documentation.
    """

    def __init__(self, per: str = "layer", estimator: str | Mapping[str, Any] = "identity", form: str = "envelope") -> None:
        super().__init__(0.5, "mean", per, estimator, form)

    def statistics(self, magnitude: Tensor) -> tuple[Tensor, Tensor]:
        threshold, _ = super().statistics(magnitude)
        return threshold, 2 * threshold
