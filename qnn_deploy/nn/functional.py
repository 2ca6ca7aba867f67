"""Quantising functions with a straight-through backward pass.

All return *integer-valued* float tensors; no scale is multiplied in here (design: reductions run over integers).
In training they are `torch.autograd.Function`s of plain tensor operations, which ``torch.compile`` fuses; surrogate derivatives are
computed in float32, and the gradient comes back in the dtype it came in.
Without gradients they are registered operators of namespace ``qnn_deploy``, so that ``torch.export`` keeps each as one opaque node,
which the compiler reads as a marker.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from qnn_deploy.errors import UserError, unknown
from qnn_deploy.nn.estimators import ESTIMATORS, Estimator

Number = float | Tensor
# Factors of the gradient where the ternary value is +1, 0 and -1.
Gains = tuple[Number, Number, Number]

GAINS = ("raw", "unit")
TERNARY_FORMS = ("envelope", "thresholds")


@torch.library.custom_op("qnn_deploy::sign", mutates_args=())
def sign_op(x: Tensor) -> Tensor:
    """+1 where x >= 0, else -1; sign(0) = +1 and sign(-0.0) = +1. Same shape and dtype as x."""
    return _sign(x)


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


def _sign(x: Tensor) -> Tensor:
    return torch.where(x >= 0, 1.0, -1.0).to(x.dtype)


def _ternary(x: Tensor, threshold: Number) -> Tensor:
    return (x > threshold).to(x.dtype) - (x < -threshold).to(x.dtype)


def check_gain(gain: str, estimator: Estimator) -> None:
    """Raise UserError QD0202 where ``gain`` is not one of `GAINS`, or "unit" for an estimator with psi(0) = 0."""
    if gain not in GAINS:
        raise UserError("QD0202", f"unknown gain {gain!r}", help=f"known: {', '.join(GAINS)}")
    if gain == "unit" and estimator.at_zero == 0:
        raise UserError("QD0202", f"the estimator {estimator.name!r} is 0 at 0 and cannot be divided by that", help='take gain "raw"')


def find_estimator(name: str) -> Estimator:
    """The row of `ESTIMATORS`.

    Raises:
        UserError: QD0202 where there is none of that name.
    """
    if name not in ESTIMATORS:
        raise unknown("estimator", name, ESTIMATORS)
    return ESTIMATORS[name]


def psi(estimator: Estimator, u: Tensor, gain: str, parameters: Mapping[str, Number]) -> Tensor:
    """The surrogate derivative at u (float32), divided by its value at 0 where ``gain`` is "unit"."""
    values = estimator.psi(u, **parameters)
    return values / estimator.psi(torch.zeros((), device=u.device), **parameters) if gain == "unit" else values


def _save(ctx: Any, tensors: tuple[Tensor, ...], numbers: tuple[Number, ...]) -> None:
    """Keep ``tensors`` and ``numbers`` (floats or tensors) for the backward pass."""
    ctx.numbers = tuple(None if isinstance(number, Tensor) else number for number in numbers)
    ctx.count = len(tensors)
    ctx.save_for_backward(*tensors, *(number for number in numbers if isinstance(number, Tensor)))


def _restore(ctx: Any) -> tuple[list[Tensor], list[Number]]:
    saved = list(ctx.saved_tensors)
    tensors, rest = saved[: ctx.count], saved[ctx.count :]
    return tensors, [rest.pop(0) if number is None else number for number in ctx.numbers]


class _Sign(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, name: str, gain: str, bound: float | Tensor | None, scale: Number, *values: Number) -> Tensor:
        ctx.name, ctx.gain = name, gain
        q = _sign(x) if bound is None else _random_sign(x, bound)
        _save(ctx, (x,) if ESTIMATORS[name].weigh is None else (x, q), (scale, *values))
        return q

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        (x, *q), (scale, *values) = _restore(ctx)
        estimator = ESTIMATORS[ctx.name]
        parameters = dict(zip(estimator.parameters, values, strict=True))
        u = x.float() / scale
        factor = psi(estimator, u, ctx.gain, parameters)
        if estimator.weigh is not None:
            factor = factor * estimator.weigh(grad, u, q[0], **parameters)
        return ((grad * factor).to(grad.dtype), None, None, None, None, *[None] * len(values))


class _Ternary(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, name: str, gain: str, form: str, threshold: Number, scale: Number, above: Number, zero: Number, below: Number,
        *values: Number,
    ) -> Tensor:  # fmt: skip
        ctx.name, ctx.gain, ctx.form = name, gain, form
        _save(ctx, (x,), (threshold, scale, above, zero, below, *values))
        return _ternary(x, threshold)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        (x,), (threshold, scale, above, zero, below, *values) = _restore(ctx)
        estimator = ESTIMATORS[ctx.name]
        parameters = dict(zip(estimator.parameters, values, strict=True))
        x32 = x.float()
        if ctx.form == "envelope":
            native = torch.where(x > threshold, above, torch.where(x < -threshold, below, zero))
            factor = native * psi(estimator, x32 / scale, ctx.gain, parameters)
        else:
            upper = psi(estimator, (x32 - threshold) / scale, ctx.gain, parameters)
            lower = psi(estimator, (x32 + threshold) / scale, ctx.gain, parameters)
            factor = (above * upper + below * lower) / (2 * scale)
        if estimator.weigh is not None:
            factor = factor * estimator.weigh(grad, x32 / scale, _ternary(x, threshold), **parameters)
        return ((grad * factor).to(grad.dtype), *[None] * (8 + len(values)))


def _random_sign(x: Tensor, bound: Number) -> Tensor:
    return torch.where(torch.rand_like(x) < ((x / bound + 1) / 2).clamp(0, 1), 1.0, -1.0).to(x.dtype)


def _values(estimator: Estimator, parameters: Mapping[str, Number] | None) -> tuple[Number, ...]:
    given = parameters or {}
    for key in given:
        if key not in estimator.parameters:
            help = f"known: {', '.join(estimator.parameters) or 'none'}"
            raise UserError("QD0202", f"unknown parameter {key!r} of the estimator {estimator.name!r}", help=help)
    return tuple(given.get(key, default) for key, default in estimator.parameters.items())


def sign(
    x: Tensor, estimator: str = "clipped", *, scale: Number = 1.0, gain: str = "raw", parameters: Mapping[str, Number] | None = None
) -> Tensor:
    """Binarise x to +1/-1 (sign(0) = +1), any shape, with the gradient ``grad * psi(x / scale)`` of an estimator.

    Args:
        estimator: a name of `estimators.ESTIMATORS`.
        scale: s of u = x / s, a number or a tensor that broadcasts against x; without gradient.
        gain: "raw", or "unit" to divide psi by psi(0).
        parameters: of the estimator, where they are not its defaults; tensors (0-d) for those that change in training.

    Raises:
        UserError: QD0202 for an unknown estimator, parameter or gain.
    """
    row = find_estimator(estimator)
    check_gain(gain, row)
    values = _values(row, parameters)
    if torch.is_grad_enabled():
        return _Sign.apply(x, estimator, gain, None, scale, *values)
    return sign_op(x)


def stochastic_sign(
    x: Tensor,
    estimator: str = "clipped",
    *,
    bound: Number = 1.0,
    scale: Number = 1.0,
    gain: str = "raw",
    parameters: Mapping[str, Number] | None = None,
) -> Tensor:
    """+1 with probability ``clip((x / bound + 1) / 2, 0, 1)``, else -1 (BinaryConnect, Courbariaux et al. 2015); the rest as `sign`.

    For training only: two calls differ.
    """
    row = find_estimator(estimator)
    check_gain(gain, row)
    return _Sign.apply(x, estimator, gain, bound, scale, *_values(row, parameters))


def ternary(
    x: Tensor,
    threshold: Number,
    estimator: str = "clipped",
    *,
    form: str = "envelope",
    scale: Number = 1.0,
    gain: str | None = None,
    gains: Gains = (1.0, 1.0, 1.0),
    parameters: Mapping[str, Number] | None = None,
) -> Tensor:
    """+1 where x > threshold, -1 where x < -threshold, else 0, with one of two gradients.

    - ``form="envelope"``: ``grad * native(x) * psi(x / scale)``, native being the quantiser's own gradient: ``gains`` = its values where
      the result is +1, 0 and -1. This is what Larq's SteTern does for the clipped estimator.
    - ``form="thresholds"``: ``grad * (gains[0] * psi((x - threshold) / scale) + gains[2] * psi((x + threshold) / scale)) / (2 * scale)``,
      the sum over the two steps, each half as wide as ``scale`` says (Spallanzani et al. 2022).
      The clipped estimator with scale = threshold = 0.5 gives 1 on (-1, 1): the ordinary clipped estimator again.

    Args:
        threshold: not negative; a number, or a tensor that broadcasts against x. It gets no gradient from here.
        scale, gains: likewise numbers or tensors without gradient.
        gain: "raw" or "unit" as in `sign`; by default "unit" for the envelope and "raw" for the sum.
        estimator, parameters: as in `sign`.

    Raises:
        UserError: QD0202 for an unknown estimator, parameter, gain or form.
    """
    row = find_estimator(estimator)
    if form not in TERNARY_FORMS:
        raise UserError("QD0202", f"unknown form {form!r} of a ternary gradient", help=f"known: {', '.join(TERNARY_FORMS)}")
    if gain is None:
        gain = "unit" if form == "envelope" and row.at_zero else "raw"
    check_gain(gain, row)
    values = _values(row, parameters)
    if torch.is_grad_enabled():
        return _Ternary.apply(x, estimator, gain, form, threshold, scale, *gains, *values)
    return _ternary(x, threshold)


class _Quantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, low: int, high: int) -> Tensor:
        # Of the rounded value: x / (max / 127) may round to a little more than 127.
        rounded = torch.round(_wide(x) / scale)
        integers = torch.clamp(rounded, low, high)
        # 1 where the value is its own clamp, by arithmetic: compiled for a CPU, comparisons are slow to store (see `relu`).
        inside = (1 - torch.sign((rounded - integers).abs())).to(torch.int8)
        ctx.save_for_backward(inside, scale)
        ctx.dtype = x.dtype
        # bfloat16 holds every integer up to 2^8: half the memory for what follows.
        return integers.to(x.dtype) if max(-low, high) <= 256 else integers

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        inside, scale = ctx.saved_tensors
        return (grad * inside.to(grad.dtype) / scale).to(ctx.dtype), None, None, None


def _wide(x: Tensor) -> Tensor:
    """float32 at least: bfloat16 would round twice."""
    return x if x.dtype == torch.float64 else x.float()


def quantize(x: Tensor, scale: Tensor, low: int, high: int) -> Tensor:
    """Integer-valued ``clamp(round_half_even(x / scale), low, high)``; the gradient is 1/scale, and 0 where a value is clamped."""
    if torch.is_grad_enabled():
        return _Quantize.apply(x, scale, low, high)
    return quantize_op(x, scale, low, high)


class _QuantizeLearned(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, low: int, high: int, rounding: bool) -> Tensor:
        ctx.save_for_backward(x, scale)
        ctx.bounds, ctx.rounding = (low, high), rounding
        return torch.clamp(torch.round(x / scale), low, high)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        x, scale = ctx.saved_tensors
        low, high = ctx.bounds
        v = x / scale
        inside = grad * ((v >= low) & (v <= high)) / scale
        of_scale = -(inside * (v if ctx.rounding else torch.round(v))).sum()
        return inside, of_scale.reshape(scale.shape), None, None, None


def quantize_learned(x: Tensor, scale: Tensor, low: int, high: int, *, rounding: bool) -> Tensor:
    """`quantize` whose scale (0-d) has a gradient: of the integers q by s, inside the range, -(x / s) / s or -q / s; outside it 0.

    With s multiplied back behind it (or a BatchNorm, which does not see s at all) the gradient of ``s * q`` by s becomes
    the published one: outside the range ``low`` or ``high``, inside it ``q - x / s`` with ``rounding`` (LSQ), 0 without (PACT).
    """
    if torch.is_grad_enabled():
        return _QuantizeLearned.apply(_wide(x), scale, low, high, rounding)
    return quantize_op(x, scale, low, high)
