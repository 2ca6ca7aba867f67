"""Where the normalisation of a block stands between its reduction, its non-linearity and the quantiser of its output.

| norm | order | as in |
|---|---|---|
| post | reduction, pool, BatchNorm, non-linearity, quantiser | BinaryNet, ResNet, IR-Net |
| post_act | reduction, pool, non-linearity, BatchNorm, quantiser | ReSTE |
| pre | BatchNorm, non-linearity, quantiser, reduction, pool | XNOR-Net |
| none | reduction, pool, `ScaleBias`, non-linearity, quantiser | the ablation without BatchNorm |
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from qnn_deploy.errors import UserError
from qnn_deploy.nn.layers import QuantLayer, QuantLinear
from qnn_deploy.nn.quantizers._spec import check_name

ORDERS: dict[str, tuple[str, ...]] = {
    "post": ("reduction", "pool", "norm", "nonlinearity", "quantizer"),
    "post_act": ("reduction", "pool", "nonlinearity", "norm", "quantizer"),
    "pre": ("norm", "nonlinearity", "quantizer", "reduction", "pool"),
    "none": ("reduction", "pool", "norm", "nonlinearity", "quantizer"),
}


class ScaleBias(nn.Module):
    """x * scale + bias of each channel, learned; x [N, C, H, W] or [N, C], what a block without BatchNorm has in its place.

    Args:
        channels: C.
        scale: initial scale; 1 / sqrt(fan in) brings sums of +-1 to the size for which estimators of the sign are made.
        maps: x is [N, C, H, W].
    """

    def __init__(self, channels: int, scale: float = 1.0, maps: bool = True) -> None:
        super().__init__()
        self.shape = (channels, 1, 1) if maps else (channels,)
        self.scale = nn.Parameter(torch.full((channels,), scale))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale.reshape(self.shape) + self.bias.reshape(self.shape)


def arrange(
    norm: str,
    reduction: QuantLayer | nn.Conv2d | nn.Linear,
    quantizer: nn.Module | None,
    nonlinearity: nn.Module | None = None,
    pool: nn.Module | None = None,
) -> list[nn.Module]:
    """The modules of one block in the order of ``norm``; parts that are None are left out.

    Args:
        norm: a row of `ORDERS`.
        reduction: convolution or dense layer; its shape gives the channels of the normalisation (of its input for "pre").
        quantizer: an activation quantiser.

    Raises:
        UserError: QD0202 for an unknown ``norm``, or "post_act" without a non-linearity, which would be "post".
    """
    check_name(norm, ORDERS, "norm")
    if norm == "post_act" and nonlinearity is None:
        raise UserError(
            "QD0202", "norm 'post_act' needs a non-linearity before the BatchNorm", help='norm = "post" has the same order without one'
        )
    assert reduction.weight is not None
    out, inputs = reduction.weight.shape[:2]
    parts: dict[str, nn.Module | None] = {"reduction": reduction, "pool": pool, "nonlinearity": nonlinearity, "quantizer": quantizer}
    if norm == "none":
        parts["norm"] = ScaleBias(out, 1 / math.sqrt(reduction.weight[0].numel()), maps=reduction.weight.dim() == 4)
    else:
        layer = nn.BatchNorm1d if isinstance(reduction, (QuantLinear, nn.Linear)) else nn.BatchNorm2d
        parts["norm"] = layer(inputs if norm == "pre" else out)
    return [module for name in ORDERS[norm] if (module := parts[name]) is not None]
