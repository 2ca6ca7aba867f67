"""From a recipe to its network, with fresh weights or with those of a run."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from qnn_deploy.errors import UserError, unknown
from qnn_deploy.nn.architectures import ARCHITECTURES
from qnn_deploy.nn.quantizers import Spec, activation_quantizer, weight_quantizer
from qnn_deploy.train import state
from qnn_deploy.train.clipping import make_clip
from qnn_deploy.train.recipe import Recipe, make_recipe, within

T = TypeVar("T")
_QUANTIZERS: dict[str, Callable[[Spec], nn.Module]] = {
    "weights": weight_quantizer,
    "activations": lambda spec: activation_quantizer(spec, channels=1),
    "first": weight_quantizer,
    "last": weight_quantizer,
}


def build_network(recipe: Recipe) -> nn.Module:
    """The network of ``recipe`` with fresh weights.

    Raises:
        UserError: QD0202 naming the key of the architecture or argument that is wrong.
    """
    if recipe.architecture not in ARCHITECTURES:
        raise unknown("architecture", recipe.architecture, ARCHITECTURES, "")
    build = ARCHITECTURES[recipe.architecture]
    known = inspect.signature(build).parameters
    for name in recipe.arguments:
        if name not in known:
            raise unknown("key", f"arguments.{name}", [f"arguments.{other}" for other in known], "")
    for name, quantizer in _QUANTIZERS.items():
        spec = recipe.arguments.get(name, "float")
        if spec != "float":
            named(f"arguments.{name}", lambda: quantizer(spec))  # noqa: B023 -- called at once
    return named("arguments", lambda: build(**recipe.arguments))


def named(key: str, make: Callable[[], T]) -> T:
    """``make()``, whose errors name ``key``.

    Raises:
        UserError: what it raises, or QD0202 for a TypeError, ValueError or KeyError.
    """
    try:
        return make()
    except UserError as error:
        raise within(error, key) from error
    except (TypeError, ValueError, KeyError) as error:
        raise UserError("QD0202", f"the network cannot be made: {error}", where=key) from error


def load_trained(folder: Path) -> nn.Module:
    """The latent network of the last whole epoch in ``folder``, in ``eval()``.

    Raises:
        UserError: QD0101 where there is no ``last.pt``, QD0102 for a damaged one.
    """
    path = folder / state.FILE
    saved = state.load(path)
    recipe = make_recipe(saved.recipe, str(path))
    model = build_network(recipe)
    try:
        model.load_state_dict(saved.model)
    except RuntimeError as error:
        raise UserError("QD0102", f"the weights do not fit the architecture: {error}", where=str(path)) from error
    make_clip(recipe.clip, model)
    return model.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload,no-any-return]
