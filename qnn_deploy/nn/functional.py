"""Quantising functions with a straight-through backward pass.

All return *integer-valued* float tensors; no scale is multiplied in here (design: reductions run over integers).
In training they are `torch.autograd.Function`s of plain tensor operations, which ``torch.compile`` fuses.
Without gradients they are registered operators of namespace ``qnn_deploy``, so that ``torch.export`` keeps each as one opaque node,
which the compiler reads as a marker.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from qnn_deploy.nn.estimators import ESTIMATORS


@torch.library.custom_op("qnn_deploy::sign", mutates_args=())
def sign_op(x: Tensor) -> Tensor:
    """+1 where x >= 0, else -1; sign(0) = +1 and sign(-0.0) = +1. Same shape and dtype as x."""
    return torch.where(x >= 0, 1.0, -1.0).to(x.dtype)


@sign_op.register_fake
def _(x: Tensor) -> Tensor:
    return torch.empty_like(x)


@torch.library.custom_op("qnn_deploy::quantize", mutates_args=())
def quantize_op(x: Tensor, scale: Tensor, low: int, high: int) -> Tensor:
    """``clamp(round_half_even(x / scale), low, high)``, integer-valued; x and scale float32, scale broadcasts against x."""
    return torch.clamp(torch.round(x / scale), low, high)


@quantize_op.register_fake
def _(x: Tensor, scale: Tensor, low: int, high: int) -> Tensor:
    return torch.empty_like(x)


class _Sign(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, estimator: str) -> Tensor:
        ctx.save_for_backward(x)
        ctx.estimator = estimator
        return torch.where(x >= 0, 1.0, -1.0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return grad * ESTIMATORS[ctx.estimator](x), None


class _Quantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, low: int, high: int) -> Tensor:
        ctx.save_for_backward(x, scale)
        ctx.bounds = (low, high)
        return torch.clamp(torch.round(x / scale), low, high)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        x, scale = ctx.saved_tensors
        low, high = ctx.bounds
        inside = (x >= low * scale) & (x <= high * scale)
        return grad * inside / scale, None, None, None


def sign(x: Tensor, estimator: str = "clipped") -> Tensor:
    """Binarise x to +1/-1 (sign(0) = +1), any shape, with the gradient of ``estimator`` (see `estimators.ESTIMATORS`).

    Raises:
        KeyError: the estimator is unknown.
    """
    if estimator not in ESTIMATORS:
        raise KeyError(f"unknown estimator {estimator!r}; known: {', '.join(ESTIMATORS)}")
    if torch.is_grad_enabled():
        return _Sign.apply(x, estimator)
    return sign_op(x)


def quantize(x: Tensor, scale: Tensor, low: int, high: int) -> Tensor:
    """Integer-valued ``clamp(round_half_even(x / scale), low, high)``; the gradient is 1/scale inside the range and 0 outside."""
    if torch.is_grad_enabled():
        return _Quantize.apply(x.float(), scale, low, high)  # bfloat16 would round twice
    return quantize_op(x, scale, low, high)
