"""An estimator with its parameters: what a quantiser calls to take a sign or a ternary step with a surrogate gradient."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from qnn_deploy.nn import functional
from qnn_deploy.nn.estimators import ESTIMATORS
from qnn_deploy.nn.quantizers._spec import check_name

_SCALES = ("std", "mean_abs")
_OPTIONS = ("scale", "per", "gain")
FLOOR = 1e-30


class Surrogate(nn.Module):
    """An estimator of `ESTIMATORS`, its parameters, and how its argument ``u = x / s`` is normalised.

    Scheduled parameters are buffers (see ``annealed``); they are training's only, hence not part of the state.

    Args:
        spec: a name, or {"name": ..., "scale": ..., "per": ..., "gain": ..., **parameters of the estimator}: ``scale`` s is a number, "std"
            or "mean_abs" of x (without gradient), ``per`` "layer" or "channel", ``gain`` "raw" or "unit" (divide by psi(0)).
        axis: of x that counts channels, 0 for weights and 1 for activations.
        gain: where ``spec`` names none.

    Raises:
        UserError: QD0202 for an unknown name, parameter or option.
    """

    annealed: tuple[str, ...]

    def __init__(self, spec: str | Mapping[str, Any], axis: int = 0, gain: str = "raw") -> None:
        super().__init__()
        options: dict[str, Any] = {"name": spec} if isinstance(spec, str) else dict(spec)
        name = options.pop("name", "")
        check_name(name, ESTIMATORS, "estimator")
        estimator = ESTIMATORS[name]
        self.name, self.axis = name, axis
        self.scale = options.pop("scale", 1.0)
        self.per = options.pop("per", "layer")
        self.gain = options.pop("gain", gain)
        if isinstance(self.scale, str):
            check_name(self.scale, _SCALES, "scale of an estimator")
        elif not self.scale > 0:
            raise ValueError(f"the scale of an estimator is positive, not {self.scale}")
        check_name(self.per, ("layer", "channel"), "'per' of an estimator")
        functional.check_gain(self.gain, estimator)
        for key in options:
            check_name(key, [*estimator.parameters, *_OPTIONS], f"parameter of the estimator {name!r}")
        values = {**estimator.parameters, **options}
        self.fixed = {key: value for key, value in values.items() if key not in estimator.scheduled}
        self.annealed = estimator.scheduled
        for key in self.annealed:
            self.register_buffer(key, torch.tensor(float(values[key])), persistent=False)

    def bound_parameters(self) -> dict[str, float | Tensor]:
        """Every parameter of the estimator, scheduled ones as 0-d tensors."""
        return {**self.fixed, **{key: getattr(self, key) for key in self.annealed}}

    @torch.no_grad()
    def scale_of(self, x: Tensor) -> float | Tensor:
        """s of ``u = x / s``, broadcasting against x."""
        if not isinstance(self.scale, str):
            return self.scale
        x = x.float()
        dims = [d for d in range(x.dim()) if d != self.axis or self.per == "layer"]
        if self.scale == "std":
            s = (x - x.mean(dims, keepdim=True)).square().mean(dims, keepdim=True).sqrt()
        else:
            s = x.abs().mean(dims, keepdim=True)
        return s.clamp(min=FLOOR)

    def sign(self, x: Tensor, unit: functional.Number = 1.0) -> Tensor:
        """`functional.sign` with this estimator, at u = x / (s * unit)."""
        return functional.sign(x, self.name, scale=self.scale_of(x) * unit, gain=self.gain, parameters=self.bound_parameters())

    def stochastic_sign(self, x: Tensor, bound: functional.Number) -> Tensor:
        """`functional.stochastic_sign` with this estimator, at u = x / (s * bound)."""
        scale = self.scale_of(x) * bound
        return functional.stochastic_sign(x, self.name, bound=bound, scale=scale, gain=self.gain, parameters=self.bound_parameters())

    def ternary(self, x: Tensor, threshold: functional.Number, form: str = "envelope", gains: functional.Gains = (1.0, 1.0, 1.0)) -> Tensor:
        """`functional.ternary` with this estimator."""
        scale, parameters = self.scale_of(x), self.bound_parameters()
        return functional.ternary(x, threshold, self.name, form=form, scale=scale, gain=self.gain, gains=gains, parameters=parameters)

    def extra_repr(self) -> str:
        return f"{self.name}, scale={self.scale}, per={self.per}, gain={self.gain}"


def ternary_surrogate(spec: str | Mapping[str, Any], form: str) -> Surrogate:
    """The `Surrogate` of a ternary weight: gain "unit" for the form "envelope"; s = standard deviation for "thresholds",
    since a step as narrow as the threshold would leave most weights without gradient.
    """
    check_name(form, functional.TERNARY_FORMS, "form of a ternary gradient")
    options: dict[str, Any] = {"name": spec} if isinstance(spec, str) else dict(spec)
    if form == "thresholds":
        options.setdefault("scale", "std")
    return Surrogate(options, gain="unit" if form == "envelope" else "raw")
