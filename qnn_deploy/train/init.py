"""Warm start: a network begins with the weights of another one, say a full-precision ResNet's before they are made ternary."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from qnn_deploy.errors import UserError
from qnn_deploy.nn import checkpoint
from qnn_deploy.nn.gradients import along
from qnn_deploy.nn.layers import QuantLayer
from qnn_deploy.train import state

_QUANTIZER = ".quantizer."
"""What weight quantisers keep belongs to their method and their weight."""
_ZERO, _ONE = 0.04, 0.06
"""Largest latent weight of a zero and smallest of a one, as shares of the largest: TTQ, TGA and the fixed threshold begin at 0.05."""


@torch.no_grad()
def warm_start(model: nn.Module, path: Path) -> None:
    """Copy weights, BatchNorms and biases of the same name and shape from the network in ``path`` (see `read`) into ``model``.

    A folded layer has no latent weights any more: `unfold` makes some that mean the same integers. Thresholds and scales that weight
    quantisers learn go on from those of the same method, where the network in ``path`` has them; else they are set to their initial
    values for the new weights. Everything else of ``model`` that has no counterpart stays as it is: the scales of activations, say, which
    find their place within the first steps.

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
        elif f"{name}_int" in source and source[f"{name}_int"].shape == tensor.shape:
            tensor.copy_(unfold(source[f"{name}_int"], source.get(f"{name}_scale"), tensor))
        elif name.endswith(".weight") and tensor.dim() >= 2:
            there = source.get(name, source.get(f"{name}_int"))
            why = "does not have it" if there is None else f"has it as {list(there.shape)}"
            help = "begin with a network of the same architecture and sizes"
            raise UserError(
                "QD0202", f"'init': the network wants {name} {list(tensor.shape)}, and this one {why}", where=str(path), help=help
            )
    for name, module in model.named_modules():
        if isinstance(module, QuantLayer):
            module.reset_quantizer()
            kept = module.quantizer.state_dict()
            prefix = f"{name}{_QUANTIZER}"
            found = {key.removeprefix(prefix): tensor for key, tensor in source.items() if key.startswith(prefix)}
            if {key: tensor.shape for key, tensor in found.items()} == {key: tensor.shape for key, tensor in kept.items()}:
                module.quantizer.load_state_dict(found)


def unfold(integers: Tensor, scale: Tensor | None, fresh: Tensor) -> Tensor:
    """Latent weights for a folded layer's ``integers`` (int8 [out, ...]) and ``scale`` (None, [] or [out]); float32, same shape.

    Integers of more than three levels are multiplied by their scale, or divided by the largest where there is none. Binary and ternary
    ones say nothing about how far a latent weight was from changing: the magnitudes of ``fresh``, the layer's initial weights, are handed
    out anew, the small ones to the zeros, on either side of 0.05 of the largest. Quantisers with a threshold from the mean (TWN,
    absmean) or that centre the weights (XNOR-Net, TGA) find some other integers.
    """
    integers = integers.to(torch.float32)
    if (largest := integers.abs().max()) > 1:
        return integers / largest if scale is None else integers * along(scale, integers)
    magnitudes, levels = fresh.abs().flatten(), integers.abs().flatten()
    latent = torch.empty_like(magnitudes)
    latent[torch.argsort(levels * (1 + magnitudes.max()) + magnitudes)] = magnitudes.sort().values
    if (zeros := levels == 0).any():
        most = latent.max()
        small = latent * (_ZERO * most / latent[zeros].max().clamp(min=torch.finfo(latent.dtype).tiny))
        latent = torch.where(zeros, small, latent.clamp(min=_ONE * most))
    return latent.reshape(fresh.shape) * torch.where(integers == 0, fresh.sign(), integers)


def read(path: Path) -> dict[str, Tensor]:
    """The state of the network in ``path``: the last epoch of a run's folder, else the folder's ``model.pt``, or a checkpoint itself.

    Raises:
        UserError: QD0101 where there is none, QD0102 for a damaged one.
    """
    if (path / state.FILE).is_file():
        return state.load(path / state.FILE).model
    model, _ = checkpoint.load(path / "model.pt" if path.is_dir() else path)
    return dict(model.state_dict())
