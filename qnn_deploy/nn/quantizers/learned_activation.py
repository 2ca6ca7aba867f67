"""Activations of up to 8 bits whose range is learned: PACT and LSQ, with a scale of any value or a power of two."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from qnn_deploy.nn.functional import quantize_learned
from qnn_deploy.nn.gradients import scale_gradient
from qnn_deploy.nn.quantizers._base import ActivationQuantizer

_LARGEST_SHIFT = 24


class _LearnedRange(ActivationQuantizer):
    """x -> clamp(round_half_even(x / scale), low, high) with a learned scale.

    A power of two is learned by its logarithm (as in TQT, Jain et al. 2020): scale = 2^round(l), d scale / d l = scale ln 2.
    The scale of the forward pass and ``scale``, which what follows may multiply by, are the same tensor for the gradient.
    """

    rounding: bool
    powers: Tensor | None

    def __init__(self, bits: int, signed: bool, scale: float, power_of_two: bool) -> None:
        super().__init__()
        if bits not in range(2 if signed else 1, 9):
            raise ValueError(f"{'signed' if signed else 'unsigned'} activations take {2 if signed else 1} to 8 bits, not {bits}")
        if not scale > 0:
            raise ValueError("the initial range is positive")
        self.high = 2 ** (bits - 1) - 1 if signed else 2**bits - 1
        self.levels = (-self.high if signed else 0, self.high)
        self.power_of_two = power_of_two
        self.parameter = nn.Parameter(torch.tensor(math.log2(scale) if power_of_two else self.from_scale(scale)))
        # A table, not exp2: an exported graph holds constants only, with the same bits on every machine.
        powers = torch.tensor([2.0**exponent for exponent in range(-_LARGEST_SHIFT, _LARGEST_SHIFT + 1)])
        self.register_buffer("powers", powers if power_of_two else None, persistent=False)

    def from_scale(self, scale: float) -> float:
        """The parameter that gives ``scale``."""
        return scale

    def to_scale(self, parameter: Tensor) -> Tensor:
        """Inverse of `from_scale`."""
        return parameter

    @property
    def scale(self) -> Tensor:
        """Real value of one step, 0-d, positive."""
        return self.learned_scale()

    def learned_scale(self) -> Tensor:
        """``scale``, with the gradient of the parameter."""
        if self.powers is None:
            return self.to_scale(self.parameter).abs().clamp(min=1e-8)
        exponent = torch.round(self.parameter.detach()).clamp(-_LARGEST_SHIFT, _LARGEST_SHIFT)
        scale = self.powers.index_select(0, exponent.long().reshape(1) + _LARGEST_SHIFT).reshape(())
        if not torch.is_grad_enabled():
            return scale
        return scale * (1 + math.log(2) * (self.parameter - self.parameter.detach()))

    def forward(self, x: Tensor) -> Tensor:
        return quantize_learned(x, self.scale, *self.levels, rounding=self.rounding)

    def extra_repr(self) -> str:
        return f"levels={self.levels}, power_of_two={self.power_of_two}"


class PactActivation(_LearnedRange):
    """x -> round(clip(x, 0, alpha) n / alpha), n = 2^bits - 1; ``parameter`` is alpha (PACT, Choi et al. 2018, arXiv 1805.06085; recalled).

    The gradient of the real value by alpha is 1 where x > alpha, else 0; by x it is 1 on [0, alpha]. As published alpha is decayed.

    Args:
        bits: 1 to 8.
        alpha: initial, in units of x.
        power_of_two: make alpha / n a power of two; ``parameter`` is then its logarithm.
    """

    rounding = False

    def __init__(self, bits: int = 4, alpha: float = 6.0, power_of_two: bool = False) -> None:
        self.steps = 2**bits - 1
        super().__init__(bits, False, alpha / self.steps, power_of_two)

    def from_scale(self, scale: float) -> float:
        return scale * self.steps

    def to_scale(self, parameter: Tensor) -> Tensor:
        return parameter / self.steps


class LsqActivation(_LearnedRange):
    """`_LearnedRange` whose ``parameter`` is the scale s (LSQ, Esser et al. 2020, arXiv 1902.08153; recalled).

    The gradient of the real value by s is ``q - x / s`` inside the range and ``low`` or ``high`` outside, times
    1 / sqrt(features of a sample * high). Signed levels are symmetric here; the paper has one more negative one.

    Args:
        bits: 1 to 8, from 2 where signed.
        signed: take negative values; False behind a ReLU.
        step: initial s; None for the paper's 2 mean(abs(x)) / sqrt(high) at x ~ N(0, 1), as BatchNorm leaves it.
        power_of_two: make s a power of two; ``parameter`` is then its logarithm.
    """

    rounding = True

    def __init__(self, bits: int = 4, signed: bool = False, step: float | None = None, power_of_two: bool = False) -> None:
        high = 2 ** (bits - 1) - 1 if signed else 2**bits - 1
        if step is None:
            step = 2 * math.sqrt(2 / math.pi / max(high, 1))
        super().__init__(bits, signed, step, power_of_two)
        self.features = 1

    def learned_scale(self) -> Tensor:
        scale = super().learned_scale()
        if not torch.is_grad_enabled():
            return scale
        return scale_gradient(scale, scale.new_tensor(1 / math.sqrt(self.features * self.high)))

    def forward(self, x: Tensor) -> Tensor:
        self.features = x[0].numel()
        return super().forward(x)
