"""Straight-through gradient estimators for ``sign``: what the backward pass uses in place of the zero derivative.

Each estimator is a function ``(u) -> g`` with ``u = x / s`` (``s = 1`` for plain sign) and ``g`` the surrogate derivative, elementwise.
Gain is the area under the curve over 2 (1 = "unit").
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Estimator = Callable[[Tensor], Tensor]


def identity(u: Tensor) -> Tensor:
    """1 everywhere (Hinton's original straight-through estimator; Bengio et al. 2013)."""
    return torch.ones_like(u)


def clipped(u: Tensor) -> Tensor:
    """1 where abs(u) <= 1, else 0 (BinaryNet, Hubara et al. 2016)."""
    return (u.abs() <= 1).to(u.dtype)


def polynomial(u: Tensor) -> Tensor:
    """max(0, 2 - 2 abs(u)) (ApproxSign, Bi-Real Net, Liu et al. 2018)."""
    return (2 - 2 * u.abs()).clamp_(min=0)


ESTIMATORS: dict[str, Estimator] = {"identity": identity, "clipped": clipped, "polynomial": polynomial}
