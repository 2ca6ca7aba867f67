"""Networks with random weights and the BatchNorm statistics that are hard: negative and zero gamma, thresholds on attainable integers."""

from __future__ import annotations

import torch
from torch import nn

from qnn_deploy.nn.architectures import ARCHITECTURES
from qnn_deploy.nn.layers import InputZero, QuantConv2d, QuantLinear
from qnn_deploy.nn.quantizers import BinaryWeight, Int8Weight, SignActivation, TTQWeight

SMALL: dict[str, dict[str, object]] = {
    "digits-cnn": {"channels": 24},
    "cnv": {"channels": [16, 24, 32], "dense": [40], "size": 32},
    "binary-resnet": {"blocks": 1, "channels": [8, 16, 32]},
}

# More arguments for an architecture of `SMALL`.
PRELU: dict[str, object] = {**SMALL["binary-resnet"], "activation": "prelu"}

_RESNET = {"blocks": 1, "channels": [8, 8, 16]}
# Other quantisers in the architectures: id -> (architecture, arguments).
QUANTISED: dict[str, tuple[str, dict[str, object]]] = {
    "binary-resnet with PReLU": ("binary-resnet", PRELU),
    "resnet, TTQ": ("resnet", {**_RESNET, "weights": "ttq"}),
    "resnet, XNOR-Net, norm first": ("resnet", {**_RESNET, "weights": "xnor", "norm": "pre"}),
    "resnet, no norm": ("resnet", {**_RESNET, "weights": "twn", "norm": "none"}),
    "resnet, TGA throughout": ("resnet", {**_RESNET, "weights": "tga", "first": "tga", "last": "tga"}),
    "resnet, 4 bits": ("resnet", {**_RESNET, "weights": {"name": "int", "bits": 4}, "activations": {"name": "lsq", "bits": 4}}),
    "cnv, ternary": ("cnv", {**SMALL["cnv"], "weights": "fixed-threshold", "activations": "ternary"}),
    "cnv, ternary on binary": ("cnv", {**SMALL["cnv"], "weights": "fixed-threshold", "padding": 1, "size": 16}),
    "cnv, binary on ternary": ("cnv", {**SMALL["cnv"], "activations": "ternary", "padding": 1, "size": 16}),
    "cnv, 2 bits": ("cnv", {**SMALL["cnv"], "weights": {"name": "int", "bits": 3}, "activations": {"name": "pact", "bits": 2}}),
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


def hard_slopes(model: nn.Module, seed: int, *, negative: bool = True) -> nn.Module:
    """Random slopes in every PReLU of ``model``, in place: below and above 1, zeros, a subnormal; with ``negative`` of both signs."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.PReLU):
            slopes = torch.randn(module.num_parameters, generator=generator) * 1.5
            special = torch.tensor([0.3, 0.0, 1e-40, 1.0, -1.0, -0.0])
            slopes[: len(special)] = special[: len(slopes)]
            module.weight.data.copy_(slopes if negative else slopes.abs())
    return model


def network(name: str, seed: int, arguments: dict[str, object] | None = None) -> nn.Module:
    """A small latent network of architecture ``name`` in ``eval()``; ``arguments`` in place of those in `SMALL`."""
    torch.manual_seed(seed)
    model = hard_slopes(hard_batch_norm(ARCHITECTURES[name](**(arguments or SMALL[name])), seed), seed).eval()
    for module in model.modules():
        if isinstance(module, TTQWeight):
            for scale in (module.positive, module.negative):  # 1 until they are trained
                scale.data.uniform_(0.1, 3)
    return model


class SlopeNet(nn.Module):
    """Signs behind PReLU and LeakyReLU: at once, with a BatchNorm between, behind a max-pool and with one in front."""

    def __init__(self) -> None:
        super().__init__()
        self.input_shape = (3, 12, 12)
        self.layers = nn.Sequential(
            *[InputZero([125, 123, 114]), QuantConv2d(3, 16, 3, Int8Weight(), padding=1), nn.BatchNorm2d(16), nn.PReLU(16)],
            *[SignActivation(), QuantConv2d(16, 16, 3, BinaryWeight(), padding=1), nn.PReLU(16), nn.BatchNorm2d(16), SignActivation()],
            *[QuantConv2d(16, 24, 3, BinaryWeight()), nn.MaxPool2d(2), nn.LeakyReLU(0.1, inplace=True), nn.BatchNorm2d(24)],
            *[SignActivation(), QuantConv2d(24, 24, 3, BinaryWeight(), padding=1), nn.BatchNorm2d(24), nn.MaxPool2d(2), nn.PReLU(24)],
            *[nn.BatchNorm2d(24), SignActivation(), nn.Flatten(), QuantLinear(96, 10, BinaryWeight())],
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)  # type: ignore[no-any-return]


def slope_net(seed: int, *, negative: bool) -> nn.Module:
    """A latent `SlopeNet` in ``eval()``."""
    torch.manual_seed(seed)
    model = hard_slopes(hard_batch_norm(SlopeNet(), seed), seed, negative=negative).eval()
    last = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)][-1]
    last.running_mean.normal_()  # type: ignore[union-attr]  # it sees no accumulators but values around 1
    return model


def pixels(model: nn.Module, count: int, seed: int) -> torch.Tensor:
    """Random uint8 images, the first all 0, the second all 255."""
    x = torch.randint(0, 256, (count, *model.input_shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))  # type: ignore[arg-type]
    x[0], x[1] = 0, 255
    return x
