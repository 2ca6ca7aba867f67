"""Annealing: quantities of a model that follow a ramp while it trains, by one mechanism for every method.

A module that has such quantities keeps each as a 0-d float32 buffer and lists their names in ``annealed``. A `Scheduler` fills the
buffers; their values never become Python numbers, so that ``torch.compile`` compiles once. A quantity that must not stay at its
initial value is listed in ``must_anneal`` as well: a model with one that no schedule reaches is refused. A weight quantiser whose latent
weight learns no more once a quantity has a certain value says so in ``rests_at``, {quantity: value} (see `Scheduler.hold`).
"""

from __future__ import annotations

import dataclasses
import fnmatch
import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from qnn_deploy.errors import UserError, nearest, unknown
from qnn_deploy.nn.layers import QuantLayer
from qnn_deploy.nn.ramps import HARDENING, POSITIVE, RAMPS

ORDERS = ("together", "same_start", "same_end", "partition")
POWER_LAWS = ("homogeneous", "progressive")
STEPS = ("step", "epoch")


@dataclasses.dataclass(frozen=True)
class Schedule:
    """One ramp over the quantities that ``target`` names. Also a ``[[schedules]]`` table of a recipe (see `read_schedule`).

    Attributes:
        target: `fnmatch` pattern over "module.path.quantity"; it may begin behind any dot ("sigma" is "*.sigma").
        ramp: a row of `ramps.RAMPS`.
        begin, end: the window, as shares of training in [0, 1]; the value is ``start`` before and ``final`` behind it.
        start, final: values at its ends.
        power: shape of the ramp (exponent, or steepness of "sigmoid"); None for the ramp's own.
        order: windows of the n layers that the pattern reaches, in forward order (ANA's decay intervals; layer l = 0..n-1, window [0, 1]):
            "together" [0, 1], "same_start" [0, (l+1)/n], "same_end" [(n-l-1)/n, 1] (the last layer begins), "partition" [l/n, (l+1)/n].
        power_law: "homogeneous", or "progressive": the power of layer l is ``power * (n - l)``, so that the first layer hardens fastest.
        step: the value follows every "step" of the optimiser or stays the same through an "epoch".

    Raises:
        UserError: QD0202 for a field that is unknown to its table, out of range or at odds with another.
    """

    target: str
    ramp: str = "linear"
    begin: float = 0.0
    end: float = 1.0
    start: float = 0.0
    final: float = 1.0
    power: float | None = None
    order: str = "together"
    power_law: str = "homogeneous"
    step: str = "step"

    def __post_init__(self) -> None:
        where = f"schedule of {self.target!r}"
        for name, known in (("ramp", tuple(RAMPS)), ("order", ORDERS), ("power_law", POWER_LAWS), ("step", STEPS)):
            _known(getattr(self, name), known, name, where)
        numbers = [self.begin, self.end, self.start, self.final] + ([] if self.power is None else [self.power])
        if not all(isinstance(v, (int, float)) and not isinstance(v, bool) and math.isfinite(v) for v in numbers):
            raise UserError("QD0202", "begin, end, start, final and power are finite numbers", where=where)
        if not 0 <= self.begin <= self.end <= 1:
            raise UserError("QD0202", f"the window [{self.begin}, {self.end}] is not within [0, 1]", where=where)
        if self.power is not None and (self.power <= 0 or RAMPS[self.ramp].power is None):
            what = "takes no power" if RAMPS[self.ramp].power is None else f"takes a power above 0, not {self.power}"
            raise UserError("QD0202", f"the ramp {self.ramp!r} {what}", where=where)
        if self.ramp in POSITIVE and min(self.start, self.final) <= 0:
            raise UserError("QD0202", f"the ramp {self.ramp!r} takes start and final above 0", where=where)
        if self.power_law == "progressive" and self.ramp not in HARDENING:
            raise UserError("QD0202", f"power_law 'progressive' takes the ramps {', '.join(HARDENING)}, not {self.ramp!r}", where=where)

    def window(self, layer: int, layers: int) -> tuple[float, float]:
        """Begin and end, as shares of training, for layer ``layer`` of ``layers``."""
        low, high = {
            "together": (0, layers),
            "same_start": (0, layer + 1),
            "same_end": (layers - layer - 1, layers),
            "partition": (layer, layer + 1),
        }[self.order]
        length = self.end - self.begin
        return self.begin + length * low / layers, self.end if high == layers else self.begin + length * high / layers

    def value(self, progress: float, layer: int = 0, layers: int = 1, epochs: int | None = None) -> float:
        """The value at the share ``progress`` of training, for layer ``layer`` of ``layers``.

        Args:
            epochs: length of the training; needed for ``step="epoch"`` and for the ramp "uws", whose unit is the epoch.
        """
        if self.step == "epoch":
            assert epochs is not None
            progress = math.floor(progress * epochs + 1e-9) / epochs  # (e / E) * E may fall just below e
        begin, end = self.window(layer, layers)
        if progress >= end:
            return float(self.final)
        if progress <= begin:
            return float(self.start)
        ramp = RAMPS[self.ramp]
        power = self.power if self.power is not None else ramp.power
        if power is not None and self.power_law == "progressive":
            power *= layers - layer
        share, elapsed = (progress - begin) / (end - begin), (progress - begin) * (epochs or 0)
        return ramp.value(self.start, self.final, share, power, elapsed)


class Scheduler:
    """Fills the annealed quantities of ``model`` as training goes on.

    Layers are counted in the order of ``model.modules()``, which is forward order in our networks: a quantity belongs to the
    `layers.QuantLayer` that holds it or, for an activation, to the last one before it (weight and activation of one layer share a timer, as
    in ANA). In a model without such layers every module counts for itself.

    Args:
        model: the network; its buffers get the values of progress 0 at once.
        schedules: at most one for each quantity.
        epochs: length of the training, for schedules that count in epochs.

    Raises:
        UserError: QD0202 for a pattern without a quantity, two schedules of one quantity, a quantity that needs a schedule and has
            none, or a missing ``epochs``.
    """

    def __init__(self, model: nn.Module, schedules: Iterable[Schedule], epochs: int | None = None) -> None:
        found = quantities(model)
        owner: dict[str, Schedule] = {}
        self.epochs = epochs
        self.progress = 0.0
        self._rows: list[_Row] = []
        for schedule in schedules:
            where = f"schedule of {schedule.target!r}"
            if epochs is None and (schedule.step == "epoch" or schedule.ramp == "uws"):
                raise UserError("QD0202", "it counts in epochs, and their number is not known", where=where)
            names = [name for name in found if _matches(name, schedule.target)]
            if not names:
                raise _unmatched(schedule.target, list(found), where)
            for name in names:
                if name in owner:
                    other = owner[name].target
                    raise UserError(
                        "QD0202", f"{name} has two schedules: {other!r} and {schedule.target!r}", help="keep one, or narrow a pattern"
                    )
                owner[name] = schedule
            order = sorted({found[name].layer for name in names})
            self._rows += [_Row(found[name], schedule, order.index(found[name].layer), len(order)) for name in names]
        left = [name for name, quantity in found.items() if quantity.required and name not in owner]
        if left:
            others = f" (and {len(left) - 1} more)" if len(left) > 1 else ""
            raise UserError(
                "QD0202",
                f"{left[0]}{others} has no schedule and would keep its initial value",
                help=f'add one with target = "{_common(left[0])}"',
            )
        self.set_progress(0.0)

    @torch.no_grad()
    def set_progress(self, progress: float) -> None:
        """Give every scheduled quantity its value at the share ``progress`` of training, in [0, 1]; call before the forward pass."""
        self.progress = progress
        for row in self._rows:
            value = row.schedule.value(progress, row.layer, row.layers, self.epochs)
            row.quantity.buffer.fill_(value)
            row.rests = value == row.quantity.rests_at

    def hold(self) -> None:
        """Take away the gradients of latent weights that learn no more, so that neither momentum nor decay moves them.

        Call between the backward pass and the optimiser's step.
        """
        for row in self._rows:
            if row.rests and row.quantity.latent is not None:
                row.quantity.latent.grad = None

    def state_dict(self) -> dict[str, float]:
        """What a resumed run needs: the progress. The values follow from it."""
        return {"progress": self.progress}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Go on from `state_dict`; sets the buffers."""
        self.set_progress(state["progress"])


@dataclasses.dataclass(frozen=True)
class Quantity:
    """An annealed quantity.

    Attributes:
        buffer: its value.
        layer: the layer it belongs to, a rank in forward order.
        required: it must have a schedule.
        latent, rests_at: the latent weight that learns no more at the value ``rests_at``, or None.
    """

    buffer: Tensor
    layer: int
    required: bool
    latent: nn.Parameter | None
    rests_at: float | None


@dataclasses.dataclass
class _Row:
    """A quantity under its schedule; ``rests`` while its latent weight learns nothing."""

    quantity: Quantity
    schedule: Schedule
    layer: int
    layers: int
    rests: bool = False


def quantities(model: nn.Module) -> dict[str, Quantity]:
    """Every annealed quantity of ``model`` by "module.path.quantity", in module order."""
    alone = not any(isinstance(module, QuantLayer) for module in model.modules())
    found: dict[str, Quantity] = {}
    layer, latents = 0, {}
    for path, module in model.named_modules():
        names: tuple[str, ...] = getattr(module, "annealed", ())
        layer += isinstance(module, QuantLayer) or (alone and bool(names))
        if isinstance(module, QuantLayer):
            latents[module.quantizer] = module.weight
        for name in names:
            buffer = getattr(module, name)
            assert isinstance(buffer, Tensor) and buffer.dim() == 0 and not buffer.requires_grad, f"{path}.{name} is no 0-d buffer"
            # What stands before the first layer belongs to it.
            rests_at = getattr(module, "rests_at", {}).get(name)
            latent = latents.get(module) if rests_at is not None else None
            required = name in getattr(module, "must_anneal", ())
            found[f"{path}.{name}".lstrip(".")] = Quantity(buffer, max(layer, 1), required, latent, rests_at)
    return found


def read_schedule(table: Mapping[str, Any], where: str = "") -> Schedule:
    """A `Schedule` from a table of a recipe.

    Raises:
        UserError: QD0202 for an unknown, missing or bad entry.
    """
    fields = tuple(field.name for field in dataclasses.fields(Schedule))
    for key in table:
        _known(key, fields, "key of a schedule", where)
    if not isinstance(table.get("target"), str):
        raise UserError("QD0202", "a schedule needs a target, a string", where=where, help='for example target = "*.sigma"')
    return Schedule(**table)


def _matches(name: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(name, f"*.{pattern}")


def _known(value: object, known: tuple[str, ...], what: str, where: str) -> None:
    if value not in known:
        raise unknown(what, value, known, where)


def _common(name: str) -> str:
    return f"*.{name.rpartition('.')[2]}"


def _unmatched(pattern: str, names: list[str], where: str) -> UserError:
    if not names:
        return UserError(
            "QD0202", "the model has no annealed quantity at all", where=where, help="choose a quantiser that has one, or drop the schedule"
        )
    patterns = sorted({_common(name) for name in names})
    shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    help = nearest(pattern, [*patterns, *names], cutoff=0.5) + f"the model has: {shown}"
    return UserError("QD0202", f"no annealed quantity matches {pattern!r}", where=where, help=help)
