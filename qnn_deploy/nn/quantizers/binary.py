"""Binary weights: the plain sign, and BinaryConnect's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

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
