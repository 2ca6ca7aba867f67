"""Projection of latent weights after each optimiser step, as the recipe's ``clip`` names it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from qnn_deploy.errors import unknown
from qnn_deploy.nn.layers import QuantLayer
from qnn_deploy.nn.weight_clip import WeightClip
from qnn_deploy.train.spec import arguments

Clip = Callable[[nn.Module], Tensor | None]
"""Projects the latent weights of a network and returns the share of them that lay outside; None where nothing is clipped."""

NAMES = ("unit", "none")


def read_clip(spec: object, where: str = "") -> str | dict[str, Any]:
    """``spec`` with every default filled in.

    Raises:
        UserError: QD0202 for an unknown name or argument.
    """
    if isinstance(spec, dict):
        return arguments(spec, WeightClip, "clip", where)
    if spec not in NAMES:
        raise unknown("clip", spec, (*NAMES, '{ factor = 4.0, mode = "std" }'), where)
    return str(spec)


def make_clip(spec: str | dict[str, Any], model: nn.Module) -> Clip:
    """The projection that ``spec`` names. One of the forward pass is attached to ``model``, whose deployed form depends on it."""
    if isinstance(spec, dict):
        clip = WeightClip(**spec)
        clip.attach(model)
        return clip
    return clamp_binary if spec == "unit" else lambda model: None


@torch.no_grad()
def clamp_binary(model: nn.Module) -> Tensor | None:
    """Clamp binary latent weights to [-1, 1]: outside, they get no gradient and would never come back (BinaryNet, Hubara et al. 2016)."""
    weights = [weight for layer, weight in latent_weights(model) if layer.quantizer.bits == 1]
    if not weights:
        return None
    outside = sum((weight.abs() > 1).sum() for weight in weights)
    for weight in weights:
        weight.clamp_(-1, 1)
    assert isinstance(outside, Tensor)
    return outside / sum(weight.numel() for weight in weights)


def latent_weights(model: nn.Module) -> list[tuple[QuantLayer, nn.Parameter]]:
    """Every quantised layer that still has its latent weight, and that weight."""
    return [(m, m.weight) for m in model.modules() if isinstance(m, QuantLayer) and m.weight is not None]
