"""The networks that people deploy, from ordinary PyTorch with our layers, at any precision and width.

Each is a function of a `Precision` and a width. The first and last layer have int8 weights, as in the papers; what lies between has the
precision's. Weights are random, BatchNorm statistics hard: see `make`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qnn_deploy.nn.architectures import ARCHITECTURES
from qnn_deploy.nn.layers import GlobalSumPool2d, InputZero, QuantConv1d, QuantConv2d, QuantConvTranspose2d, QuantLinear
from qnn_deploy.nn.quantizers import IntActivation, TTQWeight, activation_quantizer, weight_quantizer
from tests.networks.precisions import ALL, Precision
from tests.nn._networks import hard_batch_norm, hard_slopes

ZERO = (125, 123, 114)


def _act(precision: Precision, channels: int) -> nn.Module:
    return activation_quantizer(precision.activations, channels)


def _conv(precision: Precision, a: int, b: int, size: int = 3, stride: int = 1, groups: int = 1) -> QuantConv2d:
    return QuantConv2d(a, b, size, weight_quantizer(precision.weights), stride=stride, padding=size // 2, groups=groups)


def _first(width: int, size: int = 3, stride: int = 1, channels: int = 3, zero: tuple[int, ...] = ZERO) -> list[nn.Module]:
    convolution = QuantConv2d(channels, width, size, weight_quantizer("int8"), stride=stride, padding=size // 2)
    return [InputZero(zero), convolution, nn.BatchNorm2d(width)]


def _head(width: int) -> list[nn.Module]:
    """Stream -> int8 -> sum over the map -> int8 -> dense with a bias behind it."""
    features, pooled = activation_quantizer("int8"), activation_quantizer("int8")
    return [features, GlobalSumPool2d(), pooled, QuantLinear(width, 10, weight_quantizer("int8"), bias=True)]


def mlp(precision: Precision, width: int) -> nn.Module:
    """Three dense layers with BatchNorm."""
    layers: list[nn.Module] = [InputZero(ZERO), nn.Flatten()]
    features = 3 * 8 * 8
    for _ in range(2):
        layers += [QuantLinear(features, 4 * width, weight_quantizer(precision.weights)), nn.BatchNorm1d(4 * width)]
        layers.append(_act(precision, 4 * width))
        features = 4 * width
    return _of((3, 8, 8), nn.Sequential(*layers, QuantLinear(features, 10, weight_quantizer(precision.weights))))


def binary_net(precision: Precision, width: int) -> nn.Module:
    """BinaryNet (Courbariaux et al. 2016): pool before BatchNorm, hardtanh, dense layers at the end."""
    layers, a = _first(width)[:2], width
    layers += [nn.BatchNorm2d(width), nn.Hardtanh(), _act(precision, width)]
    for b, pool in ((width, True), (2 * width, False), (2 * width, True)):
        layers += [_conv(precision, a, b), *([nn.MaxPool2d(2)] if pool else []), nn.BatchNorm2d(b), nn.Hardtanh(), _act(precision, b)]
        a = b
    layers += [nn.Flatten(), QuantLinear(16 * a, 4 * width, weight_quantizer(precision.weights)), nn.BatchNorm1d(4 * width)]
    layers += [_act(precision, 4 * width), QuantLinear(4 * width, 10, weight_quantizer(precision.weights)), nn.BatchNorm1d(10)]
    return _of((3, 16, 16), nn.Sequential(*layers))


def vgg_small(precision: Precision, width: int, side: int = 16) -> nn.Module:
    """VGG-small: six convolutions, BatchNorm before the pool, one dense layer."""
    layers, a = [*_first(width), _act(precision, width)], width
    for b, pool in ((width, True), (2 * width, False), (2 * width, True), (4 * width, False), (4 * width, True)):
        layers += [_conv(precision, a, b), nn.BatchNorm2d(b), *([nn.MaxPool2d(2)] if pool else []), _act(precision, b)]
        a = b
    return _of((3, side, side), nn.Sequential(*layers, nn.Flatten(), QuantLinear((side // 8) ** 2 * a, 10, weight_quantizer("int8"))))


def cnv(precision: Precision, width: int) -> nn.Module:
    """FINN's CNV, unpadded."""
    arguments = {"channels": [width, width, 2 * width], "dense": [4 * width], "weights": precision.weights}
    return ARCHITECTURES["cnv"](**arguments, activations=precision.activations)


class Residual(nn.Module):
    """stream + body(stream), the shortcut by ``shortcut``, then ``after``."""

    def __init__(self, body: nn.Module, shortcut: nn.Module | None = None, after: nn.Module | None = None) -> None:
        super().__init__()
        self.body, self.shortcut, self.after = body, shortcut or nn.Identity(), after or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.body(x) + self.shortcut(x))


class Widen(nn.Module):
    """Every ``stride``-th pixel, the channels twice."""

    def __init__(self, stride: int = 2) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(x, self.stride) if self.stride > 1 else x
        return torch.cat([x, x], dim=1)


def resnet20(precision: Precision, width: int) -> nn.Module:
    """ResNet-20's shape with one block a stage: where the map shrinks, the shortcut is pooled and doubled, without weights."""
    layers, a = [*_first(width), nn.ReLU()], width
    for b, stride in ((width, 1), (2 * width, 2)):
        body = [_act(precision, a), _conv(precision, a, b, stride=stride), nn.BatchNorm2d(b), nn.ReLU()]
        body += [_act(precision, b), _conv(precision, b, b), nn.BatchNorm2d(b)]
        layers.append(Residual(nn.Sequential(*body), Widen() if stride > 1 else None, nn.ReLU()))
        a = b
    return _of((3, 16, 16), nn.Sequential(*layers, *_head(a)))


def resnet18(precision: Precision, width: int) -> nn.Module:
    """ResNet-18's shape: basic blocks, 1x1 convolutions on the shortcuts that shrink."""
    layers, a = [*_first(width), nn.ReLU()], width
    for b, stride in ((width, 1), (2 * width, 2)):
        body = [_act(precision, a), _conv(precision, a, b, stride=stride), nn.BatchNorm2d(b), nn.ReLU()]
        body += [_act(precision, b), _conv(precision, b, b), nn.BatchNorm2d(b)]
        shortcut = [_act(precision, a), _conv(precision, a, b, 1, stride), nn.BatchNorm2d(b)]
        layers.append(Residual(nn.Sequential(*body), nn.Sequential(*shortcut) if stride > 1 else None, nn.ReLU()))
        a = b
    return _of((3, 16, 16), nn.Sequential(*layers, *_head(a)))


def bi_real(precision: Precision, width: int) -> nn.Module:
    """Bi-Real Net: a shortcut around every convolution, pooled and 8-bit 1x1 where the map shrinks."""
    layers, a = _first(width), width
    for b, stride in ((width, 1), (2 * width, 2), (2 * width, 1)):
        body = nn.Sequential(_act(precision, a), _conv(precision, a, b, stride=stride), nn.BatchNorm2d(b))
        down = [nn.MaxPool2d(2), activation_quantizer("int8"), QuantConv2d(a, b, 1, weight_quantizer("int8")), nn.BatchNorm2d(b)]
        layers.append(Residual(body, nn.Sequential(*down) if stride > 1 else None))
        a = b
    return _of((3, 16, 16), nn.Sequential(*layers, *_head(a)))


class Shift(nn.Module):
    """A learned shift of each channel (RSign, RPReLU)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.randn(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.shift


def reactnet(precision: Precision, width: int) -> nn.Module:
    """ReActNet-A: shifted signs and PReLUs, 3x3 then 1x1, doubling by concatenation."""
    layers, a = _first(width, stride=2), width
    for b, stride in ((width, 1), (2 * width, 2)):
        three = nn.Sequential(Shift(a), _act(precision, a), _conv(precision, a, a, stride=stride), nn.BatchNorm2d(a))
        layers.append(Residual(three, nn.MaxPool2d(stride) if stride > 1 else None, nn.Sequential(Shift(a), nn.PReLU(a), Shift(a))))
        one = nn.Sequential(Shift(a), _act(precision, a), _conv(precision, a, b, 1), nn.BatchNorm2d(b))
        layers.append(Residual(one, Widen(1) if b > a else None, nn.Sequential(Shift(b), nn.PReLU(b), Shift(b))))
        a = b
    return _of((3, 16, 16), nn.Sequential(*layers, *_head(a)))


def quicknet(precision: Precision, width: int) -> nn.Module:
    """QuickNet (Bannink et al. 2021): residual binary convolutions; ReLU, pool and an 8-bit 1x1 convolution between the stages."""
    layers, a = _first(width), width
    for b, transition in ((width, False), (2 * width, True)):
        if transition:
            layers += [nn.ReLU(), nn.MaxPool2d(2), activation_quantizer("int8"), QuantConv2d(a, b, 1, weight_quantizer("int8"))]
            layers.append(nn.BatchNorm2d(b))
        for _ in range(2):
            layers.append(Residual(nn.Sequential(_act(precision, b), _conv(precision, b, b), nn.ReLU(), nn.BatchNorm2d(b))))
        a = b
    return _of((3, 16, 16), nn.Sequential(*layers, nn.ReLU(), *_head(a)))


class Dense(nn.Module):
    """The stream and what ``body`` makes of it, side by side."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.body(x)], dim=1)


def binary_dense_net(precision: Precision, width: int) -> nn.Module:
    """BinaryDenseNet-28 (Bethge et al. 2019): the stream grows by concatenation."""
    layers, a = [*_first(2 * width), nn.ReLU(), nn.BatchNorm2d(2 * width)], 2 * width
    for stage in range(2):
        if stage:
            layers += [nn.BatchNorm2d(a), nn.MaxPool2d(2), nn.ReLU(), activation_quantizer("int8")]
            layers.append(QuantConv2d(a, 2 * width, 1, weight_quantizer("int8")))
            a = 2 * width
        for _ in range(2):
            layers.append(Dense(nn.Sequential(nn.BatchNorm2d(a), _act(precision, a), _conv(precision, a, width))))
            a += width
    return _of((3, 16, 16), nn.Sequential(*layers, nn.BatchNorm2d(a), nn.ReLU(), *_head(a)))


def _separable(precision: Precision, a: int, b: int, stride: int = 1) -> list[nn.Module]:
    """A depthwise 3x3 convolution and a 1x1 convolution, each behind its activation, which clamps as the ReLU between them would."""
    depthwise = [_act(precision, a), _conv(precision, a, a, stride=stride, groups=a), nn.BatchNorm2d(a)]
    return [*depthwise, _act(precision, a), _conv(precision, a, b, 1), nn.BatchNorm2d(b)]


def mobile_net(precision: Precision, width: int) -> nn.Module:
    """MobileNet's depthwise separable blocks."""
    layers = [*_first(width, stride=2), *_separable(precision, width, 2 * width)]
    layers += _separable(precision, 2 * width, 4 * width, stride=2)
    return _of((3, 16, 16), nn.Sequential(*layers, *_head(4 * width)))


def ds_cnn(precision: Precision, width: int) -> nn.Module:
    """DS-CNN for keywords (Zhang et al. 2017): 25 x 10 features of 8 bits, a 10 x 4 filter with uneven margins, separable blocks."""
    convolution = QuantConv2d(1, width, (10, 4), weight_quantizer("int8"), stride=2, padding=(4, 1, 5, 2))
    layers: list[nn.Module] = [InputZero([128]), convolution, nn.BatchNorm2d(width)]
    layers += _separable(precision, width, width) + _separable(precision, width, width)
    return _of((1, 25, 10), nn.Sequential(*layers, *_head(width)))


def _up(precision: Precision, a: int, b: int) -> list[nn.Module]:
    """A transposed convolution that doubles the sides, with its activation."""
    layer = QuantConvTranspose2d(a, b, 4, weight_quantizer(precision.weights), stride=2, padding=1)
    return [layer, nn.BatchNorm2d(b), _act(precision, b)]


def _down(precision: Precision, a: int, b: int, stride: int = 1) -> list[nn.Module]:
    return [_conv(precision, a, b, stride=stride), nn.BatchNorm2d(b), _act(precision, b)]


def autoencoder(precision: Precision, width: int) -> nn.Module:
    """Strided convolutions down to 4 x 4 pixels, transposed ones up again; three numbers for each pixel come out."""
    layers = [*_first(width), _act(precision, width), *_down(precision, width, 2 * width, 2), *_down(precision, 2 * width, 4 * width, 2)]
    odd = QuantConvTranspose2d(2 * width, width, 3, weight_quantizer(precision.weights), stride=2, padding=1, output_padding=1)
    layers += [*_up(precision, 4 * width, 2 * width), odd, nn.BatchNorm2d(width), _act(precision, width)]
    return _of((3, 16, 16), nn.Sequential(*layers, QuantConv2d(width, 3, 3, weight_quantizer("int8"), padding=1)))


class Level(nn.Module):
    """One level of a U-Net: the activations beside what ``inner`` makes of them at half the size."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.inner(F.max_pool2d(x, 2))], dim=1)


def u_net(precision: Precision, width: int) -> nn.Module:
    """A segmenter of 64 x 64 pixels (Ronneberger et al. 2015): up by a transposed convolution and nearest neighbours, six classes."""
    inner = nn.Sequential(*_down(precision, 2 * width, 2 * width), *_up(precision, 2 * width, width))
    middle = [*_down(precision, width, 2 * width), Level(inner), *_down(precision, 3 * width, width), nn.Upsample(scale_factor=2)]
    layers = [*_first(width), _act(precision, width), Level(nn.Sequential(*middle)), *_down(precision, 2 * width, width)]
    return _of((3, 64, 64), nn.Sequential(*layers, QuantConv2d(width, 6, 1, weight_quantizer("int8")), nn.BatchNorm2d(6)))


class ShuffleUnit(nn.Module):
    """ShuffleNet V2's unit (Ma et al. 2018): half of the channels pass, the others go through ``branch``; then all are shuffled."""

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        passed, worked = x.chunk(2, dim=1)
        x = torch.cat([passed, self.branch(worked)], dim=1)
        n, c, h, w = x.shape
        return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


def shuffle_net(precision: Precision, width: int) -> nn.Module:
    """ShuffleNet V2 with a pixel unshuffle in front and 1x1, depthwise and 1x1 convolutions in its branches."""
    stem = QuantConv2d(12, 2 * width, 3, weight_quantizer("int8"), padding=1)
    layers: list[nn.Module] = [InputZero(ZERO), nn.PixelUnshuffle(2), stem, nn.BatchNorm2d(2 * width), _act(precision, 2 * width)]
    for _ in range(2):
        branch: list[nn.Module] = []
        for size, groups in ((1, 1), (3, width), (1, 1)):
            branch += [_conv(precision, width, width, size, groups=groups), nn.BatchNorm2d(width), _act(precision, width)]
        layers.append(ShuffleUnit(nn.Sequential(*branch)))
    layers += [_conv(precision, 2 * width, 4 * width, 1), nn.BatchNorm2d(4 * width), nn.ReLU()]
    return _of((3, 16, 16), nn.Sequential(*layers, *_head(4 * width)))


class SumSignal(nn.Module):
    """Sum of each channel over the signal."""

    def forward(self, x: Tensor) -> Tensor:
        return x.sum(dim=2)


def keywords(precision: Precision, width: int) -> nn.Module:
    """Keywords by 1-D convolutions (Choi et al. 2019): 40 int8 features at 49 times, a residual block of convolutions over time."""
    layers: list[nn.Module] = [InputZero([0], axes=1), QuantConv1d(40, 2 * width, 3, weight_quantizer("int8")), nn.BatchNorm1d(2 * width)]

    def over_time(dilation: int) -> list[nn.Module]:
        layer = QuantConv1d(2 * width, 2 * width, 5, weight_quantizer(precision.weights), padding=2 * dilation, dilation=dilation)
        return [_act(precision, 2 * width), layer, nn.BatchNorm1d(2 * width)]

    layers += [nn.ReLU(), nn.MaxPool1d(3, 2, 1), Residual(nn.Sequential(*over_time(1), nn.ReLU(), *over_time(2))), nn.ReLU()]
    head = [activation_quantizer("int8"), SumSignal(), activation_quantizer("int8"), QuantLinear(2 * width, 10, weight_quantizer("int8"))]
    model = _of((40, 49), nn.Sequential(*layers, *head))
    model.input_dtype = "int8"  # type: ignore[assignment]
    return model


NETWORKS: dict[str, Callable[[Precision, int], nn.Module]] = {
    "MLP": mlp,
    "BinaryNet": binary_net,
    "VGG-small": vgg_small,
    "CNV": cnv,
    "ResNet-20": resnet20,
    "ResNet-18": resnet18,
    "Bi-Real": bi_real,
    "ReActNet-A": reactnet,
    "QuickNet": quicknet,
    "BinaryDenseNet-28": binary_dense_net,
    "MobileNet": mobile_net,
    "DS-CNN": ds_cnn,
    "autoencoder": autoencoder,
    "ShuffleNet": shuffle_net,
    "keywords 1-D": keywords,
    "U-Net": u_net,
}


def _of(input_shape: tuple[int, ...], layers: nn.Sequential) -> nn.Module:
    layers.input_shape = input_shape  # type: ignore[assignment]
    return layers


def input_dtype(model: nn.Module) -> str:
    """torch's name of the type that the network takes."""
    return getattr(model, "input_dtype", "uint8")


def make(network: str, precision: str, seed: int, width: int = 8) -> nn.Module:
    """A latent network in ``eval()`` with random weights and hard BatchNorm statistics.

    Each BatchNorm has the mean and variance of its real input, so that both sides of every threshold are met, but means are rounded to
    attainable integers, gamma is negative, positive and 0, epsilon outweighs one variance, and one channel is saturated whatever comes.
    Scales of 8 and 16 bits leave the largest values to be clamped.
    """
    torch.manual_seed(seed)
    model = hard_batch_norm(NETWORKS[network](ALL[precision], width), seed)
    hard_slopes(model, seed)
    for module in model.modules():
        if isinstance(module, TTQWeight):
            for scale in (module.positive, module.negative):  # 1 until they are trained
                scale.data.uniform_(0.1, 3)
    kinds = nn.BatchNorm1d | nn.BatchNorm2d | IntActivation
    hooks = [module.register_forward_pre_hook(_take_statistics) for module in model.modules() if isinstance(module, kinds)]
    with torch.no_grad():
        model.eval()(inputs(model, seed, 64, 0))
    for hook in hooks:
        hook.remove()
    return model


def _take_statistics(norm: nn.Module, arguments: tuple[Tensor]) -> None:
    if isinstance(norm, IntActivation):
        norm.scale.copy_(arguments[0].abs().flatten().quantile(0.98) / norm.high + 1e-3)
        return
    x = arguments[0].transpose(0, 1).flatten(1)
    norm.running_mean.copy_(x.mean(1).round())
    norm.running_var.copy_(x.var(1) + 1e-3)
    norm.running_var[1] = 1e-12
    norm.weight[1] *= 0.002
    norm.running_mean[2] = (3 * x[2].abs().max() + 1).round()


def inputs(model: nn.Module, seed: int, random: int = 256, adversarial: int = 64) -> Tensor:
    """Images, or signals, in the dtype of the model: noise; then constants, noise of extremes, single pixels, values near zero points.

    int8 is uint8 less 128.
    """
    generator = torch.Generator().manual_seed(seed)
    shape: tuple[int, ...] = model.input_shape  # type: ignore[assignment]
    noise = torch.randint(0, 256, (random, *shape), dtype=torch.uint8, generator=generator)
    hard = torch.zeros((adversarial, *shape), dtype=torch.uint8)
    for index in range(adversarial):
        kind = index % 4
        if kind == 0:
            hard[index] = (0, 255, 127, 128, *ZERO)[index // 4 % 7]
        elif kind == 1:
            hard[index] = 255 * torch.randint(0, 2, shape, dtype=torch.uint8, generator=generator)
        elif kind == 2:
            hard[index] = 255 * (index // 4 % 2)
            at = (index, *(int(torch.randint(0, side, (1,), generator=generator)) for side in shape))
            hard[at] = 255 - hard[at]
        else:
            zero = torch.tensor((ZERO * shape[0])[: shape[0]], dtype=torch.int64).reshape(-1, *[1] * (len(shape) - 1))
            hard[index] = (zero + torch.randint(-1, 2, shape, generator=generator)).to(torch.uint8)
    images = torch.cat([noise, hard])
    return images if input_dtype(model) == "uint8" else (images.to(torch.int16) - 128).to(torch.int8)
