"""Modules as strangers write them. Lines of this file are what findings must name; tests look them up with `line_of`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.nn._networks import hard_batch_norm, hard_slopes


def line_of(text: str) -> str:
    """ "_modules.py:N" of the only line that ends in ``# text``."""
    lines = Path(__file__).read_text().splitlines()
    (number,) = [number for number, line in enumerate(lines, 1) if line.endswith(f"# {text}")]
    return f"_modules.py:{number}"


class Sign(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return torch.where(x >= 0, 1.0, -1.0)


def _sign_with_repair(x: Tensor) -> Tensor:
    s = torch.sign(x)
    s[s == 0] = 1
    return s


ACTIVATIONS = {
    "where": lambda x: torch.where(x >= 0, 1.0, -1.0),
    "where less": lambda x: torch.where(x < 0, -torch.ones_like(x), torch.ones_like(x)),
    "doubled": lambda x: (x >= 0).float() * 2 - 1,
    "doubled integers": lambda x: (2 * (x >= 0) - 1).float(),
    "methods": lambda x: x.ge(0).type_as(x).mul(2).sub(1),
    "hardtanh": lambda x: torch.where(F.hardtanh(x) >= 0, 1.0, -1.0),
    "clamp": lambda x: torch.where(x.clamp(-1, 1) >= 0, 1.0, -1.0),
    "repaired": _sign_with_repair,
    "masked": lambda x: torch.sign(x).masked_fill(x == 0, 1),
    "added": lambda x: torch.sign(x) + (x == 0).float(),
    "autograd": Sign.apply,
    "threshold": lambda x: torch.where(x >= 0.5, 1.0, -1.0),
    "quantised": lambda x: torch.clamp(torch.round(x / 0.1), -8, 7),
    "quantised inside": lambda x: torch.round(torch.clamp(x / 0.3, -8, 7)),
    "quantised by product": lambda x: torch.round(x * 4).clamp(-128, 127),
    "relu, quantised": lambda x: torch.round(F.relu(x) / 0.1).clamp(0, 15),
}


class Activations(nn.Module):
    """Every activation behind a convolution of its own; the logits of each are three columns of the result."""

    input_shape = (3, 8, 8)

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(nn.Conv2d(3, 8, 3, bias=False) for _ in ACTIVATIONS)
        self.norms = nn.ModuleList(nn.BatchNorm2d(8) for _ in ACTIVATIONS)
        self.heads = nn.ModuleList(nn.Linear(8 * 36, 3, bias=False) for _ in ACTIVATIONS)

    def forward(self, x: Tensor) -> Tensor:
        results = []
        for activation, convolution, norm, head in zip(ACTIVATIONS.values(), self.convolutions, self.norms, self.heads, strict=True):
            y = activation(norm(convolution(x)))
            results.append(head(y.view(y.size(0), -1)))
        return torch.cat(results, dim=1)


class Layers(nn.Module):
    """Layer forms other than activations, in one network."""

    input_shape = (3, 8, 8)

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 4, padding="same"), nn.Identity(), nn.BatchNorm2d(8, affine=False), nn.Dropout())
        self.first[0].bias.data = torch.arange(8.0) - 4
        self.grouped = nn.Conv2d(8, 8, 3, groups=4, bias=True)
        self.grouped.bias.data.zero_()
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.norm = nn.BatchNorm2d(8)
        self.shift = nn.Parameter(torch.randn(1, 8, 1, 1))
        self.alpha = nn.Parameter(torch.rand(8))
        self.average = nn.AdaptiveAvgPool2d(1)
        self.pointwise = nn.Conv2d(8, 5, 1, bias=False)
        self.flatten = nn.Flatten()
        self.head = nn.Linear(8, 5)
        self.head.bias.data = torch.arange(5.0)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.where(self.first(x) >= 0, 1.0, -1.0)
        y = self.grouped(F.pad(x, (1, 1, 1, 1))) * self.alpha.reshape(1, -1, 1, 1)
        stream = 1.5 - self.pool(self.norm(y) - F.relu6(x) + self.shift)
        stream = F.hardtanh(-stream / 4, -3, 3) + F.relu(F.max_pool2d(x, 2))
        bits = torch.where(stream >= 0, 1.0, -1.0)
        a = self.head(self.average(bits * 4).squeeze(-1).squeeze(-1) * 16)
        b = self.flatten(self.pointwise(F.relu(bits.sum((2, 3), keepdim=True))))
        c = torch.cat([bits, -bits], -3).amax((2, 3)) @ torch.ones(16, 5)
        return a * 0.125 + b - c + torch.tensor([0.5, 1, 2, 3, 4])


class Slopes(nn.Module):
    """PReLU and LeakyReLU on a stream, on a pooled map and on logits."""

    input_shape = (3, 8, 8)

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.channels, self.single, self.pooled, self.logits = nn.PReLU(8), nn.PReLU(), nn.PReLU(8), nn.PReLU(5)
        self.leaky = nn.LeakyReLU(0.2, inplace=True)
        self.register_buffer("shared", torch.tensor([0.0, -0.0] * 4))
        self.head, self.second = nn.Linear(8 * 36, 5, bias=False), nn.Linear(8, 5, bias=False)
        hard_slopes(self, 0)

    def forward(self, x: Tensor) -> Tensor:
        x = self.single(self.channels(self.norm(self.conv(x))) + 0.5)
        x = x + F.leaky_relu(x - 1, -0.3) + self.leaky(F.max_pool2d(x, 3, 1, 1) - 2)
        x = F.prelu(x, self.shared) + x
        bits = torch.where(x >= 0, 1.0, -1.0)
        pooled = self.pooled(bits.amax((2, 3), keepdim=True))
        return self.logits(self.head(bits.flatten(1))) + self.second(torch.where(pooled - 0.5 >= 0, 1.0, -1.0).flatten(1))


class Refused(nn.Module):
    """One line for each way to be refused."""

    def __init__(self) -> None:
        super().__init__()
        self.real = nn.Conv2d(3, 4, 1, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.batch = nn.BatchNorm2d(4, track_running_stats=False)
        self.prelu = nn.PReLU()
        self.norm.running_var[1] = float("nan")
        self.prelu.weight.data[0] = float("nan")

    def forward(self, x: Tensor) -> Tensor:
        x = self.real(x)
        x = F.conv2d(x, x[:1, :, :1, :1].repeat(4, 1, 1, 1))  # computed weights
        x = self.norm(x)  # norm
        x = self.batch(x)  # batch
        x = self.prelu(x)  # prelu
        x = torch.where(x > 0, 1.0, -1.0)  # other sign
        x = x / 3  # divided
        x = F.avg_pool2d(x, 3)  # averaged
        return F.softmax(x.flatten(1), 1)  # softmax


class DataDependent(nn.Module):
    input_shape = (3, 8, 8)

    def forward(self, x: Tensor) -> Tensor:
        if x.float().sum() > 0:  # branch
            return x.float()
        return -x.float()


class Broken(nn.Module):
    input_shape = (3, 8, 8)

    def forward(self, x: Tensor) -> Tensor:
        raise ValueError("out of paper")  # broken


class Unknown(nn.Module):
    input_shape = (3, 8, 8)

    def forward(self, x: Tensor) -> Tensor:
        return torch.linalg.svdvals(x.float()).flatten(1)


class Small(nn.Module):
    """Starts from floats: pixels need --input."""

    def __init__(self) -> None:
        super().__init__()
        self.c = nn.Conv2d(3, 4, 3, bias=False)
        self.b = nn.BatchNorm2d(4)
        self.l = nn.Linear(4 * 36, 5, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.where(self.b(self.c(x)) >= 0, 1.0, -1.0)  # layer of Small
        return self.l(x.flatten(1))


def binarise(model: nn.Module) -> nn.Module:
    """Weights +1 and -1 in every convolution and dense layer, in place."""
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.weight.data = torch.where(layer.weight >= 0, 1.0, -1.0)
    return model


def prepared(make: type[nn.Module], seed: int = 0) -> nn.Module:
    """A module with binary weights and hard BatchNorm statistics, in ``eval()``."""
    torch.manual_seed(seed)
    model = binarise(make())
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d) and layer.affine:
            hard_batch_norm(layer, seed) if layer.num_features > 5 else None
        elif isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(0, 20)  # type: ignore[union-attr]
            layer.running_var.uniform_(1, 400)  # type: ignore[union-attr]
    return model.eval()


def small() -> nn.Module:
    """A factory, as ``--`` would be given it on the command line."""
    return prepared(Small)


def latent_small() -> nn.Module:
    """The same without its weights."""
    return Small()


instance = prepared(Small)
not_a_module = 3


def failing() -> nn.Module:
    raise RuntimeError("no such luck")
