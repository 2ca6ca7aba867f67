"""Further estimators: scheduled ones, ones that look at the gradient, and the one-sided ones for activations."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from qnn_deploy.nn.estimators._base import Estimator
from qnn_deploy.nn.estimators.published import Parameter, identity


def _k(t: Parameter) -> Parameter:
    """max(1 / t, 1)."""
    return (1 / t).clamp(min=1) if isinstance(t, Tensor) else max(1 / t, 1.0)


def ede(u: Tensor, t: Parameter) -> Tensor:
    """k t (1 - tanh(t u)^2), k = max(1 / t, 1)."""
    return _k(t) * t * (1 - torch.tanh(t * u).square())


def quadratic(u: Tensor, t: Parameter) -> Tensor:
    """max(0, k (sqrt(2) t - t^2 abs(u))), k = max(1 / t, 1)."""
    return (_k(t) * (math.sqrt(2) * t - t * t * u.abs())).clamp(min=0)


def ewgs(gradient: Tensor, u: Tensor, integers: Tensor, d: Parameter) -> Tensor:
    """1 + d sign(gradient) (u - q): larger where the step moves x away from its quantised value."""
    return 1 + d * torch.sign(gradient) * (u - integers)


def ewgs_psi(u: Tensor, d: Parameter) -> Tensor:
    """The part of EWGS that does not look at the gradient."""
    return identity(u)


def dsq(u: Tensor, alpha: Parameter) -> Tensor:
    """k s (1 - tanh(k u)^2) where abs(u) <= 1, else 0; s = 1 / (1 - alpha), k = ln(2 / alpha - 1) / 2."""
    k = (2 / alpha - 1).log() / 2 if isinstance(alpha, Tensor) else math.log(2 / alpha - 1) / 2
    return (k / (1 - alpha)) * (1 - torch.tanh(k * u).square()) * (u.abs() <= 1)


def relu(u: Tensor) -> Tensor:
    """1 where u > 0, else 0."""
    return (u > 0).to(u.dtype)


def clipped_relu(u: Tensor) -> Tensor:
    """1 where 0 < u < 1, else 0."""
    return ((u > 0) & (u < 1)).to(u.dtype)


FURTHER: tuple[Estimator, ...] = (
    Estimator(
        "ede",
        ede,
        "k t (1 - tanh(t u)^2), k = max(1 / t, 1)",
        at_zero=1.0,
        area=2.0,
        source="error decay estimator, IR-Net, Qin et al. 2020 (arXiv 1909.10788), its released code",
        parameters={"t": 1.0},
        scheduled=("t",),
        note="published: t rises from 1e-3 (1e-2 in RBNN) to 10, its logarithm linear in the epoch; area 2 k",
    ),
    Estimator(
        "quadratic",
        quadratic,
        "max(0, k (sqrt(2) t - t^2 |u|)), k = max(1 / t, 1)",
        at_zero=math.sqrt(2),
        area=2.0,
        source="RBNN, Lin et al. 2020 (arXiv 2009.13055), its released code",
        parameters={"t": 1.0},
        scheduled=("t",),
        note="t as for ede; RBNN keeps it at 1 or more for activations. Its code writes 2 sqrt(t^2 / 2) for sqrt(2) t",
    ),
    Estimator(
        "ewgs",
        ewgs_psi,
        "1 + d sign(g) (u - q), g the incoming gradient",
        at_zero=1.0,
        area=math.inf,
        source="element-wise gradient scaling, Lee et al. 2021 (arXiv 2104.00903), its released code",
        parameters={"d": 1e-3},
        note="psi(0) and the area without the part in d; the paper also sets d from the Hessian's trace",
        weigh=ewgs,
    ),
    Estimator(
        "dsq",
        dsq,
        "k s (1 - tanh(k u)^2) if |u| <= 1 else 0, s = 1 / (1 - a), k = ln(2 / a - 1) / 2",
        at_zero=math.log(9) / 2 / 0.8,
        area=2.0,
        source="differentiable soft quantisation, Gong et al. 2019 (arXiv 1908.05033), public code",
        status="inferred",
        parameters={"alpha": 0.2},
        note="published for k bits with a learned alpha; this is its single step between -1 and +1 (width 2), alpha 0.2 ours",
    ),
    Estimator(
        "relu",
        relu,
        "1 if u > 0 else 0",
        at_zero=0.0,
        area=math.inf,
        source="Yin et al. 2019 (arXiv 1903.05662)",
        status="inferred",
        support="activations",
        note="recalled; no gradient reaches negative values, so not for weights",
    ),
    Estimator(
        "clipped-relu",
        clipped_relu,
        "1 if 0 < u < 1 else 0",
        at_zero=0.0,
        area=1.0,
        source="Yin et al. 2019 (arXiv 1903.05662)",
        status="inferred",
        support="activations",
        note="recalled; no gradient reaches negative values, so not for weights",
    ),
)
