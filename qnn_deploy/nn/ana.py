"""Additive noise annealing (ANA; Spallanzani, Leonardi, Benini, CVPR 2022): a stair function made smooth by noise that goes to zero.

With levels q_0 < ... < q_K, thresholds t_k between them, and noise of mean m and scale s (family F, f of `ana_noise`):

    p_k(x) = F((x - m - t_k) / s)                             share of the noise that lifts x over threshold k
    forward   expectation  q_0 + sum_k (q_k - q_{k-1}) p_k    mode  the most probable level    random  one level, drawn
    backward  dL/dx = g * sum_k (q_k - q_{k-1}) f((x - m - t_k) / s) / s

s = 0 gives the stair itself: level k from x >= t_k on, gradient 0. Confirmed by the authors' code; binary levels {-1, +1} with the
threshold 0 are ours (their rule for one signed bit leaves a single level). Special cases: for binary levels and s = 1, uniform noise has
the gradient of the estimator "clipped" and triangular noise that of "polynomial"; logistic noise that of tanh and sigmoid, normal noise
that of erf.
"""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor

from qnn_deploy.errors import UserError
from qnn_deploy.nn.ana_noise import NOISES

STRATEGIES = ("expectation", "mode", "random")


def levels_of(bits: int, signed: bool = True, balanced: bool = True) -> tuple[int, ...]:
    """Levels of a quantiser, ascending: 0 .. 2^bits - 1; less 2^(bits-1) if signed; then without the lowest if balanced.

    One signed bit is {-1, +1}.

    Raises:
        UserError: QD0202 for bits outside 1..4, or one signed bit that is not balanced.
    """
    if not 1 <= bits <= 4:
        raise UserError("QD0202", f"ANA takes 1 to 4 bits, not {bits}")
    if signed and bits == 1:
        if not balanced:
            raise UserError("QD0202", "one signed bit is balanced: {-1, +1}")
        return (-1, 1)
    low = -(2 ** (bits - 1)) if signed else 0
    return tuple(range(low + (signed and balanced), low + 2**bits))


def steps_of(levels: tuple[int, ...]) -> list[tuple[int, float]]:
    """(height, threshold) of each step; the thresholds lie halfway."""
    return [(high - low, (low + high) / 2) for low, high in itertools.pairwise(levels)]


def noisy_stair(
    x: Tensor, levels: tuple[int, ...], noise: str, strategy: str, mean: Tensor, scale: Tensor, draw: Tensor | None = None
) -> Tensor:
    """The stair under noise (see above), of x's shape and dtype; computed in float32, or float64 where x is.

    Args:
        noise: a row of `ana_noise.NOISES`; strategy: one of `STRATEGIES`.
        mean, scale: of the noise, 0-d.
        draw: numbers in [0, 1) of x's shape, for the strategy "random".
    """
    y: Tensor = _NoisyStair.apply(x, mean, scale, draw, levels, noise, strategy)
    return y


class _NoisyStair(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, mean: Tensor, scale: Tensor, draw: Tensor | None, levels: tuple[int, ...], noise: str, strategy: str
    ) -> Tensor:
        ctx.save_for_backward(x, mean, scale)
        ctx.levels, ctx.noise = levels, noise
        over = []
        for _, threshold in steps_of(levels):
            z, v = _standard(x, mean, scale, threshold)
            over.append(torch.where(scale > 0, NOISES[noise].cdf(v), (z >= 0).to(z.dtype)))
        if strategy == "mode":
            best, y = 1 - over[0], torch.full_like(x, levels[0])
            for k, level in enumerate(levels[1:]):
                probability = over[k] - over[k + 1] if k + 1 < len(over) else over[k]
                y = torch.where(probability >= best, float(level), y)  # of two equal ones the upper, as the stair does
                best = torch.maximum(best, probability)
            return y
        y = torch.full_like(over[0], levels[0])
        for (gap, _), share in zip(steps_of(levels), over, strict=True):
            y = y + gap * (share if draw is None else (draw < share).to(share.dtype))
        return y.to(x.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, mean, scale = ctx.saved_tensors
        slope: Tensor | float = 0.0
        for gap, threshold in steps_of(ctx.levels):
            slope = slope + gap * NOISES[ctx.noise].pdf(_standard(x, mean, scale, threshold)[1])
        slope = torch.where(scale > 0, slope / _positive(scale), 0.0)
        return ((grad * slope).to(grad.dtype), None, None, None, None, None, None)


def _positive(scale: Tensor) -> Tensor:
    return torch.where(scale > 0, scale, 1.0)


def _standard(x: Tensor, mean: Tensor, scale: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    if x.dtype in (torch.bfloat16, torch.float16):
        x = x.float()
    z = x - mean - threshold
    return z, z / _positive(scale)
