"""Ramps: how a value gets from ``start`` to ``final`` while the share ``u`` of its window goes from 0 to 1.

| name | formula (s = start, f = final, p = power) | used for |
|---|---|---|
| linear | s + (f - s) u | |
| cosine | s + (f - s) (1 - cos(pi u)) / 2 | |
| quarter_cosine | s + (f - s) (1 - cos(pi u / 2)) | ReSTE's o (Wu et al. 2023) |
| power, cubic (p = 3) | f + (s - f) (1 - u)^p | alpha-blending (Liu and Mattina 2019); for f = 0 ANA's bounded window |
| sigmoid | logistic of steepness p = 10 about u = 1/2, scaled to reach its ends | |
| exponential | s (f / s)^u, both above 0 | EDE's t (IR-Net, Qin et al. 2020) |
| recu | s + (f - s) (e^u - 1) / (e - 1) | ReCU's tau (Xu et al. 2021) |
| uws | f + (s - f) (1 / (epochs elapsed + 1))^p, f where the factor is below 1e-3 | ANA's unbounded window (Spallanzani et al. 2022) |
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

UWS_FLOOR = 1e-3


@dataclasses.dataclass(frozen=True)
class Ramp:
    """One row: ``value(start, final, u, power, elapsed epochs)`` for 0 < u < 1, and the default power (None: it takes none)."""

    value: Callable[[float, float, float, float | None, float], float]
    power: float | None = None


def _share(curve: Callable[[float], float]) -> Callable[[float, float, float, float | None, float], float]:
    return lambda start, final, u, power, elapsed: start + (final - start) * curve(u)


def _power(start: float, final: float, u: float, power: float | None, elapsed: float) -> float:
    assert power is not None
    return final + (start - final) * (1 - u) ** power


def _sigmoid(start: float, final: float, u: float, power: float | None, elapsed: float) -> float:
    assert power is not None
    # The logistic function is tanh moved: scaled so, it meets start and final.
    return start + (final - start) * 0.5 * (1 + math.tanh(power / 2 * (u - 0.5)) / math.tanh(power / 4))


def _exponential(start: float, final: float, u: float, power: float | None, elapsed: float) -> float:
    return math.exp(math.log(start) + (math.log(final) - math.log(start)) * u)


def _uws(start: float, final: float, u: float, power: float | None, elapsed: float) -> float:
    assert power is not None
    factor = (1 / (elapsed + 1)) ** power
    return final if factor < UWS_FLOOR else final + (start - final) * factor


RAMPS: dict[str, Ramp] = {
    "linear": Ramp(_share(lambda u: u)),
    "cosine": Ramp(_share(lambda u: 0.5 * (1 - math.cos(math.pi * u)))),
    "quarter_cosine": Ramp(_share(lambda u: 1 - math.cos(math.pi / 2 * u))),
    "power": Ramp(_power, 1.0),
    "cubic": Ramp(_power, 3.0),
    "sigmoid": Ramp(_sigmoid, 10.0),
    "exponential": Ramp(_exponential),
    "recu": Ramp(_share(lambda u: math.expm1(u) / math.expm1(1.0))),
    "uws": Ramp(_uws, 1.0),
}

POSITIVE = ("exponential",)
HARDENING = ("power", "cubic", "uws")
