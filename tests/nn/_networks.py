"""Networks with random weights and the BatchNorm statistics that are hard: negative and zero gamma, thresholds on attainable integers."""

from __future__ import annotations

import torch
from torch import nn

from qnn_deploy.nn.architectures import ARCHITECTURES

SMALL: dict[str, dict[str, object]] = {
    "digits-cnn": {"channels": 24},
    "cnv": {"channels": [16, 24, 32], "dense": [40], "size": 32},
    "binary-resnet": {"blocks": 1, "channels": [8, 16, 32]},
}


def hard_batch_norm(model: nn.Module, seed: int) -> nn.Module:
    """Random hard statistics in every BatchNorm of ``model``, in place."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            n = module.num_features
            module.running_mean.copy_(torch.randn(n, generator=generator) * 10).round_()  # type: ignore[union-attr]
            module.running_var.copy_(torch.rand(n, generator=generator) * 100 + 1e-3)  # type: ignore[union-attr]
            module.weight.data.copy_(torch.randn(n, generator=generator))
            module.bias.data.copy_(torch.randn(n, generator=generator))
            module.bias.data[::3] = 0
            module.weight.data[5] = 0
    return model


def network(name: str, seed: int) -> nn.Module:
    """A small latent network of architecture ``name`` in ``eval()``."""
    torch.manual_seed(seed)
    return hard_batch_norm(ARCHITECTURES[name](**SMALL[name]), seed).eval()


def pixels(model: nn.Module, count: int, seed: int) -> torch.Tensor:
    """Random uint8 images, the first all 0, the second all 255."""
    x = torch.randint(0, 256, (count, *model.input_shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))  # type: ignore[arg-type]
    x[0], x[1] = 0, 255
    return x
