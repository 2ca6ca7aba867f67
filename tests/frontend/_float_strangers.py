"""Networks as strangers write them, with sums over floats: weight-only ones, and float layers among binary ones.

As in `_strangers`, each class is a factory for ``tests.frontend._float_strangers:make_NAME``.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.frontend._strangers import AlphaConv, BinaryConv, BinaryDense, Net, prepare, sign


class WeightOnly(nn.Module):
    """The ablation papers': binary weights, alpha in front, float activations, a mean over the map."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(19)
        self.conv1, self.bn1 = BinaryConv(3, 16, 3, padding=1), nn.BatchNorm2d(16)
        self.conv2, self.bn2 = AlphaConv(16, 24, 3, padding=1), nn.BatchNorm2d(24)
        self.pool, self.fc = nn.AdaptiveAvgPool2d(1), BinaryDense(24, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        return self.fc(torch.flatten(self.pool(x), 1))


class FloatFirst(Net):
    """The first convolution left in full precision, with a bias, as most papers do."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1)


class FloatHead(Net):
    """A float classifier on signs."""

    def __init__(self) -> None:
        super().__init__(dense=nn.Linear)


class FloatMiddle(Net):
    """A float depthwise convolution, dilated, between binary ones."""

    def __init__(self) -> None:
        super().__init__()
        self.middle, self.bn = nn.Conv2d(16, 16, 3, padding=2, dilation=2, groups=16, bias=False), nn.BatchNorm2d(16)

    def act(self, x: Tensor) -> Tensor:
        return sign(self.bn(F.relu(self.middle(sign(x))))) if x.shape[1] == 16 else sign(x)


class FloatEnds(nn.Module):
    """ReActNet's plan: float stem, binary blocks on a real-valued stream, a float mean over the map, a float classifier."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(23)
        self.stem, self.bn1 = nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(16)
        self.conv, self.bn2 = BinaryConv(16, 16, 3, padding=1), nn.BatchNorm2d(16)
        self.act, self.fc = nn.PReLU(16), nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn1(self.stem(x))
        x = self.act(self.bn2(self.conv(sign(x))) + x)
        return self.fc(x.mean((2, 3)))


class SoftmaxHead(Net):
    def forward(self, x: Tensor) -> Tensor:
        return F.softmax(super().forward(x) / 64, dim=1)


class LogSoftmaxHead(Net):
    def forward(self, x: Tensor) -> Tensor:
        return F.log_softmax(super().forward(x) / 64, dim=-1)


ISLANDS = {FloatFirst: ["conv1"], FloatHead: ["fc"], FloatMiddle: ["middle"], FloatEnds: ["stem", "sumpool", "fc"]}


def __getattr__(name: str) -> Any:
    """``make_NAME``: a factory of the prepared network."""
    if name.startswith("make_"):
        return lambda: prepare(globals()[name.removeprefix("make_")]())
    raise AttributeError(name)
