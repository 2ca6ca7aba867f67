"""Binary networks of 1, 5, 25 and 100 million parameters with random weights, once by their width and once by their depth."""

from __future__ import annotations

import functools

import torch
from torch import nn

from tests.networks import zoo
from tests.networks.full_size import BINARY


def _block(a: int, b: int, stride: int = 1) -> nn.Module:
    """Two convolutions and their shortcut, as ResNet-18 has them."""
    body = [zoo._act(BINARY, a), zoo._conv(BINARY, a, b, stride=stride), nn.BatchNorm2d(b), nn.ReLU()]
    body += [zoo._act(BINARY, b), zoo._conv(BINARY, b, b), nn.BatchNorm2d(b)]
    shortcut = nn.Sequential(zoo._act(BINARY, a), zoo._conv(BINARY, a, b, 1, stride), nn.BatchNorm2d(b))
    return zoo.Residual(nn.Sequential(*body), shortcut if a != b else None)


def _wide(width: int) -> nn.Module:
    """ResNet-18's shape for 32x32 images: four stages of ``width`` to 8 ``width`` channels, about 2724 ``width``^2 parameters."""
    torch.manual_seed(0)
    layers, a = zoo._first(width), width
    for b in (width, 2 * width, 4 * width, 8 * width):
        layers += [_block(a, b, 1 if b == width else 2), _block(b, b)]
        a = b
    return zoo._of((3, 32, 32), nn.Sequential(*layers, *zoo._head(a))).eval()


def _deep(blocks: int) -> nn.Module:
    """``blocks`` blocks of 256 channels, 1.18 million parameters each."""
    torch.manual_seed(0)
    middle = [_block(256, 256) for _ in range(blocks)]
    return zoo._of((3, 16, 16), nn.Sequential(*zoo._first(256, stride=2), *middle, *zoo._head(256))).eval()


wide_1, wide_5, wide_25, wide_100 = (functools.partial(_wide, width) for width in (20, 43, 96, 192))
deep_1, deep_5, deep_25, deep_100 = (functools.partial(_deep, blocks) for blocks in (1, 4, 21, 85))
