"""What a gradient estimator is: the surrogate derivative, and what is known about it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

from torch import Tensor


@dataclasses.dataclass(frozen=True)
class Estimator:
    """One straight-through estimator: the backward pass of q(x) is ``dL/dx = dL/dq * psi(u)``, u = x / s.

    Attributes:
        name: key of the registry.
        psi: ``(u, **parameters) -> psi(u)``, elementwise, float32 in and out; parameters are floats or 0-d tensors.
        formula: psi as text.
        parameters: names and default values of what the formula leaves open.
        scheduled: those of ``parameters`` that the publication anneals in training.
        at_zero: psi(0) with the default parameters.
        area: integral of psi with the default parameters; 2 where psi is the derivative of a function from -1 to +1.
        source: publication, and where the formula was read.
        status: "confirmed" where the formula was read in published code, "inferred" where some of it is recalled or our choice.
        support: "weights" for the estimators that pass gradients on both sides of 0, "activations" for the one-sided ones.
        note: what is ours where ``status`` is "inferred", and other remarks.
        weigh: only where the factor depends on the incoming gradient too: ``(gradient, u, integers, **parameters) -> factor``.
    """

    name: str
    psi: Callable[..., Tensor]
    formula: str
    at_zero: float
    area: float
    source: str
    status: Literal["confirmed", "inferred"] = "confirmed"
    parameters: Mapping[str, float] = dataclasses.field(default_factory=dict)
    scheduled: tuple[str, ...] = ()
    support: Literal["weights", "activations"] = "weights"
    note: str = ""
    weigh: Callable[..., Tensor] | None = None

    def row(self) -> dict[str, Any]:
        """What is known about it as plain values, for listings (an infinite area is None)."""
        return {
            "name": self.name,
            "formula": self.formula,
            "parameters": dict(self.parameters),
            "scheduled": list(self.scheduled),
            "at_zero": self.at_zero,
            "area": self.area if math.isfinite(self.area) else None,
            "support": self.support,
            "source": self.source,
            "status": self.status,
            "note": self.note,
        }
