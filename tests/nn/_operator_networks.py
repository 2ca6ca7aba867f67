"""Small networks, each of operators of one kind, for the chain: torch -> graph -> ONNX -> packed model -> C."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from qnn_deploy.nn.layers import GlobalSumPool2d, InputZero, QuantConv2d, QuantLinear, SumPool2d
from qnn_deploy.nn.quantizers import BinaryWeight, Int8Weight, IntActivation, SignActivation, weight_quantizer


class Net(nn.Module):
    """Layers one after the other, from pixels of ``shape`` to 10 logits."""

    def __init__(self, shape: tuple[int, ...], *layers: nn.Module) -> None:
        super().__init__()
        self.input_shape = shape
        self.layers = nn.Sequential(InputZero([120, 130, 110][: shape[0]], axes=len(shape) - 1), *layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)  # type: ignore[no-any-return]


def ternary() -> nn.Module:
    return weight_quantizer("fixed-threshold")


def signed(channels: int) -> list[nn.Module]:
    return [nn.BatchNorm2d(channels), SignActivation()]


def convolutions() -> nn.Module:
    """Rectangular, dilated, grouped, depthwise; margins of unequal width, of +1 and of -1; a filter larger than its map."""
    return Net(
        (3, 11, 9),
        *[QuantConv2d(3, 48, (3, 2), Int8Weight(), stride=(1, 2), padding=(1, 0, 2, 1), dilation=(2, 1)), *signed(48)],
        *[QuantConv2d(48, 40, 3, BinaryWeight(), padding=(2, 1, 2, 1), dilation=(2, 1), groups=2), *signed(40)],
        *[QuantConv2d(40, 40, 3, BinaryWeight(), padding=1, groups=40, padding_value=1), *signed(40)],
        *[QuantConv2d(40, 80, (3, 1), ternary(), padding=(1, 0), groups=40), *signed(80)],
        *[QuantConv2d(80, 24, 3, BinaryWeight(), stride=2, padding=(0, 1, 2, 1), padding_value=-1), *signed(24)],
        *[QuantConv2d(24, 12, 5, BinaryWeight(), padding=4, dilation=2, groups=4), *signed(12)],
        *[QuantConv2d(12, 18, 9, ternary(), padding=6, groups=3), *signed(18)],
        *[nn.Flatten(), QuantLinear(18 * 63, 10, BinaryWeight(), bias=True)],
    )


def separable() -> nn.Module:
    """Depthwise and grouped convolutions of 8-bit activations, as in MobileNet."""
    return Net(
        (3, 10, 10),
        *[QuantConv2d(3, 12, 3, Int8Weight(), stride=2, padding=1), nn.BatchNorm2d(12), nn.ReLU(), IntActivation(8)],
        *[QuantConv2d(12, 24, 3, ternary(), padding=1, groups=12), nn.BatchNorm2d(24), nn.ReLU6(), IntActivation(8)],
        *[QuantConv2d(24, 20, 1, BinaryWeight(), groups=4), nn.BatchNorm2d(20), nn.Hardtanh(), IntActivation(8)],
        *[QuantConv2d(20, 20, 3, Int8Weight(), padding=2, dilation=2, groups=20, padding_value=3), nn.BatchNorm2d(20), IntActivation(8)],
        *[SumPool2d(20, (3, 2), 2, 1), nn.BatchNorm2d(20), IntActivation(8)],
        *[GlobalSumPool2d(), IntActivation(8), QuantLinear(20, 10, Int8Weight())],
    )


OPERATORS: dict[str, Callable[[], nn.Module]] = {"convolutions": convolutions, "separable": separable}


def operator_network(name: str, seed: int) -> nn.Module:
    """A latent network of `OPERATORS` in ``eval()``; BatchNorm statistics and integer scales are those of a batch, made hard."""
    torch.manual_seed(seed)
    model = OPERATORS[name]()
    norms = [module for module in model.modules() if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d))]
    for norm in norms:
        norm.momentum = 1.0
        norm.weight.data.normal_()
        norm.bias.data.normal_()
        norm.bias.data[::3] = 0
        norm.weight.data[5] = 0
    with torch.no_grad():
        model(torch.randint(0, 256, (8, *model.input_shape), dtype=torch.uint8))  # type: ignore[arg-type]
    for norm in norms:
        norm.running_mean.round_()  # type: ignore[union-attr]
    return model.eval()
