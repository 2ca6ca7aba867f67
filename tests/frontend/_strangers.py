"""Networks as strangers write them: plain PyTorch, no import of ours. One for each style that published code has.

Each class is a factory for ``tests.frontend._strangers:NAME``; weights are random, BatchNorm statistics hard.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

INPUT = "1x3x10x10:uint8:zero=128"
SCALED_INPUT = "1x3x10x10:uint8:zero=128:scale=0.0078125"


def prepare(model: nn.Module, seed: int = 0) -> nn.Module:
    """Hard BatchNorm statistics: negative and zero gamma, means on attainable integers, tiny and huge variance."""
    generator = torch.Generator().manual_seed(seed)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            n = layer.num_features
            layer.running_mean = (torch.randn(n, generator=generator) * 10).round()
            layer.running_var = torch.rand(n, generator=generator) * 200 + 1e-3
            layer.running_var[1] = 1e-12
            if layer.affine:
                layer.weight.data = torch.randn(n, generator=generator)
                layer.bias.data = torch.randn(n, generator=generator)
                layer.bias.data[::3] = 0
                layer.weight.data[2] = 0
    return model.eval()


def sign(x: Tensor) -> Tensor:
    return torch.where(x >= 0, 1.0, -1.0)


class BinaryConv(nn.Conv2d):
    """Binarises its weights in forward()."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **{"bias": False, **options})

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, sign(self.weight), self.bias)


class BinaryDense(nn.Linear):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **{"bias": False, **options})

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, sign(self.weight), self.bias)


class Net(nn.Module):
    """Two convolutions and a dense layer; subclasses choose activation and layers."""

    def __init__(self, conv: type[nn.Module] = BinaryConv, dense: type[nn.Module] = BinaryDense) -> None:
        super().__init__()
        torch.manual_seed(7)
        self.conv1, self.bn1 = conv(3, 16, 3, padding=1), nn.BatchNorm2d(16)
        self.conv2, self.bn2 = conv(16, 24, 3, padding=1), nn.BatchNorm2d(24)
        self.fc = dense(24 * 25, 10)

    def act(self, x: Tensor) -> Tensor:
        return sign(x)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.bn1(self.conv1(x)))
        x = self.act(self.bn2(F.max_pool2d(self.conv2(x), 2)))
        return self.fc(torch.flatten(x, 1))


class TorchSign(Net):
    """torch.sign: 0 at 0, a third value, where BatchNorm's mean is attained."""

    def act(self, x: Tensor) -> Tensor:
        return torch.sign(x)


class MethodSign(Net):
    def act(self, x: Tensor) -> Tensor:
        return x.sign()


class TorchSignOfStream(nn.Module):
    """torch.sign of a real-valued residual stream, whose 0 nothing excludes."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.conv1, self.bn1 = BinaryConv(3, 16, 3, padding=1), nn.BatchNorm2d(16)
        self.conv2, self.bn2 = BinaryConv(16, 16, 3, padding=1), nn.BatchNorm2d(16)
        self.fc = BinaryDense(1600, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = x + F.relu(self.bn2(self.conv2(torch.sign(x))))
        return self.fc(torch.sign(x).flatten(1))


class ClampThenSign(Net):
    def act(self, x: Tensor) -> Tensor:
        return sign(torch.clamp(x, -1, 1))


class RoundClamp(Net):
    """Four bits, unscaled."""

    def act(self, x: Tensor) -> Tensor:
        return torch.round(torch.clamp(x, 0, 15))


class FakeQuantised(Net):
    """Four bits, the scale multiplied back: what follows sums multiples of 0.1."""

    def act(self, x: Tensor) -> Tensor:
        return torch.clamp(torch.round(x / 0.1), -8, 7) * 0.1


class FakeQuantisedByPowerOfTwo(Net):
    def act(self, x: Tensor) -> Tensor:
        return torch.round(torch.clamp(x * 8, -8, 7)) / 8


class StraightThrough(Net):
    def act(self, x: Tensor) -> Tensor:
        return x + (sign(x) - x).detach()


class StraightThroughSwapped(Net):
    def act(self, x: Tensor) -> Tensor:
        x = F.hardtanh(x)
        return (torch.where(x >= 0, 1.0, -1.0) - x).detach() + x


class StraightThroughRound(Net):
    """LSQ as most repositories write it, with an unscaled round_pass."""

    def act(self, x: Tensor) -> Tensor:
        y = torch.clamp(x / 0.3, -8, 7)
        return (torch.round(y) - y).detach() + y


class BiRealSign(Net):
    """Bi-Real Net's polynomial, as it and ReActNet write it."""

    def act(self, x: Tensor) -> Tensor:
        out_forward = torch.sign(x)
        mask1 = x < -1
        mask2 = x < 0
        mask3 = x < 1
        out1 = (-1) * mask1.type(torch.float32) + (x * x + 2 * x) * (1 - mask1.type(torch.float32))
        out2 = out1 * mask2.type(torch.float32) + (-x * x + 2 * x) * (1 - mask2.type(torch.float32))
        out3 = out2 * mask3.type(torch.float32) + 1 * (1 - mask3.type(torch.float32))
        return out_forward.detach() - out3.detach() + out3


class SignFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return torch.where(x < 0, -1.0, 1.0)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return grad * (x.abs() <= 1)


class AutogradFunction(Net):
    def act(self, x: Tensor) -> Tensor:
        return SignFunction.apply(x)


class SignTanh(Net):
    """DSQ and EDE: a steep tanh carries the gradient."""

    def act(self, x: Tensor) -> Tensor:
        y = torch.tanh(3.7 * x)
        return (torch.sign(x) - y).detach() + y


class BatchNormFirst(nn.Module):
    """XNOR-Net's order: BatchNorm, sign, convolution, then ReLU and pool."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.stem = BinaryConv(3, 16, 3)
        self.bn1, self.conv1 = nn.BatchNorm2d(16), BinaryConv(16, 16, 3)
        self.bn2, self.conv2 = nn.BatchNorm2d(16), BinaryConv(16, 16, 3)
        self.bn3, self.fc = nn.BatchNorm2d(16), BinaryDense(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        x = F.max_pool2d(F.relu(self.conv1(sign(self.bn1(x)))), 2)
        x = F.relu(self.conv2(F.pad(sign(self.bn2(x)), (1, 1, 1, 1))))
        return self.fc(sign(self.bn3(F.max_pool2d(x, 1, 2)).flatten(1)))


class PoolBetween(Net):
    """Convolution, BatchNorm, pool, sign, with negative gamma: the maximum of falling values."""

    def forward(self, x: Tensor) -> Tensor:
        x = sign(self.bn1(self.conv1(x)))
        x = sign(F.max_pool2d(self.bn2(self.conv2(x)), 2))
        return self.fc(x.reshape(x.shape[0], -1))


class SignWeights(nn.Module):
    """torch.sign of the weights, some of which are 0 and stay it: ternary."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(11)
        self.w1 = nn.Parameter(torch.randn(16, 3, 3, 3))
        self.w2 = nn.Parameter(torch.randn(10, 16 * 64))
        self.bn = nn.BatchNorm2d(16)
        self.w1.data[:, 0, 0, 0] = 0
        self.w2.data[:, ::5] = 0

    def forward(self, x: Tensor) -> Tensor:
        x = sign(self.bn(F.conv2d(x, torch.sign(self.w1))))
        return x.flatten(1) @ self.w2.sign().t()


class AlphaConv(nn.Conv2d):
    """XNOR-Net: the mean of |w| of each channel multiplied into the signs before the convolution."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **{"bias": False, **options})

    def forward(self, x: Tensor) -> Tensor:
        alpha = self.weight.abs().mean((1, 2, 3), keepdim=True)
        return self._conv_forward(x, alpha * torch.sign(self.weight), self.bias)


class ReActConv(AlphaConv):
    """ReActNet's HardBinaryConv."""

    def forward(self, x: Tensor) -> Tensor:
        real = self.weight
        factor = torch.mean(torch.mean(torch.mean(abs(real), dim=3, keepdim=True), dim=2, keepdim=True), dim=1, keepdim=True).detach()
        binary = factor * torch.sign(real)
        clipped = torch.clamp(real, -1.0, 1.0)
        weights = binary.detach() - clipped.detach() + clipped
        return F.conv2d(x, weights, stride=self.stride, padding=self.padding)


class PowerOfTwoConv(AlphaConv):
    """IR-Net: standardised weights, a scale that is a power of two."""

    def forward(self, x: Tensor) -> Tensor:
        w = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        w = w / w.std((1, 2, 3), keepdim=True)
        exponent = torch.round(torch.log2(w.abs().mean((1, 2, 3), keepdim=True)))
        return self._conv_forward(x, torch.sign(w) * 2.0**exponent, self.bias)


class DoReFaConv(AlphaConv):
    """DoReFa-Net: tanh, three bits, all between -1 and 1."""

    def forward(self, x: Tensor) -> Tensor:
        w = torch.tanh(self.weight)
        w = w / (2 * w.abs().max()) + 0.5
        return self._conv_forward(x, 2 * torch.round(w * 7) / 7 - 1, self.bias)


class FakeQuantisedConv(AlphaConv):
    """Int8 with a scale per tensor, multiplied back."""

    def forward(self, x: Tensor) -> Tensor:
        scale = self.weight.abs().max() / 127
        return self._conv_forward(x, torch.clamp(torch.round(self.weight / scale), -127, 127) * scale, self.bias)


class ScaledBehind(AlphaConv):
    """The same scale, where it belongs: behind the sum."""

    def forward(self, x: Tensor) -> Tensor:
        alpha = self.weight.abs().mean((1, 2, 3))
        return self._conv_forward(x, sign(self.weight), self.bias) * alpha[None, :, None, None]


class Alpha(Net):
    def __init__(self) -> None:
        super().__init__(AlphaConv)


class ReAct(Net):
    def __init__(self) -> None:
        super().__init__(ReActConv)


class PowerOfTwo(Net):
    def __init__(self) -> None:
        super().__init__(PowerOfTwoConv)


class DoReFa(Net):
    def __init__(self) -> None:
        super().__init__(DoReFaConv)

    def act(self, x: Tensor) -> Tensor:
        return torch.round(torch.clamp(x, 0, 1) * 7)


class Int8Weights(Net):
    def __init__(self) -> None:
        super().__init__(FakeQuantisedConv)

    def act(self, x: Tensor) -> Tensor:
        return torch.round(torch.clamp(x, -8, 7))


class Behind(Net):
    def __init__(self) -> None:
        super().__init__(ScaledBehind)


class Biased(Net):
    """Float biases inside convolution and dense layer."""

    def __init__(self) -> None:
        super().__init__(
            lambda *arguments, **options: BinaryConv(*arguments, **options, bias=True),  # type: ignore[arg-type]
            lambda *arguments: BinaryDense(*arguments, bias=True),  # type: ignore[arg-type]
        )


class Functional(nn.Module):
    """Everything by hand: parameters, F.conv2d, F.batch_norm, operators."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(13)
        self.w = nn.ParameterList([nn.Parameter(torch.randn(s) / math.sqrt(s[1])) for s in ((16, 3, 3, 3), (16, 16, 3, 3), (10, 256))])
        self.gamma, self.beta = nn.Parameter(torch.randn(16)), nn.Parameter(torch.randn(16))
        self.register_buffer("mean", torch.randn(16).round())
        self.register_buffer("var", torch.rand(16) * 50)

    def forward(self, x: Tensor) -> Tensor:
        for w, stride in ((self.w[0], 1), (self.w[1], 2)):
            w = torch.ones_like(w) * (w >= 0) - torch.ones_like(w) * (w < 0)
            x = F.conv2d(x, w, stride=stride, padding=1 if stride == 1 else 0)
            x = F.batch_norm(x, self.mean, self.var, self.gamma, self.beta)
            x = (x >= 0).float() * 2 - 1
        return F.linear(x.view(len(x), -1), torch.sign(self.w[2]))


class Sequential(nn.Sequential):
    """nn.Sequential, activations as modules, int16 features in."""

    def __init__(self) -> None:
        torch.manual_seed(17)

        class Binarise(nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                return x.ge(0).to(x.dtype).mul(2).sub(1)

        super().__init__(
            *[BinaryConv(3, 16, 3), nn.BatchNorm2d(16), nn.Hardtanh(), Binarise(), BinaryConv(16, 16, 3, stride=2, bias=False)],
            *[nn.BatchNorm2d(16), nn.Hardtanh(inplace=True), Binarise(), nn.Flatten(), BinaryDense(144, 32), nn.BatchNorm1d(32)],
            *[nn.Hardtanh(), Binarise(), nn.Dropout(), BinaryDense(32, 10), nn.BatchNorm1d(10)],
        )


EXACT = (
    *(TorchSign, MethodSign, TorchSignOfStream, ClampThenSign, RoundClamp, FakeQuantisedByPowerOfTwo, StraightThrough),
    *(StraightThroughSwapped, StraightThroughRound, BiRealSign, SignTanh, AutogradFunction, BatchNormFirst, PoolBetween),
    *(SignWeights, PowerOfTwo, Behind, Functional, Sequential),
)
# Style -> what torch computes that no other machine repeats.
DEPARTING = {
    FakeQuantised: "its input is 0.1 times integers",
    Alpha: "a scale times integers",
    ReAct: "a scale times integers, off by up to",
    DoReFa: "a scale times integers",
    Int8Weights: "a scale times integers",
    Biased: "the bias is no multiple",
}


def __getattr__(name: str) -> Any:
    """``make_NAME``: a factory of the prepared network."""
    if name.startswith("make_"):
        return lambda: prepare(globals()[name.removeprefix("make_")]())
    raise AttributeError(name)
