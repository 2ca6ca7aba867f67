"""Layers with quantised weights. Each computes ``reduce(integers) * scale``: torch's float32 sum of integers is exact below 2^24.

A layer has one of two forms: *latent* (a float parameter ``weight``, quantised at each forward) and *folded*
(``weight_int`` int8 and ``weight_scale``, after `fold`). Both give the same bits in ``eval()``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class QuantLayer(nn.Module):
    """The half that convolution and dense layers share: a latent or folded weight behind one accessor.

    Args:
        shape: weight shape, output channels first.
        quantizer: a weight quantiser of `quantizers`.
    """

    weight: nn.Parameter | None
    weight_int: Tensor | None
    weight_scale: Tensor | None

    def __init__(self, shape: Sequence[int], quantizer: nn.Module) -> None:
        super().__init__()
        self.quantizer = quantizer
        self.weight = nn.Parameter(torch.empty(*shape))
        self.register_buffer("weight_int", None)
        self.register_buffer("weight_scale", None)
        if quantizer.bits == 1:
            nn.init.uniform_(self.weight, -0.1, 0.1)
        else:
            nn.init.kaiming_normal_(self.weight)

    @property
    def folded(self) -> bool:
        """True after `fold`: integers and scale are stored, the latent weight is gone."""
        return self.weight is None

    def quantized_weight(self) -> tuple[Tensor, Tensor | None]:
        """(integer-valued float weight of shape [out, ...], scale of shape [out] or None)."""
        if self.weight is None:
            assert self.weight_int is not None
            return self.weight_int.to(torch.float32), self.weight_scale
        return self.quantizer(self.weight)

    @torch.no_grad()
    def fold(self) -> None:
        """Replace the latent weight by its integers (int8) and scale, for good. No effect on a folded layer."""
        if self.weight is None:
            return
        integers, scale = self.quantizer(self.weight)
        self.set_folded(integers.to(torch.int8), scale)

    def set_folded(self, integers: Tensor, scale: Tensor | None) -> None:
        """Install folded weights (int8 ``integers``, float32 ``scale`` of shape [out] or None) as `fold` would."""
        self.weight = None
        self.weight_int = integers
        self.weight_scale = scale


class QuantConv2d(QuantLayer):
    """2-D convolution, ``conv(x, integers) * scale``; x [N, C, H, W] integer-valued float, zero padding, no bias."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, quantizer: nn.Module, *, stride: int = 1, padding: int = 0
    ) -> None:
        super().__init__((out_channels, in_channels, kernel_size, kernel_size), quantizer)
        self.stride, self.padding = stride, padding

    def forward(self, x: Tensor) -> Tensor:
        weight, scale = self.quantized_weight()
        y = F.conv2d(x, weight, None, self.stride, self.padding)
        return y if scale is None else y * scale.reshape(-1, 1, 1)


class QuantLinear(QuantLayer):
    """Dense layer, ``x @ integers.T * scale (+ bias)``; x [N, in] integer-valued float."""

    def __init__(self, in_features: int, out_features: int, quantizer: nn.Module, *, bias: bool = False) -> None:
        super().__init__((out_features, in_features), quantizer)
        self.bias = nn.Parameter(torch.zeros(out_features)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        weight, scale = self.quantized_weight()
        y = F.linear(x, weight)
        if scale is not None:
            y = y * scale
        return y if self.bias is None else y + self.bias


class InputZero(nn.Module):
    """Subtract the integer zero point of each channel from pixels: uint8 [N, C, H, W] -> integer-valued float32.

    The zero point makes zero padding pad the mean colour. This is the first layer of a deployable network.
    """

    zero: Tensor

    def __init__(self, zero: Sequence[int]) -> None:
        super().__init__()
        if any(not 0 <= z <= 255 for z in zero):
            raise ValueError(f"zero points of uint8 pixels lie in [0, 255], not {list(zero)}")
        self.register_buffer("zero", torch.tensor(list(zero), dtype=torch.float32).reshape(-1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x.to(torch.float32) - self.zero


class GlobalSumPool2d(nn.Module):
    """Sum of each channel over the map, [N, C, H, W] -> [N, C]; exact on integers, unlike a float average."""

    def forward(self, x: Tensor) -> Tensor:
        return x.sum(dim=(2, 3))


def fold(model: nn.Module) -> nn.Module:
    """Fold every quantised layer of ``model`` in place (see `QuantLayer.fold`) and return it in ``eval()``."""
    for module in model.modules():
        if isinstance(module, QuantLayer):
            module.fold()
    return model.eval()
