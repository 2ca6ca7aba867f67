"""Clipping of latent weights at a multiple of their own size.

The bound of a layer (or of each output channel) is ``factor`` times

| mode | times | source |
|---|---|---|
| std | the standard deviation | inferred for the factor f = 4.0 of a bachelor thesis (Delft 2026), which defines it nowhere |
| mean_abs | the mean of abs(w) | ReCU (Xu et al. 2021): its Q = -E|w| ln(2 - 2 tau) is ``factor = -ln(2 - 2 tau)`` |
| abs | 1 | BinaryConnect (Courbariaux et al. 2015) |
| init | sqrt(1.5 / (fan in + fan out)) | BinaryConnect's "Glorot" |
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from qnn_deploy.errors import UserError, unknown
from qnn_deploy.nn.layers import QuantLayer


def _std(w: Tensor) -> Tensor:
    return w.std(dim=1, correction=0)


def _mean_abs(w: Tensor) -> Tensor:
    return w.abs().mean(dim=1)


MODES: dict[str, Callable[[Tensor], Tensor] | None] = {"std": _std, "mean_abs": _mean_abs, "abs": None, "init": None}


class WeightClip:
    """Clamps latent weights of binary and ternary layers to [-bound, bound]; other layers are left alone.

    Args:
        factor: of the bound, above 0.
        mode: a row of `MODES`.
        per: one bound for a "layer" or for each output "channel".
        where: "post_step" projects the weights themselves, called after each step of the optimiser. "forward" leaves them and quantises
            ``clamp(w)`` instead, so that weights outside get no gradient (ReCU); call it, or `attach`, once before training.

    Raises:
        UserError: QD0202 for an unknown name or a factor that is not above 0.
    """

    def __init__(self, factor: float = 4.0, mode: str = "std", per: str = "layer", where: str = "post_step") -> None:
        for what, value, known in (
            ("mode", mode, tuple(MODES)),
            ("per", per, ("layer", "channel")),
            ("where", where, ("post_step", "forward")),
        ):
            if value not in known:
                raise unknown(f"{what} of clip", value, known)
        if not (factor > 0 and math.isfinite(factor)):
            raise UserError("QD0202", f"the factor of clip is above 0, not {factor}")
        self.factor, self.mode, self.per, self.where = factor, mode, per, where
        self._attached: weakref.WeakSet[nn.Module] = weakref.WeakSet()

    @torch.no_grad()
    def bound(self, weight: Tensor) -> Tensor:
        """The bound for ``weight`` [out, ...]: float32, [1, 1, ...] or [out, 1, ...]."""
        rows = weight.reshape(len(weight) if self.per == "channel" else 1, -1)
        measure = MODES[self.mode]
        if measure is not None:
            size = measure(rows)
        else:
            fans = (weight[0].numel(), weight[:, 0].numel())
            size = rows.new_full((len(rows),), math.sqrt(1.5 / sum(fans)) if self.mode == "init" else 1.0)
        return (self.factor * size).reshape(-1, *[1] * (weight.dim() - 1))

    @torch.no_grad()
    def __call__(self, model: nn.Module) -> Tensor:
        """Clip ``model`` and return the share of latent weights that lay outside their bound (0-d float32)."""
        self.attach(model)
        outside: Tensor | float = 0.0
        count = 0
        for layer in _layers(model):
            weight = layer.weight
            assert weight is not None
            bound = self.bound(weight)
            outside = outside + (weight.abs() > bound).sum()
            count += weight.numel()
            if self.where == "post_step":
                weight.clamp_(-bound, bound)
        return torch.as_tensor(outside / max(count, 1))

    def attach(self, model: nn.Module) -> None:
        """For ``where="forward"``: put the clamp before the quantisers of ``model``, which have it from then on. Else nothing."""
        if self.where != "forward":
            return
        for layer in _layers(model):
            if layer.quantizer not in self._attached:
                self._attached.add(layer.quantizer)
                layer.quantizer.register_forward_pre_hook(self._clamped)

    def _clamped(self, quantizer: nn.Module, arguments: tuple[Any, ...]) -> tuple[Tensor]:
        (weight,) = arguments
        bound = self.bound(weight)
        return (weight.clamp(-bound, bound),)


def _layers(model: nn.Module) -> list[QuantLayer]:
    return [m for m in model.modules() if isinstance(m, QuantLayer) and m.weight is not None and m.quantizer.bits in (1, 2)]
