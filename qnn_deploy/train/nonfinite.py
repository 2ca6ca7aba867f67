"""Training that has left the finite numbers: where it happened."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from qnn_deploy.errors import UserError


def non_finite_state(model: nn.Module) -> str | None:
    """The first parameter or buffer of ``model`` that holds NaN or Inf; None where all are finite."""
    for name, tensor in model.state_dict().items():
        if isinstance(tensor, Tensor) and tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            return name
    return None


def first_non_finite_layer(model: nn.Module, images: Tensor) -> str | None:
    """The first layer of ``model`` (name and class) whose output for ``images`` holds NaN or Inf; None where none does.

    Repeats the forward pass, as the caller's autocast and the model's mode have it.
    """
    found: list[str] = []

    def look(name: str, module: nn.Module, output: object) -> None:
        tensors = [value for value in (output if isinstance(output, (tuple, list)) else [output]) if isinstance(value, Tensor)]
        if not found and any(t.is_floating_point() and not bool(torch.isfinite(t).all()) for t in tensors):
            found.append(f"{name or 'the network'} ({type(module).__name__})")

    hooks = [
        module.register_forward_hook(lambda module, inputs, output, name=name: look(name, module, output))
        for name, module in model.named_modules()
    ]
    try:
        with torch.no_grad():
            model(images)
    finally:
        for hook in hooks:
            hook.remove()
    return found[0] if found else None


def diverged(what: str, place: str | None, kept: str) -> UserError:
    """The error QD0204: ``what`` happened, first at ``place``; ``kept`` says which checkpoint is good."""
    where = f"first in the output of {place}" if place else "the outputs of all layers are finite: it is the loss itself"
    return UserError("QD0204", f"training diverged: {what}", where=where, help=f"lower learning_rate or raise warmup; {kept}")
