"""ResNet-20 and its relatives with quantised weights and integer activations: the weight-quantisation papers' networks, made deployable.

TTQ, XNOR-Net, TGA and the ablations change the weights only; here the activations are integers too (int8 by default), so that
every sum is exact on the device. ``weights = "float"`` with ``activations = "float"`` is the baseline: the same graph in full precision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qnn_deploy.nn.layers import GlobalSumPool2d, InputZero, QuantConv2d, QuantLinear
from qnn_deploy.nn.norm import ScaleBias, arrange
from qnn_deploy.nn.quantizers import activation_quantizer, weight_quantizer
from qnn_deploy.nn.relu import ReLU

Spec = str | Mapping[str, Any]
FLOAT = "float"


def conv3x3(in_channels: int, out_channels: int, weights: Spec, stride: int = 1) -> nn.Conv2d | QuantConv2d:
    """A 3x3 convolution, padded by 1, with the weight quantiser ``weights`` ("float" for none)."""
    if weights == FLOAT:
        return nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
    return QuantConv2d(in_channels, out_channels, 3, weight_quantizer(weights), stride=stride, padding=1)


def activation(spec: Spec, channels: int) -> nn.Module:
    """An activation quantiser, or the identity for "float"."""
    return nn.Identity() if spec == FLOAT else activation_quantizer(spec, channels)


class Block(nn.Module):
    """Two convolutions beside the real-valued stream x, with the activation quantiser in front of each.

    norm "post" and "none": relu(x + norm(conv(q(relu(norm(conv(q(x))))))))
    norm "post_act": x + norm(relu(conv(q(norm(relu(conv(q(x))))))))
    norm "pre": x + conv(q(relu(norm(conv(q(relu(norm(x))))))))

    Where the map shrinks the shortcut takes every second pixel; where it widens it is repeated over the new channels. Both are exact.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, weights: Spec, activations: Spec, norm: str) -> None:
        super().__init__()
        self.stride, self.widen = stride, out_channels // in_channels
        conv1, conv2 = conv3x3(in_channels, out_channels, weights, stride), conv3x3(out_channels, out_channels, weights)
        quant1, quant2 = activation(activations, in_channels), activation(activations, out_channels)
        if norm == "pre":
            layers = [*arrange(norm, conv1, quant1, ReLU()), *arrange(norm, conv2, quant2, ReLU())]
        else:
            layers = [quant1, *arrange(norm, conv1, quant2, ReLU())]
            layers += arrange(norm, conv2, None, ReLU() if norm == "post_act" else None)
        self.layers = nn.Sequential(*layers)
        self.relu = ReLU() if norm in ("post", "none") else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.layers(x)
        if self.stride > 1:
            x = F.max_pool2d(x, 1, self.stride)
        if self.widen > 1:
            x = torch.cat([x] * self.widen, dim=1)
        return self.relu(y + x)


class QuantResNet(nn.Module):
    """ResNet of ``6 n + 2`` layers on [N, 3, size, size] uint8 (He et al. 2016, the CIFAR-10 form).

    Args:
        blocks: residual blocks in each of the three stages (3 for ResNet-20).
        channels: widths of the stages.
        classes: number of logits.
        zero: zero point of each input channel.
        weights, activations: quantisers of the layers between (see `quantizers`); "float" for none.
        first, last: weight quantisers of the first convolution and of the classifier.
        norm: "post", "pre", "post_act" or "none" (see `nn.norm`).
        size: height and width of the images.
    """

    def __init__(
        self,
        blocks: int = 3,
        channels: Sequence[int] = (16, 32, 64),
        classes: int = 10,
        zero: Sequence[int] = (125, 123, 114),
        weights: Spec = "int8",
        activations: Spec = "int8",
        first: Spec = "int8",
        last: Spec = "int8",
        norm: str = "post",
        size: int = 32,
    ) -> None:
        super().__init__()
        self.input_shape = (3, size, size)
        self.input = InputZero(zero)
        self.stem = conv3x3(3, channels[0], first)
        self.stem_norm = ScaleBias(channels[0]) if norm == "none" else nn.BatchNorm2d(channels[0])
        layers: list[nn.Module] = []
        width = channels[0]
        for stage, out in enumerate(channels):
            for block in range(blocks):
                layers.append(Block(width, out, 2 if stage > 0 and block == 0 else 1, weights, activations, norm))
                width = out
        if norm == "pre":
            layers += [nn.BatchNorm2d(width), ReLU()]
        self.blocks = nn.Sequential(*layers)
        self.features = activation(activations, width)
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()) if activations == FLOAT else GlobalSumPool2d()
        self.pooled = activation(activations, width)
        self.head = nn.Linear(width, classes) if last == FLOAT else QuantLinear(width, classes, weight_quantizer(last), bias=True)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem_norm(self.stem(self.input(x))))
        x = self.features(self.blocks(x))
        return self.head(self.pooled(self.pool(x)))
