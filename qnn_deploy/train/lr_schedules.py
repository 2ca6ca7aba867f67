"""Learning-rate schedules: the factor on ``learning_rate`` as training goes on, behind a linear warm-up.

| name | factor behind the warm-up (u = share of what is left, e = whole epochs done) |
|---|---|
| cosine | final + (1 - final) (1 + cos(pi u)) / 2 |
| linear | final + (1 - final) (1 - u) |
| step | factor ^ (number of entries of ``at`` that are <= e) |
| constant | 1 |
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from qnn_deploy.errors import UserError


def cosine(progress: float, warmup: float, epochs: int, /, final: float = 0.0) -> float:
    """Half a cosine from 1 to ``final`` (SGDR without restarts, Loshchilov and Hutter 2017)."""
    return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))


def linear(progress: float, warmup: float, epochs: int, /, final: float = 0.0) -> float:
    """A straight line from 1 to ``final``."""
    return final + (1 - final) * (1 - (progress - warmup) / (1 - warmup))


def step(progress: float, warmup: float, epochs: int, /, at: Sequence[int] = (), factor: float = 0.1) -> float:
    """Multiplied by ``factor`` as each of the epochs ``at`` begins (counted from 0)."""
    if not isinstance(at, (list, tuple)) or not all(isinstance(epoch, int) and epoch > 0 for epoch in at):
        raise UserError("QD0202", f"'lr_schedule.at' takes epochs, whole numbers above 0, not {at!r}")
    done = math.floor(progress * epochs + 1e-9)  # (e / E) * E may fall just below e
    return float(factor ** sum(epoch <= done for epoch in at))


def constant(progress: float, warmup: float, epochs: int, /) -> float:
    """Always 1."""
    return 1.0


LR_SCHEDULES: dict[str, Callable[..., float]] = {"cosine": cosine, "linear": linear, "step": step, "constant": constant}

IN_EPOCHS = ("step", "constant")
"""Schedules in which an epoch has the same learning rate however many follow."""


def lr_factor(spec: Mapping[str, Any], progress: float, warmup: float, epochs: int) -> float:
    """Factor on the learning rate at ``progress`` in [0, 1]: linear warm-up to 1, then what ``spec`` says.

    Raises:
        UserError: QD0202 for an argument that the schedule cannot work with.
    """
    if progress < warmup:
        return progress / warmup
    arguments = {name: value for name, value in spec.items() if name != "name"}
    return LR_SCHEDULES[spec["name"]](progress, warmup, epochs, **arguments)
