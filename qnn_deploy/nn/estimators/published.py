"""The eleven estimators of weights-only studies: identity, clipped, leaky, and nine smooth or piecewise shapes of sign's derivative."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from qnn_deploy.nn.estimators._base import Estimator

Parameter = float | Tensor


def identity(u: Tensor) -> Tensor:
    """1 everywhere."""
    return torch.ones_like(u)


def clipped(u: Tensor, clip: Parameter) -> Tensor:
    """1 where abs(u) <= clip, else 0."""
    return (u.abs() <= clip).to(u.dtype)


def leaky_clipped(u: Tensor, a: Parameter) -> Tensor:
    """1 where abs(u) < 1, else a."""
    return torch.where(u.abs() < 1, 1.0, a)


def polynomial(u: Tensor) -> Tensor:
    """max(0, 2 - 2 abs(u))."""
    return (2 - 2 * u.abs()).clamp(min=0)


def tanh(u: Tensor, b: Parameter) -> Tensor:
    """b (1 - tanh(b u)^2)."""
    return b * (1 - torch.tanh(b * u).square())


def sigmoid(u: Tensor, b: Parameter) -> Tensor:
    """2 b s(b u) (1 - s(b u)), s the logistic function."""
    s = torch.sigmoid(b * u)
    return 2 * b * s * (1 - s)


def swish(u: Tensor, b: Parameter) -> Tensor:
    """b (2 - b u tanh(b u / 2)) / (1 + cosh(b u))."""
    v = (b * u).clamp(-80, 80)  # cosh leaves float32 at 89; the quotient is below 1e-32 there
    return b * (2 - v * torch.tanh(v / 2)) / (1 + torch.cosh(v))


def erf(u: Tensor) -> Tensor:
    """exp(-pi u^2 / 4), the derivative of erf(u sqrt(pi) / 2)."""
    return torch.exp(-math.pi / 4 * u.square())


def arctan(u: Tensor) -> Tensor:
    """1 / (1 + (pi u / 2)^2), the derivative of 2 / pi atan(pi u / 2)."""
    return 1 / (1 + (math.pi / 2 * u).square())


def fda(u: Tensor, w: Parameter, n: float) -> Tensor:
    """4 w / pi * sum over i = 0..n of cos((2 i + 1) w u), 0 where abs(w u) >= pi / 2."""
    v = w * u
    # The sum in closed form: sin(2 (n + 1) v) / (2 sin(v)).
    total = torch.where(v == 0, n + 1.0, torch.sin(2 * (n + 1) * v) / (2 * torch.sin(v)))
    return torch.where(v.abs() < math.pi / 2, 4 * w / math.pi * total, 0.0)


def reste(u: Tensor, o: Parameter, m: Parameter, t: Parameter) -> Tensor:
    """abs(u)^((1 - o) / o) / o where m < abs(u) <= t, m^(1 / o) / m where abs(u) <= m, 0 beyond t."""
    size = u.abs()
    inner = torch.full_like(u, 1.0) * m ** (1 / o) / m
    power = size.clamp(min=1e-30) ** ((1 - o) / o) / o
    return torch.where(size <= m, inner, power) * (size <= t)


PUBLISHED: tuple[Estimator, ...] = (
    Estimator(
        "identity",
        identity,
        "1",
        at_zero=1.0,
        area=math.inf,
        source="straight-through estimator, Bengio, Leonard, Courville 2013 (arXiv 1308.3432); BinaryNet.pytorch, Brevitas",
    ),
    Estimator(
        "clipped",
        clipped,
        "1 if |u| <= clip else 0",
        at_zero=1.0,
        area=2.0,
        source="BinaryNet, Courbariaux et al. 2016 (arXiv 1602.02830); larq ste_sign",
        parameters={"clip": 1.0},
        note="also hard-tanh or saturated; FracBNN takes clip 1.3",
    ),
    Estimator(
        "leaky-clipped",
        leaky_clipped,
        "1 if |u| < 1 else a",
        at_zero=1.0,
        area=math.inf,
        source="Bi-Real Net, Liu et al. 2018, its leaky clip layer",
        status="inferred",
        parameters={"a": 0.1},
        note="the slope 0.1 is ours: the published layer leaves it to its caller",
    ),
    Estimator(
        "polynomial",
        polynomial,
        "max(0, 2 - 2|u|)",
        at_zero=2.0,
        area=2.0,
        source="ApproxSign, Bi-Real Net, Liu et al. 2018 (arXiv 1808.00278); larq approx_sign",
        note="triangular; at half the gain it is max(0, 1 - |u|)",
    ),
    Estimator(
        "tanh",
        tanh,
        "b (1 - tanh(b u)^2)",
        at_zero=1.0,
        area=2.0,
        source="common in public code; with b in the place of t it is EDE of IR-Net, Qin et al. 2020",
        parameters={"b": 1.0},
    ),
    Estimator(
        "sigmoid",
        sigmoid,
        "2 b s(b u) (1 - s(b u)), s(v) = 1 / (1 + exp(-v))",
        at_zero=0.5,
        area=2.0,
        source="derivative of 2 s(b u) - 1; equals tanh with b / 2",
        status="inferred",
        parameters={"b": 1.0},
        note="commonly listed; recalled, not read in one published code",
    ),
    Estimator(
        "swish",
        swish,
        "b (2 - b u tanh(b u / 2)) / (1 + cosh(b u))",
        at_zero=5.0,
        area=2.0,
        source="SignSwish, BNN+, Darabi et al. 2018 (arXiv 1812.11800); larq swish_sign",
        parameters={"b": 5.0},
        note="negative beyond |b u| = 2.4",
    ),
    Estimator(
        "erf",
        erf,
        "exp(-pi u^2 / 4)",
        at_zero=1.0,
        area=2.0,
        source="additive noise annealing with normal noise, Spallanzani et al. 2022 (arXiv 2203.11323)",
        note="2 N(u; 0, sigma) with sigma = sqrt(2 / pi), chosen so that psi(0) = 1",
    ),
    Estimator(
        "arctan",
        arctan,
        "1 / (1 + (pi u / 2)^2)",
        at_zero=1.0,
        area=2.0,
        source="surrogate gradient of spiking networks, Fang et al. 2021",
        status="inferred",
        note="recalled",
    ),
    Estimator(
        "fda",
        fda,
        "(4 w / pi) sum_{i=0..n} cos((2 i + 1) w u) if |w u| < pi / 2 else 0",
        at_zero=40 / math.pi,
        area=8 / math.pi * sum((-1) ** i / (2 * i + 1) for i in range(10)),
        source="frequency domain approximation, Xu et al. 2021 (arXiv 2103.00841)",
        status="inferred",
        parameters={"w": 1.0, "n": 9},
        note="formula recalled; n and the cut-off are ours, and the paper's noise adaptation network is left out. Take gain 'unit'",
    ),
    Estimator(
        "reste",
        reste,
        "|u|^((1 - o) / o) / o if m < |u| <= t; m^(1 / o) / m if |u| <= m; 0 beyond t",
        at_zero=0.1 ** (1 / 3) / 0.1,
        area=2 * 1.5 ** (1 / 3),
        source="ReSTE, Wu et al. 2023 (arXiv 2308.06689), its released code",
        parameters={"o": 3.0, "m": 0.1, "t": 1.5},
        scheduled=("o",),
        note="published: o rises from 1 to 3, o(e) = 1 + (1 - cos(pi e / (2 E))) (o_end - 1); the default is where it ends",
    ),
)
