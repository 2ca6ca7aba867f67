"""The schedules of additive noise annealing by the names of the paper's experiment (see `nn.ana`)."""

from __future__ import annotations

from qnn_deploy.errors import UserError
from qnn_deploy.nn.anneal import POWER_LAWS, Schedule

# Decay intervals of the paper, and `Schedule.order`.
INTERVALS = {"overlapped": "together", "same_start": "same_start", "same_end": "same_end", "partition": "partition"}


def ana_schedules(
    *,
    mean: str = "static",
    variance: str = "dynamic",
    intervals: str = "partition",
    power_law: str = "homogeneous",
    end: float = 0.7,
    step: str = "epoch",
) -> list[Schedule]:
    """Schedules for a network whose quantisers are `AnaWeight` and `AnaActivation` with the same ``mean`` and ``variance``.

    The mean decays with the power 1 and the scale with the power 2, times n - l in layer l of n where ``power_law`` is "progressive".

    Args:
        intervals: "overlapped", "same_start", "same_end" or "partition".
        power_law: "homogeneous" or "progressive".
        end: share of training at which all noise is gone; 0.7 is the paper's 7 periods for 7 layers of 10.
        step: "epoch" as in the paper, or "step" for short runs.

    Raises:
        UserError: QD0202 for an unknown name.
    """
    if intervals not in INTERVALS:
        raise UserError("QD0202", f"unknown decay intervals {intervals!r}", help=f"known: {', '.join(INTERVALS)}")
    if power_law not in POWER_LAWS:
        raise UserError("QD0202", f"unknown power law {power_law!r}", help=f"known: {', '.join(POWER_LAWS)}")
    rows = [("*.mean", 1.0)] * (mean == "dynamic") + [("*.sigma", 2.0)] * (variance == "dynamic")
    return [
        Schedule(target, "power", 0.0, end, 1.0, 0.0, power=power, order=INTERVALS[intervals], power_law=power_law, step=step)
        for target, power in rows
    ]
