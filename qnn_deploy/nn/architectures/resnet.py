"""Binary ResNet-20 for 32x32 images, with a real-valued shortcut around every convolution (Bi-Real Net, Liu et al. 2018)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qnn_deploy.nn.layers import GlobalSumPool2d, InputZero, QuantConv2d, QuantLinear
from qnn_deploy.nn.quantizers import BinaryWeight, Int8Weight, IntActivation, SignActivation

ACTIVATIONS: dict[str, Callable[[int], nn.Module]] = {"none": lambda channels: nn.Identity(), "prelu": nn.PReLU}


class BinaryUnit(nn.Module):
    """activation(stream + BN(conv(sign(stream)))), one binary 3x3 convolution with its own shortcut.

    Where the map shrinks, the shortcut is a 2x2 max-pool (a comparison, hence exact); where it widens,
    the stream is doubled by concatenation.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, activation: str = "none") -> None:
        super().__init__()
        self.stride, self.widen = stride, out_channels // in_channels
        self.sign = SignActivation()
        self.conv = QuantConv2d(in_channels, out_channels, 3, BinaryWeight(), stride=stride, padding=1)
        self.bn = nn.BatchNorm2d(out_channels)
        self.activation = ACTIVATIONS[activation](out_channels)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn(self.conv(self.sign(x)))
        if self.stride > 1:
            x = F.max_pool2d(x, self.stride)
        if self.widen > 1:
            x = torch.cat([x] * self.widen, dim=1)
        return self.activation(y + x)


class BinaryResNet(nn.Module):
    """ResNet of ``6 n + 2`` layers on [N, 3, 32, 32] uint8: int8 first and last layer, binary between, int8 before the global pool.

    Args:
        blocks: pairs of convolutions in each of the three stages (3 for ResNet-20).
        channels: widths of the stages.
        classes: number of logits.
        zero: zero point of each input channel.
        activation: on the stream after each unit, "none" (Bi-Real Net) or "prelu" (one slope a channel; ReActNet, Liu et al. 2020).
    """

    def __init__(
        self,
        blocks: int = 3,
        channels: Sequence[int] = (16, 32, 64),
        classes: int = 10,
        zero: Sequence[int] = (125, 123, 114),
        activation: str = "none",
    ) -> None:
        super().__init__()
        self.input_shape = (3, 32, 32)
        self.input = InputZero(zero)
        self.stem = QuantConv2d(3, channels[0], 3, Int8Weight(), padding=1)
        self.stem_bn = nn.BatchNorm2d(channels[0])
        units: list[nn.Module] = []
        width = channels[0]
        for stage, out in enumerate(channels):
            for unit in range(2 * blocks):
                units.append(BinaryUnit(width, out, 2 if stage > 0 and unit == 0 else 1, activation))
                width = out
        self.units = nn.Sequential(*units)
        self.features = IntActivation(8)
        self.pool = GlobalSumPool2d()
        self.pooled = IntActivation(8)
        self.head = QuantLinear(width, classes, Int8Weight(), bias=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem_bn(self.stem(self.input(x)))
        x = self.features(self.units(x))
        return self.head(self.pooled(self.pool(x)))
