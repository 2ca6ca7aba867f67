"""Layers with quantised weights. Each computes ``reduce(integers) * scale``: torch's float32 sum of integers is exact below 2^24.

A layer has one of two forms: *latent* (a float parameter ``weight``, quantised at each forward) and *folded*
(``weight_int`` int8 and ``weight_scale``, after `fold`). Both give the same bits in ``eval()``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qnn_deploy.nn.gradients import asymmetric_weight
from qnn_deploy.nn.quantizers._base import FoldedWeight, WeightQuantizer

Size = int | Sequence[int]


class QuantLayer(nn.Module):
    """The half that convolution and dense layers share: a latent or folded weight behind one accessor.

    Args:
        shape: weight shape, output channels first.
        quantizer: a weight quantiser of `quantizers`; a folded layer keeps a `FoldedWeight` in its place.
    """

    weight: nn.Parameter | None
    weight_int: Tensor | None
    weight_scale: Tensor | None
    quantizer: WeightQuantizer

    def __init__(self, shape: Sequence[int], quantizer: WeightQuantizer) -> None:
        super().__init__()
        self.quantizer = quantizer
        self.weight = nn.Parameter(torch.empty(*shape))
        self.register_buffer("weight_int", None)
        self.register_buffer("weight_scale", None)
        if quantizer.bits == 1:
            nn.init.uniform_(self.weight, -0.1, 0.1)
        else:
            nn.init.kaiming_normal_(self.weight)
        self.reset_quantizer()

    @property
    def asymmetric(self) -> bool:
        """True where positive and negative integers have scales of their own."""
        return self.quantizer.asymmetric

    @property
    def folded(self) -> bool:
        """True after `fold`: integers and scale are stored, the latent weight is gone."""
        return self.weight is None

    def reset_quantizer(self) -> None:
        """Set what the quantiser learns (thresholds, scales) to its initial values for the present weight, say after loading one."""
        if self.weight is not None:
            self.quantizer.attach(self.weight.detach())

    def quantized_weight(self) -> tuple[Tensor, Tensor | None]:
        """(integer-valued float weight [out, ...], scale: None, [] or [out]; [2] or [2, out] where ``asymmetric``)."""
        if self.weight is None:
            assert self.weight_int is not None
            return self.weight_int.to(torch.float32), self.weight_scale
        integers, scale = self.quantizer(self.weight)
        return integers, scale

    @torch.no_grad()
    def fold(self) -> None:
        """Replace the latent weight by its integers (int8) and scale, for good. No effect on a folded layer."""
        if self.weight is None:
            return
        integers, scale = self.quantizer.eval()(self.weight)
        self.set_folded(integers.to(torch.int8), None if scale is None else scale.detach().clone())

    def set_folded(self, integers: Tensor, scale: Tensor | None) -> None:
        """Install folded weights (int8 ``integers``, float32 ``scale`` as `quantized_weight` gives it) as `fold` would."""
        self.weight = None
        self.weight_int = integers
        self.weight_scale = scale
        self.quantizer = FoldedWeight(self.quantizer)

    def sums(self, x: Tensor, weight: Tensor) -> Tensor:
        """The layer's linear map, [N, out, ...]."""
        raise NotImplementedError

    def scaled_sums(self, x: Tensor) -> Tensor:
        """``sums(x, integers) * scale``; with an asymmetric weight ``sums(x, positive) * scale[0] + sums(x, negative) * -scale[1]``,
        positive and negative being 1 where the integer is +1 and -1.

        In training a latent asymmetric weight is scaled before its one sum: half the work, equal up to float32 rounding.
        """
        weight, scale = self.quantized_weight()
        if scale is None:
            return self.sums(x, weight)
        if not self.asymmetric:
            return self._scale(self.sums(x, weight), scale)
        if self.training and not self.folded:
            return self.sums(x, asymmetric_weight(weight, scale))
        positive, negative = self.sums(x, weight.clamp(min=0)), self.sums(x, weight.neg().clamp(min=0))
        return self._scale(positive, scale[0]) + self._scale(negative, -scale[1])

    def _scale(self, y: Tensor, scale: Tensor) -> Tensor:
        if self.training and scale.dtype != y.dtype:  # autocast: the product would be float32, and all that follows
            scale = scale.to(y.dtype)
        return y * (scale.reshape(-1, *[1] * (y.dim() - 2)) if scale.dim() == 1 else scale)


class _QuantConv(QuantLayer):
    """What convolutions over ``axes`` axes share. Sizes are one number for all axes, or one for each.

    Args:
        padding: also one for each side: those before each axis, then those behind each (top, left, bottom, right).
        padding_value: integer around the map. 0 is a third value beside +1 and -1; with +1 or -1 a bipolar map stays bipolar.
        groups: the channels are split into as many parts, each with filters of its own; ``in_channels`` of them: depthwise.

    Raises:
        ValueError: channels that do not divide into the groups, or sizes that are not one, one per axis or one per side.
    """

    axes: int

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        quantizer: WeightQuantizer,
        *,
        stride: Size = 1,
        padding: Size = 0,
        dilation: Size = 1,
        groups: int = 1,
        padding_value: int = 0,
    ) -> None:
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(f"{in_channels} input and {out_channels} output channels do not divide into {groups} groups")
        kernel = _sizes(kernel_size, self.axes)
        super().__init__((out_channels, in_channels // groups, *kernel), quantizer)
        self.stride, self.dilation = _sizes(stride, self.axes), _sizes(dilation, self.axes)
        pads = _sizes(padding, self.axes, sides=True)
        self.padding = pads if len(pads) > self.axes else pads * 2
        self.groups, self.padding_value = groups, padding_value

    def sums(self, x: Tensor, weight: Tensor) -> Tensor:
        before, behind = self.padding[: self.axes], self.padding[self.axes :]
        padding: Sequence[int] = before
        if before != behind or self.padding_value:
            # F.pad goes from the last axis to the first.
            margins = [side for pair in zip(reversed(before), reversed(behind), strict=True) for side in pair]
            x, padding = F.pad(x, margins, value=float(self.padding_value)), [0] * self.axes
        convolve = F.conv1d if self.axes == 1 else F.conv2d
        return convolve(x, weight, None, self.stride, padding, self.dilation, self.groups)

    def forward(self, x: Tensor) -> Tensor:
        return self.scaled_sums(x)


class QuantConv2d(_QuantConv):
    """2-D convolution, ``conv(x, integers) * scale``; x [N, C, H, W] integer-valued float, no bias."""

    axes = 2


class QuantConv1d(_QuantConv):
    """1-D convolution, ``conv(x, integers) * scale``; x [N, C, L] integer-valued float, no bias."""

    axes = 1


class QuantConvTranspose2d(_QuantConv):
    """2-D transposed convolution, ``conv_transpose(x, integers) * scale``; x [N, C, H, W] integer-valued float, no bias.

    Its weight has the output channels first, [O, C / groups, kh, kw], as that of every layer here.

    Args:
        padding: what is cut off the result, before and behind each axis: one number, or one for each axis.
        output_padding: rows and columns more at the end, smaller than the stride.
    """

    axes = 2

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        quantizer: WeightQuantizer,
        *,
        stride: Size = 1,
        padding: Size = 0,
        output_padding: Size = 0,
        groups: int = 1,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, quantizer, stride=stride, padding=_sizes(padding, 2), groups=groups)
        self.output_padding = _sizes(output_padding, 2)

    def sums(self, x: Tensor, weight: Tensor) -> Tensor:
        parts = weight.unflatten(0, (self.groups, -1)).transpose(1, 2).flatten(0, 1)
        return F.conv_transpose2d(x, parts, None, self.stride, self.padding[:2], self.output_padding, self.groups)


def _sizes(value: Size, axes: int, *, sides: bool = False) -> tuple[int, ...]:
    """``value`` as one number per axis; with ``sides`` it may also be one per side."""
    sizes = (value,) * axes if isinstance(value, int) else tuple(value)
    if len(sizes) != axes and not (sides and len(sizes) == 2 * axes):
        raise ValueError(f"{value} is not a size of {axes} axes{' or their sides' if sides else ''}")
    return sizes


class QuantLinear(QuantLayer):
    """Dense layer, ``x @ integers.T * scale (+ bias)``; x [N, in] integer-valued float."""

    def __init__(self, in_features: int, out_features: int, quantizer: WeightQuantizer, *, bias: bool = False) -> None:
        super().__init__((out_features, in_features), quantizer)
        self.bias = nn.Parameter(torch.zeros(out_features)) if bias else None

    def sums(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.linear(x, weight)

    def forward(self, x: Tensor) -> Tensor:
        y = self.scaled_sums(x)
        return y if self.bias is None else y + self.bias


class InputZero(nn.Module):
    """Subtract the integer zero point of each channel from pixels: uint8 [N, C, H, W] -> integer-valued float32.

    The zero point makes zero padding pad the mean colour. This is the first layer of a deployable network.

    Args:
        zero: of each channel.
        axes: behind the channels; 1 for signals [N, C, L].
    """

    zero: Tensor

    def __init__(self, zero: Sequence[int], axes: int = 2) -> None:
        super().__init__()
        if any(not 0 <= z <= 255 for z in zero):
            raise ValueError(f"zero points of uint8 pixels lie in [0, 255], not {list(zero)}")
        self.register_buffer("zero", torch.tensor(list(zero), dtype=torch.float32).reshape(-1, *[1] * axes))

    def forward(self, x: Tensor) -> Tensor:
        return x.to(torch.float32) - self.zero


class SumPool2d(nn.Module):
    """Sum of each window of each channel: a depthwise convolution by ones, exact on integers, unlike a float average.

    The mean of a window is its sum times ``1 / (kernel height * kernel width)``, a factor that the next layer's scale or norm can take.

    Args:
        kernel_size, stride, padding: one number, or one for height and one for width; ``stride`` None: that of the kernel.
    """

    ones: Tensor

    def __init__(self, channels: int, kernel_size: Size, stride: Size | None = None, padding: Size = 0) -> None:
        super().__init__()
        kernel = _sizes(kernel_size, 2)
        self.channels, self.stride, self.padding = channels, _sizes(kernel if stride is None else stride, 2), _sizes(padding, 2)
        self.register_buffer("ones", torch.ones(channels, 1, *kernel), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.training and x.dtype == torch.bfloat16:  # autocast: sums need more than 8 bits
            x = x.float()
        return F.conv2d(x, self.ones, None, self.stride, self.padding, groups=self.channels)


class GlobalSumPool2d(nn.Module):
    """Sum of each channel over the map, [N, C, H, W] -> [N, C]; exact on integers, unlike a float average."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training and x.dtype == torch.bfloat16:  # autocast: sums need more than 8 bits
            x = x.float()
        return x.sum(dim=(2, 3))


def fold(model: nn.Module) -> nn.Module:
    """Fold every quantised layer of ``model`` in place (see `QuantLayer.fold`) and return it in ``eval()``."""
    for module in model.modules():
        if isinstance(module, QuantLayer):
            module.fold()
    return model.eval()
