"""Networks as strangers write them, with sums over floats: weight-only ones, and float layers among binary ones.

As in `_strangers`, each class is a factory for ``tests.frontend._float_strangers:make_NAME``.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.frontend._strangers import AlphaConv, BinaryConv, BinaryDense, prepare


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


def __getattr__(name: str) -> Any:
    """``make_NAME``: a factory of the prepared network."""
    if name.startswith("make_"):
        return lambda: prepare(globals()[name.removeprefix("make_")]())
    raise AttributeError(name)
