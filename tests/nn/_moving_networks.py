"""Small networks of layers that move values, for the chain: as published code writes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qnn_deploy.nn.layers import GlobalSumPool2d, InputZero, QuantConv1d, QuantConv2d, QuantConvTranspose2d, QuantLinear
from qnn_deploy.nn.quantizers import BinaryWeight, Int8Weight, IntActivation, activation_quantizer, weight_quantizer


def act(kind: str, channels: int) -> nn.Module:
    return activation_quantizer({"levels": {"name": "lsq", "bits": 4, "signed": True, "step": 0.3}}.get(kind, kind), channels)


def norm(channels: int, kind: str) -> list[nn.Module]:
    return [nn.BatchNorm2d(channels), act(kind, channels)]


class Apply(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Parts(nn.Module):
    """Slices of the channels, each through its branch, side by side again."""

    def __init__(self, sizes: Sequence[int], *branches: nn.Module) -> None:
        super().__init__()
        self.sizes, self.branches = list(sizes), nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        parts = torch.split(x, self.sizes, 1)
        return torch.cat([branch(parts[i]) for i, branch in enumerate(self.branches)], 1)


def shuffle(x: Tensor, groups: int) -> Tensor:
    n, c, h, w = x.shape
    return x.view(n, groups, c // groups, h, w).transpose(1, 2).contiguous().view(n, c, h, w)


class Net(nn.Module):
    """Layers one after the other from pixels of ``shape``."""

    def __init__(self, shape: tuple[int, ...], *layers: nn.Module) -> None:
        super().__init__()
        self.input_shape = shape
        self.layers = nn.Sequential(InputZero([120, 130, 110][: shape[0]], axes=len(shape) - 1), *layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)  # type: ignore[no-any-return]


def moves(kind: str) -> nn.Module:
    """Split, shuffle, pixel shuffle and back, upsampling, slices of channels and of the map, concatenation of odd widths."""
    branch = nn.Sequential(QuantConv2d(11, 9, 3, BinaryWeight(), padding=1), *norm(9, kind))
    return Net(
        (3, 7, 6),
        *[QuantConv2d(3, 20, 3, Int8Weight(), padding=1), *norm(20, kind)],
        *[Parts([9, 11], nn.Identity(), branch), Apply(lambda x: shuffle(x, 3))],
        *[QuantConv2d(18, 24, 3, BinaryWeight()), *norm(24, kind), nn.PixelShuffle(2), QuantConv2d(6, 12, 3, BinaryWeight(), padding=1)],
        *[
            *norm(12, kind),
            nn.PixelUnshuffle(2),
            nn.Upsample(scale_factor=(2, 3)),
            QuantConv2d(48, 10, 3, BinaryWeight()),
            nn.Upsample(scale_factor=2),
        ],
        *[
            *norm(10, kind),
            Apply(lambda x: torch.cat([x[:, 7:], x[:, :3], x[:, ::2], x.flip(1), x[:, 1:2]], 1)),
            Apply(lambda x: x[:, :, 1:-2, 2:11]),
        ],
        *[QuantConv2d(22, 12, 3, BinaryWeight(), stride=2), *norm(12, kind), Apply(lambda x: x.repeat_interleave(2, 3)[:, :, :, ::2])],
        *[nn.ChannelShuffle(4), nn.Flatten(), Apply(lambda x: torch.cat([x, x[:, :12]], 1)) if kind == "none" else nn.Identity()],
        QuantLinear(12 * 6 * 4, 10, BinaryWeight(), bias=True),
    )


def transposed(kind: str) -> nn.Module:
    """Transposed convolutions of every size of kernel, stride, padding and group; a map comes out."""
    t = QuantConvTranspose2d
    return Net(
        (3, 6, 5),
        *[QuantConv2d(3, 16, 3, Int8Weight(), stride=2, padding=1), *norm(16, kind)],
        *[t(16, 12, 3, BinaryWeight(), stride=2, padding=1, output_padding=1), *norm(12, kind)],
        *[t(12, 16, (4, 2), weight_quantizer("fixed-threshold"), stride=2, padding=(1, 0)), *norm(16, kind)],
        *[
            QuantConv2d(16, 12, 3, BinaryWeight(), stride=4),
            *norm(12, kind),
            t(12, 8, 2, BinaryWeight(), stride=2, groups=2),
            *norm(8, kind),
        ],
        *[t(8, 9, (1, 3), Int8Weight(), stride=(2, 3), output_padding=(1, 2)), *norm(9, kind)],
        *[t(9, 5, 3, BinaryWeight(), padding=2), nn.BatchNorm2d(5)],
    )


def pools(kind: str) -> nn.Module:
    """Padded and ceil-mode max-pools in front of BatchNorm, on activations and on a stream, means over windows."""
    return Net(
        (3, 13, 11),
        *[
            QuantConv2d(3, 20, 3, Int8Weight()),
            nn.MaxPool2d(3, 2, 1),
            *norm(20, kind),
            nn.MaxPool2d((3, 2), (1, 2), (1, 0), ceil_mode=True),
        ],
        *[
            QuantConv2d(20, 18, 3, BinaryWeight(), padding=1),
            nn.BatchNorm2d(18),
            nn.ReLU6(),
            nn.MaxPool2d(2, 2, 1, ceil_mode=True),
            IntActivation(8),
        ],
        *[
            nn.AvgPool2d(2, 1, 1),
            nn.BatchNorm2d(18),
            nn.Hardtanh(),
            IntActivation(8),
            QuantConv2d(18, 8, 2, Int8Weight()),
            *norm(8, "int8"),
        ],
        *[nn.AdaptiveAvgPool2d((2, 1)), IntActivation(8), GlobalSumPool2d(), IntActivation(8), QuantLinear(8, 10, Int8Weight())],
    )


class Signal(nn.Module):
    """1-D features [C, L]: convolutions, pools, upsampling, a residual; logits or a signal come out."""

    def __init__(self, kind: str, dense: bool) -> None:
        super().__init__()
        self.input_shape = (3, 40)
        self.first = nn.Sequential(InputZero([120, 130, 110], axes=1), QuantConv1d(3, 16, 5, Int8Weight(), stride=2, padding=2))
        self.norms = nn.ModuleList([nn.BatchNorm1d(16), nn.BatchNorm1d(16), nn.BatchNorm1d(12)])
        self.acts = nn.ModuleList([act(kind, 16), act(kind, 16), IntActivation(8)])
        self.second, self.third = QuantConv1d(16, 16, 3, BinaryWeight(), padding=2, dilation=2), QuantConv1d(8, 12, 4, BinaryWeight())
        self.shift = nn.Parameter(torch.randn(16, 1).round())
        self.head = (
            nn.Sequential(nn.AdaptiveAvgPool1d(1), nn.Flatten(), IntActivation(8), QuantLinear(12, 5, Int8Weight())) if dense else None
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.norms[0](self.first(x)) + self.shift
        y = F.max_pool1d(self.norms[1](self.second(self.acts[0](x))), 3, 1, 1)
        a, _ = self.acts[1](x + y).chunk(2, 1)
        y = self.norms[2](self.third(F.interpolate(a, scale_factor=2.0)))[:, :, :32]
        return self.head(self.acts[2](y)) if self.head is not None else F.relu(y)


MOVING: dict[str, Callable[[str], nn.Module]] = {
    "moves": moves,
    "transposed": transposed,
    "pools": pools,
    "signal": lambda kind: Signal(kind, False),
    "signal to logits": lambda kind: Signal(kind, True),
}
KINDS = ("sign", "ternary", "levels", "int8")


def moving_network(name: str, kind: str, seed: int) -> nn.Module:
    """A latent network of `MOVING` in ``eval()`` with activations of ``kind``; BatchNorm statistics are those of a batch, made hard."""
    torch.manual_seed(seed)
    model = MOVING[name](kind)
    norms = [module for module in model.modules() if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d))]
    for each in norms:
        each.momentum = 1.0
        each.weight.data.normal_()
        each.bias.data.normal_()
        each.bias.data[::3] = 0
        each.weight.data[-1] = 0
    with torch.no_grad():
        model(torch.randint(0, 256, (8, *model.input_shape), dtype=torch.uint8))  # type: ignore[arg-type]
    for each in norms:
        each.running_mean.round_()  # type: ignore[union-attr]
    return model.eval()
