"""Functions that change the gradient and nothing else, or give it a published form: what the weight quantisers are written with."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_SMALLEST = torch.finfo(torch.float32).tiny


class _ClampGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, bound: float) -> Tensor:
        ctx.bound = bound
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad.clamp(-ctx.bound, ctx.bound), None


class _ScaleGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: Tensor) -> Tensor:
        ctx.save_for_backward(factor)
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (factor,) = ctx.saved_tensors
        return (grad * factor).to(grad.dtype), None


class _PerScale(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, integers: Tensor, scale: Tensor, asymmetric: bool) -> Tensor:
        ctx.asymmetric = asymmetric
        ctx.save_for_backward(integers, scale)
        return integers.view_as(integers)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        integers, scale = ctx.saved_tensors
        factor = torch.where(scale.abs() < _SMALLEST, 0.0, 1 / scale)
        if ctx.asymmetric:
            factor = torch.where(integers >= 0, along(factor[0], grad), along(factor[1], grad))
        else:
            factor = along(factor, grad)
        return (grad * factor).to(grad.dtype), None, None


def along(scale: Tensor, weight: Tensor) -> Tensor:
    """``scale`` ([] or [out]) in the shape that broadcasts against ``weight`` [out, ...]."""
    return scale.reshape(-1, *[1] * (weight.dim() - 1)) if scale.dim() else scale


def clamp_gradient(x: Tensor, bound: float) -> Tensor:
    """x; its gradient is clamped to [-bound, bound], element by element."""
    return _ClampGradient.apply(x, bound)


def scale_gradient(x: Tensor, factor: Tensor) -> Tensor:
    """x; its gradient is multiplied by ``factor`` (broadcasts against x, gets no gradient itself)."""
    return _ScaleGradient.apply(x, factor.detach())


def per_scale(integers: Tensor, scale: Tensor, asymmetric: bool = False) -> Tensor:
    """``integers``; their gradient is divided by ``scale``, so that behind a multiplication by it they get the product's own gradient.

    That is the straight-through gradient of a paper that writes its weights as one tensor ``scale * integers``.
    0 where the scale is 0 or denormal.

    Args:
        integers: [out, ...].
        scale: [] or [out]; with ``asymmetric`` [2] or [2, out], the first row for integers >= 0 as in `asymmetric_weight`.
    """
    return _PerScale.apply(integers, scale.detach(), asymmetric)


def asymmetric_weight(integers: Tensor, scale: Tensor) -> Tensor:
    """``integers * scale[0]`` where the integer is >= 0, ``integers * scale[1]`` where it is negative; differentiable in both.

    Args:
        integers: weight [out, ...].
        scale: [2] or [2, out].
    """
    return integers * torch.where(integers >= 0, along(scale[0], integers), along(scale[1], integers))
