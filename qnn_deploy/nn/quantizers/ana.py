"""Weights and activations by additive noise annealing (Spallanzani, Leonardi, Benini 2022); see `nn.ana` for the formulas."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from qnn_deploy.errors import UserError
from qnn_deploy.nn import draws
from qnn_deploy.nn.ana import STRATEGIES, levels_of, noisy_stair, steps_of
from qnn_deploy.nn.ana_noise import NOISES
from qnn_deploy.nn.functional import quantize, sign
from qnn_deploy.nn.quantizers._base import ActivationQuantizer, WeightQuantizer

MOTIONS = ("static", "dynamic")


class _Ana(nn.Module):
    """Levels, noise and their buffers, for weights and activations alike.

    Annealed quantities, both in parts of their initial value (hence from 1 to 0; see `ana_schedules.ana_schedules`):
    ``mean`` where the mean is dynamic, ``sigma`` where the variance is.
    """

    eps: Tensor
    mean: Tensor
    sigma: Tensor
    seed: Tensor
    drawn: Tensor
    annealed: tuple[str, ...]
    takes_unsigned = True

    def __init__(
        self,
        bits: int = 2,
        signed: bool = True,
        balanced: bool = True,
        noise: str = "triangular",
        strategy: str = "expectation",
        mean: str = "static",
        variance: str = "dynamic",
        eps: float = 1.0,
        scale: float | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        for what, value, known in (
            ("noise", noise, tuple(NOISES)),
            ("strategy", strategy, STRATEGIES),
            ("mean", mean, MOTIONS),
            ("variance", variance, MOTIONS),
        ):
            if value not in known:
                raise UserError("QD0202", f"unknown {what} {value!r} of ANA", help=f"known: {', '.join(known)}")
        if variance == "static" and strategy == "expectation":
            raise UserError(
                "QD0202",
                "ANA with static variance cannot use the strategy 'expectation': it would never have met inference, which is noiseless",
                help='variance = "dynamic", or strategy = "mode" or "random"',
            )
        if eps <= 0 or (scale is not None and scale <= 0):
            raise UserError("QD0202", "ANA takes eps and scale above 0")
        if not signed and not self.takes_unsigned:
            raise UserError("QD0202", "ANA weights are signed")
        self.bits, self.noise, self.strategy, self.plain = bits, noise, strategy, eps == 1
        self.all_levels = levels_of(bits, signed, balanced)
        self.levels = (self.all_levels[0], self.all_levels[-1])
        half = (self.all_levels[1] - self.all_levels[0]) / 2
        self.initial_scale = half * NOISES[noise].initial if scale is None else scale
        self.initial_mean = -half if mean == "dynamic" else 0.0
        self.annealed = ("mean",) * (mean == "dynamic") + ("sigma",) * (variance == "dynamic")
        self.must_anneal = self.annealed
        # Not part of the state: arguments, and what a resumed run's scheduler sets.
        self.register_buffer("eps", torch.tensor(float(eps)), persistent=False)
        self.register_buffer("mean", torch.tensor(1.0), persistent=False)
        self.register_buffer("sigma", torch.tensor(1.0), persistent=False)
        if strategy == "random":
            self.register_buffer("seed", draws.seed_buffer(seed))
            self.register_buffer("drawn", torch.tensor(0))

    def step(self, x: Tensor) -> Tensor:
        """The stair (in training: its regularisation) at x / eps, any shape.

        In ``eval()`` a tie goes to the even level, as everywhere in this package; in training the stair goes up at it.
        """
        if not self.training:
            return sign(x) if self.all_levels == (-1, 1) else quantize(x, self.eps, *self.levels)
        if not self.plain:
            x = x / self.eps
        draw = None
        if self.strategy == "random":
            draw = draws.uniform(x.shape, self.seed, self.drawn)
            self.drawn.add_(1)
        mean, scale = self.mean * self.initial_mean, self.sigma * self.initial_scale
        return noisy_stair(x, self.all_levels, self.noise, self.strategy, mean, scale, draw)

    def extra_repr(self) -> str:
        return f"{self.all_levels}, {self.noise}, {self.strategy}, annealed={self.annealed}"


class AnaWeight(_Ana, WeightQuantizer):
    """Weights by additive noise annealing, in training real-valued for "expectation".

    Args:
        bits, signed, balanced: the levels (see `levels_of`); 1 is binary, 2 ternary. Weights are signed.
        noise: a row of `ana_noise.NOISES`.
        strategy: "expectation", "mode" or "random".
        mean, variance: "static" or "dynamic" (annealed). The dynamic mean begins at minus half a step.
        eps: quantum: x / eps is quantised; returned as the scale (the paper has 1: BatchNorm makes up for it).
        scale: initial scale of the noise, in quanta; None for the authors' value, which covers half a step to each side of a threshold.
        seed: of the strategy "random"; None draws it from torch's generator.

    Raises:
        UserError: QD0202 for unknown names, and for static variance with "expectation".
    """

    takes_unsigned = False
    attached = False

    @torch.no_grad()
    def attach(self, weight: Tensor) -> None:
        """At the first call, start latent weights at thresholds, drawn at random, plus U(-1, 1) / sqrt(fan in), plus the noise's mean."""
        if self.attached:
            return
        self.attached = True
        thresholds = torch.tensor([threshold for _, threshold in steps_of(self.all_levels)], device=weight.device)
        bound = 1 / math.sqrt(weight[0].numel())
        chosen = thresholds[torch.randint(len(thresholds), weight.shape, device=weight.device)]
        weight.copy_((chosen + torch.empty_like(weight).uniform_(-bound, bound) + self.initial_mean) * self.eps)

    def forward(self, weight: Tensor) -> tuple[Tensor, Tensor | None]:
        """Returns (levels of weight's shape, in training perhaps between them; eps as [] or None where it is 1)."""
        return self.step(weight), None if self.plain else self.eps


class AnaActivation(_Ana, ActivationQuantizer):
    """Activations by additive noise annealing; arguments as for `AnaWeight` (unsigned levels too). The quantum goes into what follows."""

    def forward(self, x: Tensor) -> Tensor:
        """Levels of x's shape, in training perhaps between them."""
        return self.step(x)
