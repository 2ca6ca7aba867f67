"""Networks of the zoo at the size that they are published with, binary, with random weights: for benchmarks."""

from __future__ import annotations

import torch
from torch import nn

from qnn_deploy.nn.layers import QuantConv2d
from qnn_deploy.nn.quantizers import activation_quantizer, weight_quantizer
from tests.networks import zoo
from tests.networks.precisions import ALL

BINARY = ALL["w1 a1"]


def vgg_small() -> nn.Module:
    """VGG-small for 32x32 images, 128 to 512 channels."""
    torch.manual_seed(0)
    return zoo.vgg_small(BINARY, 128, 32).eval()


def quicknet() -> nn.Module:
    """QuickNet for 224x224 images: four stages of four convolutions, 64 to 512 channels. Its stem here is pooled instead of separable."""
    torch.manual_seed(0)
    layers, a = zoo._first(64, stride=2), 64
    for b in (64, 128, 256, 512):
        layers += [nn.ReLU(), nn.MaxPool2d(2), activation_quantizer("int8"), QuantConv2d(a, b, 1, weight_quantizer("int8"))]
        layers.append(nn.BatchNorm2d(b))
        for _ in range(4):
            body = [activation_quantizer(BINARY.activations, b), zoo._conv(BINARY, b, b), nn.ReLU(), nn.BatchNorm2d(b)]
            layers.append(zoo.Residual(nn.Sequential(*body)))
        a = b
    return zoo._of((3, 224, 224), nn.Sequential(*layers, nn.ReLU(), *zoo._head(a))).eval()
