"""More networks as strangers write them: what moves values, transposed convolutions, signals, maps as results."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.frontend._strangers import BinaryConv, prepare, sign


def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    b, c, h, w = x.size()
    return x.view(b, groups, c // groups, h, w).transpose(1, 2).contiguous().view(b, -1, h, w)


class BinaryUp(nn.ConvTranspose2d):
    """A transposed convolution that binarises its weights."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        return F.conv_transpose2d(x, sign(self.weight), None, self.stride, self.padding, self.output_padding, self.groups)


class RPReLU(nn.Module):
    """ReActNet's: a PReLU between two learned shifts."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.before, self.after = nn.Parameter(torch.randn(1, channels, 1, 1)), nn.Parameter(torch.randn(1, channels, 1, 1))
        self.prelu = nn.PReLU(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.prelu(x - self.before) + self.after


class Segmenter(nn.Module):
    """A U-Net whose pieces are those of ShuffleNet; logits for each pixel. Zero padding of +1 and -1, a filter wider than the map."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.stem, self.bn1 = BinaryConv(12, 16, 3, padding=1), nn.BatchNorm2d(16)
        self.branch, self.bn2, self.act = BinaryConv(8, 8, 7, padding=3), nn.BatchNorm2d(8), RPReLU(8)
        self.down, self.bn3 = BinaryConv(16, 32, 3, stride=2, padding=1), nn.BatchNorm2d(32)
        self.up, self.bn4 = BinaryUp(32, 16, 3, stride=2, padding=1, output_padding=1, bias=False), nn.BatchNorm2d(16)
        self.mix, self.bn5 = BinaryConv(32, 16, 1), nn.BatchNorm2d(16)
        self.head, self.bn6 = BinaryConv(7, 3, 3, padding=1), nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        x = sign(F.relu6(self.bn1(self.stem(F.pixel_unshuffle(x, 2)))) - 1)
        left, right = x.chunk(2, dim=1)
        x = channel_shuffle(torch.cat((left, sign(self.act(self.bn2(self.branch(right))))), dim=1), 4)
        y = sign(F.hardtanh(self.bn3(self.down(F.max_pool2d(x, 3, 1, padding=1)))))
        y = sign(self.bn4(self.up(y)))
        y = sign(self.bn5(self.mix(torch.cat([x, y], dim=1))))
        y = torch.cat([F.pixel_shuffle(y, 2), F.interpolate(x[:, 3:6], scale_factor=2)], dim=1)
        return self.bn6(self.head(y))


class Listener(nn.Module):
    """Keywords from 6 features at 30 times, int8: convolutions over time, a padded pool, a mean over time."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.w1, self.w2 = nn.Parameter(torch.randn(16, 6, 5)), nn.Parameter(torch.randn(16, 16, 3))
        self.bn1, self.bn2, self.w3 = nn.BatchNorm1d(16), nn.BatchNorm1d(16), nn.Parameter(torch.randn(5, 16))
        self.shift = nn.Parameter(torch.randn(16, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn1(F.conv1d(x, sign(self.w1), padding=2))
        x = F.max_pool1d(x + self.bn2(F.conv1d(sign(x + self.shift), sign(self.w2), padding=2, dilation=2)), 3, 2, 1)
        x = torch.round(torch.clamp(x, -8, 7)).sum(-1)
        return F.linear(torch.round(torch.clamp(x, -128, 127)), sign(self.w3))


class PixelClasses(Segmenter):
    """The class of each pixel."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).argmax(dim=1)


class TimeClasses(nn.Module):
    """The class at each time, of accumulators, as int32."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.w = nn.Parameter(torch.randn(5, 6, 3))

    def forward(self, x: Tensor) -> Tensor:
        return torch.argmax(F.conv1d(x, sign(self.w)), 1).to(torch.int32)


class BestClass(nn.Module):
    """The class, of digits of 4 bits with many ties, by max()."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(8)
        self.conv, self.bn = BinaryConv(3, 9, 3), nn.BatchNorm2d(9)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.round(torch.clamp(self.bn(self.conv(x)), -8, 7))
        return x.flatten(1).max(1)[1]


class Disagreeing(nn.Module):
    """One channel added to sixteen: torch repeats it."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(6)
        self.conv, self.bn, self.one = BinaryConv(3, 16, 3), nn.BatchNorm2d(16), BinaryConv(16, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn(self.conv(x))
        return (x + self.one(sign(x))).flatten(1)


MOVING = {
    Segmenter: "1x3x12x12:uint8:zero=128",
    PixelClasses: "1x3x12x12:uint8:zero=128",
    Listener: "1x6x30:int8",
    TimeClasses: "1x6x30:int8",
    BestClass: "1x3x3x3:uint8:zero=128",
}


def make_Segmenter() -> nn.Module:  # noqa: N802
    return prepare(Segmenter())


def make_Listener() -> nn.Module:  # noqa: N802
    return prepare(Listener())


def make_PixelClasses() -> nn.Module:  # noqa: N802
    return prepare(PixelClasses())


def make_TimeClasses() -> nn.Module:  # noqa: N802
    return prepare(TimeClasses())


def make_BestClass() -> nn.Module:  # noqa: N802
    return prepare(BestClass())


def make_Disagreeing() -> nn.Module:  # noqa: N802
    return prepare(Disagreeing())
