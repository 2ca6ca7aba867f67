"""Weight-only networks: real-valued activations in front of a reduction become integers by a scale calibrated on data.

No two machines sum floats alike, so quantised weights on float activations cannot be exact. With int16 activations the artefacts compute
one network of integers, the same everywhere; from the trained one it departs by the rounding of its activations, which `verify` counts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from qnn_deploy.errors import UserError
from qnn_deploy.ir.edit import DOMAIN, FLOAT, add_initializer, constant, insert_after, is_op, location, replace_value
from qnn_deploy.ir.levels import Level
from qnn_deploy.ir.program import DType, smallest_weights
from qnn_deploy.passes._base import LevelPass
from qnn_deploy.passes.departures import depart
from qnn_deploy.passes.ranges import Ranges, analyse, weights_of
from qnn_deploy.plan.planes import most_terms

ACTIVATIONS = {"int8": 127, "int16": 32767}
REDUCTIONS = ("Conv", "ConvTranspose", "Gemm", "SumPool")
# What gives the integers that it reads, in their type.
_PASS_ON = ("MaxPool", "Flatten", "Pad", "Concat", "Rearrange", "Squeeze", "Unsqueeze")
_EXACT_IN_FLOAT = 2**24
# Fewer levels are no calibration problem but one of the layer.
_LEAST = 127
_FLOAT32 = np.finfo(np.float32)
_KEY = "qnn_deploy.calibration"
_REMEDY = "train with integer activations (qnn_deploy.nn.convert, or Int8Activation in front of the layer)"


@dataclasses.dataclass(frozen=True)
class Observed:
    """What one tensor was over the calibration data: the largest absolute value, and some of the values (float32 [n])."""

    largest: float
    some: NDArray[np.float32]


Observe = Callable[[ir.Model, Sequence[str]], Mapping[str, Observed]]


@dataclasses.dataclass(frozen=True)
class Calibration:
    """How float activations become integers.

    Attributes:
        activations: a key of `ACTIVATIONS`.
        observe: (L1 model, names of values) -> what they were over the data; None where ``scales`` has them all.
        scales: by the name of the value; those of an earlier build, so that `verify` needs no data.
    """

    activations: str = "int16"
    observe: Observe | None = None
    scales: Mapping[str, float] = dataclasses.field(default_factory=dict)


def earlier(saved: Mapping[str, Any]) -> Calibration:
    """The calibration of an earlier build, from its manifest.

    Raises:
        Exception: any, where ``saved`` is not what a build writes.
    """
    activations, scales = saved["activations"], {name: float(scale) for name, scale in saved["scales"].items()}
    if activations not in ACTIVATIONS:
        raise ValueError(f"activations {activations!r}")
    for name, scale in scales.items():
        if not float(_FLOAT32.smallest_subnormal) <= scale <= float(_FLOAT32.max):
            raise ValueError(f"the scale of {name} is {scale}")
    return Calibration(activations, scales=scales)


def calibrate_with(model: ir.Model, calibration: Calibration) -> None:
    """Let the passes on ``model`` quantise its float activations."""
    model.meta[_KEY] = calibration


class QuantiseActivations(LevelPass):
    """Reduction(x) -> Scale(Reduction(Quantize(x, s)), s) for a real-valued x, where a `Calibration` was given; notes the departure.

    The range is narrowed where the layer's sums would leave 2^24. ``scales`` holds the s of each x by name.
    """

    reads = Level.L1
    writes = Level.L1

    def rewrite(self, model: ir.Model) -> bool:
        calibration: Calibration | None = model.meta.get(_KEY)
        self.scales: dict[str, float] = {}
        if calibration is None:
            return False
        graph, ranges = model.graph, analyse(model.graph)
        readers: dict[ir.Value, list[ir.Node]] = {}
        for node in graph:
            if node.op_type in REDUCTIONS and not _is_quantised(node.inputs[0], ranges):
                readers.setdefault(node.inputs[0], []).append(node)  # type: ignore[arg-type]
        limits = {value: min(self._limit(node, calibration) for node in nodes) for value, nodes in readers.items()}
        if self.findings or not readers:
            return bool(readers)
        self.scales = self._scales(model, limits, calibration)
        if not self.findings:
            for value, nodes in readers.items():
                _quantise(graph, value, nodes, limits[value], np.float32(self.scales[value.name or ""]), calibration.activations)
        return True

    def _limit(self, node: ir.Node, calibration: Calibration) -> int:
        """The largest integer that the input of ``node`` may hold."""
        limit = ACTIVATIONS[calibration.activations]
        if node.op_type == "SumPool":
            bound = int(np.prod([int(d) for d in list(node.inputs[0].shape)[2:]]))  # type: ignore[union-attr, arg-type]
        else:
            weights = np.abs(weights_of(node).astype(np.int64))
            bound = int(weights.reshape(len(weights), -1).sum(axis=1).max())
            if weights[0].size > most_terms(smallest_weights(weights.clip(max=127).astype(np.int8)), DType.I16):
                limit = min(limit, ACTIVATIONS["int8"])
        limit = min(limit, _EXACT_IN_FLOAT // max(bound, 1))
        if limit < _LEAST:
            message = f"the accumulator may reach {bound} times the largest activation, and is exact up to 2^24: that leaves {limit}"
            help = f"fewer input channels or smaller weights: activations need at least {_LEAST}"
            self.fail(UserError("QD0303", message, where=location(node), help=help))
        return limit

    def _scales(self, model: ir.Model, limits: Mapping[ir.Value, int], calibration: Calibration) -> dict[str, float]:
        names = [value.name or "" for value in limits]
        if calibration.observe is None:
            missing = [name for name in names if name not in calibration.scales]
            if missing:
                raise UserError("QD0107", f"the build has no scale for {missing[0]}", help="build again with --calibrate")
            return {name: calibration.scales[name] for name in names}
        observed = calibration.observe(model, names)
        scales = {}
        for value, limit in limits.items():
            found = observed[value.name or ""]
            if not np.isfinite(found.largest):
                producer = value.producer()
                where = location(producer) if producer is not None else ""
                self.fail(UserError("QD0310", f"{value.name} is not finite on the calibration data", where=where))
                continue
            scales[value.name or ""] = choose_scale(found, limit, calibration.activations)
        return scales


def choose_scale(observed: Observed, limit: int, activations: str) -> float:
    """The scale by which the values of ``observed`` become integers up to ``limit``.

    int16 has bits to spare: the range is twice the largest value, since what other data reach beyond it costs more than a finer step
    gains. For int8 the largest value's share with the smallest sum of squared roundings and clippings over the sample.
    """
    if observed.largest == 0:
        return 1.0
    if activations == "int16":
        return float(np.float32(2 * observed.largest / limit))
    best, chosen = np.inf, 1.0
    for step in range(17):
        scale = np.float32(observed.largest * 2.0 ** (-step / 8) / limit)
        error = float(np.square(np.clip(np.rint(observed.some / scale), -limit, limit) * scale - observed.some, dtype=np.float64).sum())
        if error < best:
            best, chosen = error, float(scale)
    return chosen


def _is_quantised(value: ir.Value | None, ranges: Ranges) -> bool:
    """True where ``value`` holds integers of an activation; real values and accumulators do not."""
    if value is None or value not in ranges:
        return False
    producer = value.producer()
    if producer is not None and producer.op_type in _PASS_ON:
        return all(_is_quantised(each, ranges) for each in producer.inputs if each is not None and each.const_value is None)
    return producer is None or producer.op_type in ("Quantize", "Sign", "SubtractZero")


def _quantise(graph: ir.Graph, x: ir.Value, nodes: list[ir.Node], limit: int, scale: np.float32, activations: str) -> None:
    producer = x.producer()
    assert producer is not None
    value = add_initializer(graph, f"{x.name}.scale", np.array([scale], np.float32))
    attributes = {"low": -limit, "high": limit, "to": FLOAT}
    quantised = insert_after(producer, "Quantize", [x, value], attributes, domain=DOMAIN, name=f"{producer.name}.{activations}")
    for node in nodes:
        node.replace_input_with(0, quantised.outputs[0])
        narrowed = f" within +-{limit}, so that no sum leaves 2^24" if limit < ACTIVATIONS[activations] else ""
        depart(graph, node, f"it sums float activations; the artefacts sum {activations} ones{narrowed}, by a calibrated scale", _REMEDY)
        _scale_behind(graph, node, value, scale)


def _scale_behind(graph: ir.Graph, node: ir.Node, value: ir.Value, scale: np.float32) -> None:
    """Multiply the result of ``node`` by ``scale`` (the initializer ``value``); a scale that stands there takes it in."""
    result = node.outputs[0]
    users = list(result.uses())
    if len(users) == 1 and is_op(users[0].node, "Scale", domain=DOMAIN):
        following = users[0].node
        factor = constant(following.inputs[1])
        assert factor is not None
        following.replace_input_with(1, add_initializer(graph, f"{node.name}.scale", np.asarray(factor * scale, np.float32)))
        return
    scaled = insert_after(node, "Scale", [result, value], {}, domain=DOMAIN, name=f"{node.name}.input_scale")
    if result.is_graph_output():
        replace_value(result, scaled.outputs[0])
        scaled.replace_input_with(0, result)
        result.name, scaled.outputs[0].name = scaled.outputs[0].name, result.name
    for use in users:
        use.node.replace_input_with(use.idx, scaled.outputs[0])
