"""The noise families of additive noise annealing: distribution function and density of a standard variable v = z / s.

| family | F(v) | f(v) | scale s = standard deviation times |
|---|---|---|---|
| uniform | clip((v + 1) / 2, 0, 1) | 1/2 where abs(v) <= 1 | sqrt 3 |
| triangular | (1 + v (2 - abs(v))) / 2 within [-1, 1] | max(0, 1 - abs(v)) | sqrt 6 |
| normal | Phi(v) | exp(-v^2 / 2) / sqrt(2 pi) | 1 |
| logistic | 1 / (1 + exp(-v)) | F (1 - F) | sqrt 3 / pi |

``initial`` is the scale to begin with for an interval of half-width 1: its support, or 95 % of the mass of an unbounded variable
(values of the authors' code).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import torch
from torch import Tensor


@dataclasses.dataclass(frozen=True)
class Noise:
    """One family: ``cdf(v)``, ``pdf(v)``, elementwise; ``initial`` scale."""

    cdf: Callable[[Tensor], Tensor]
    pdf: Callable[[Tensor], Tensor]
    initial: float


def _triangular_cdf(v: Tensor) -> Tensor:
    v = v.clamp(-1, 1)
    return (1 + v * (2 - v.abs())) * 0.5


def _logistic_pdf(v: Tensor) -> Tensor:
    share = torch.sigmoid(v)
    return share * (1 - share)


NOISES: dict[str, Noise] = {
    "uniform": Noise(lambda v: ((v + 1) * 0.5).clamp(0, 1), lambda v: (v.abs() <= 1).to(v.dtype) * 0.5, 1.0),
    "triangular": Noise(_triangular_cdf, lambda v: (1 - v.abs()).clamp(min=0), 1.0),
    "normal": Noise(torch.special.ndtr, lambda v: torch.exp(v * v * -0.5) * (1 / math.sqrt(2 * math.pi)), 1 / 1.959963984540054),
    "logistic": Noise(torch.sigmoid, _logistic_pdf, 1 / math.log(39)),
}
