"""Warm start: a network begins with the weights of another one, say a full-precision ResNet's before they are made ternary."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from qnn_deploy.errors import UserError
from qnn_deploy.nn import checkpoint
from qnn_deploy.nn.layers import QuantLayer
from qnn_deploy.train import state

_QUANTIZER = ".quantizer."
"""What quantisers keep belongs to their method and their weight: it begins afresh."""


@torch.no_grad()
def warm_start(model: nn.Module, path: Path) -> None:
    """Copy weights, BatchNorms and biases of the same name and shape from the network in ``path`` (see `read`) into ``model``.

    Thresholds and scales that weight quantisers learn are set to their initial values for the new weights. Everything else of ``model``
    that has no counterpart stays as it is: the scales of activations, say, which find their place within the first steps.

    Raises:
        UserError: QD0101 where there is no such network, QD0102 for a damaged one, QD0202 where a layer of ``model`` finds no weights.
    """
    source = read(path)
    own = model.state_dict()
    for name, tensor in own.items():
        if _QUANTIZER in name:
            continue
        if name in source and source[name].shape == tensor.shape:
            tensor.copy_(source[name])
        elif name.endswith(".weight") and tensor.dim() >= 2:
            why = f"has it as {list(source[name].shape)}" if name in source else "does not have it"
            help = "begin with a network of the same architecture and sizes that is not folded: a float one, or a run's folder"
            raise UserError(
                "QD0202", f"'init': the network wants {name} {list(tensor.shape)}, and this one {why}", where=str(path), help=help
            )
    for module in model.modules():
        if isinstance(module, QuantLayer):
            module.reset_quantizer()


def read(path: Path) -> dict[str, Tensor]:
    """The state of the network in ``path``: the last epoch of a run's folder, else the folder's ``model.pt``, or a checkpoint itself.

    Raises:
        UserError: QD0101 where there is none, QD0102 for a damaged one.
    """
    if (path / state.FILE).is_file():
        return state.load(path / state.FILE).model
    model, _ = checkpoint.load(path / "model.pt" if path.is_dir() else path)
    return dict(model.state_dict())
