"""Activations of few levels: a sign with a learned shift, and three levels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from qnn_deploy.nn import functional
from qnn_deploy.nn.quantizers._base import ActivationQuantizer
from qnn_deploy.nn.quantizers._spec import check_name
from qnn_deploy.nn.quantizers._surrogate import Surrogate


class ShiftedSignActivation(ActivationQuantizer):
    """x -> sign(x + b), b learned for each channel from 0 (RSign of ReActNet, Liu et al. 2020, arXiv 2003.03488; confirmed).

    Args:
        channels: of x [N, channels, ...].
        estimator: spec of a `Surrogate`.
    """

    levels = (-1, 1)

    def __init__(self, channels: int, estimator: str | Mapping[str, Any] = "polynomial") -> None:
        super().__init__()
        self.surrogate = Surrogate(estimator, axis=1)
        self.shift = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return self.surrogate.sign(x + self.shift.reshape(-1, *[1] * (x.dim() - 2)))


class TernaryActivation(ActivationQuantizer):
    """x -> clamp(round_half_even(x / scale), -1, 1): thresholds at +-scale / 2.

    The default gradient is 1 / scale where abs(x) < scale (both steps half a scale wide: Spallanzani et al. 2022; CNV's ternary
    network, whose rounding is the same).

    Args:
        scale: a fixed number; the ``scale`` of what follows.
        estimator: spec of a `Surrogate` for each of the two steps; its u is in units of ``scale``, s = 0.5 where the spec names none.
        form: "thresholds" or "envelope" (see `functional.ternary`).
    """

    levels = (-1, 1)
    scale: Tensor

    def __init__(self, scale: float = 1.0, estimator: str | Mapping[str, Any] = "clipped", form: str = "thresholds") -> None:
        super().__init__()
        if not scale > 0:
            raise ValueError(f"'scale' is positive, not {scale}")
        check_name(form, functional.TERNARY_FORMS, "form of a ternary gradient")
        options: dict[str, Any] = {"name": estimator} if isinstance(estimator, str) else dict(estimator)
        options.setdefault("scale", 0.5 if form == "thresholds" else 1.0)
        self.form = form
        self.surrogate = Surrogate(options, axis=1, gain="raw" if form == "thresholds" else "unit")
        self.register_buffer("scale", torch.tensor(float(scale)))

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            return self.surrogate.ternary(x.float() / self.scale, 0.5, self.form)
        return functional.quantize(x, self.scale, -1, 1)
