"""Exact worst-case ranges of integer-valued tensors, per channel; a value without a row here is a real-valued stream."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from qnn_deploy.ir.edit import constant_input
from qnn_deploy.ops._base import DOMAIN

_INPUT_RANGES = {"UINT8": (0, 255), "INT8": (-128, 127), "INT16": (-32768, 32767)}


@dataclasses.dataclass(frozen=True)
class Range:
    """Integers of each channel lie in [low, high] (int64 [C]); ``step`` 2 means that all of them are even or all odd, as low is."""

    low: NDArray[np.int64]
    high: NDArray[np.int64]
    step: int = 1

    @property
    def largest(self) -> int:
        return int(max(np.abs(self.low).max(), np.abs(self.high).max()))

    @property
    def bipolar(self) -> bool:
        return self.step == 2 and bool(np.all(self.low == -1) and np.all(self.high == 1))


Ranges = dict[ir.Value, Range]


def weights_of(node: ir.Node) -> NDArray[Any]:
    """The constant weights of a Conv or Gemm/Dense node: integers, float32 at L1 and int8 at L2."""
    return constant_input(node, 1)


def analyse(graph: ir.Graph, known: Ranges | None = None) -> Ranges:
    """Ranges of every integer-valued value of an L1 graph, or of an L2 graph whose weights are not packed yet.

    ``known`` holds ranges that an earlier call found and no edit has changed since; it is extended, and no weights are read for them again.
    """
    ranges: Ranges = {} if known is None else known
    source = graph.inputs[0]
    assert source.dtype is not None and source.shape is not None
    low, high = _INPUT_RANGES[source.dtype.name]
    channels = int(source.shape[1])  # type: ignore[arg-type]
    ranges[source] = Range(np.full(channels, low), np.full(channels, high))
    for node in graph:
        result = None if node.outputs[0] in ranges else _range(node, ranges)
        if result is not None:
            ranges[node.outputs[0]] = result
    return ranges


def _range(node: ir.Node, ranges: Ranges) -> Range | None:
    value = node.outputs[0]
    if (node.domain, node.op_type) == (DOMAIN, "Sign") or node.op_type == "Threshold":
        channels = int(value.shape[1])  # type: ignore[index, arg-type]
        return Range(np.full(channels, -1), np.full(channels, 1), 2)
    if node.op_type == "Quantize":
        channels = int(value.shape[1])  # type: ignore[index, arg-type]
        return Range(np.full(channels, node.attributes["low"].as_int()), np.full(channels, node.attributes["high"].as_int()))
    if node.op_type == "MultiThreshold":
        thresholds, low = node.inputs[1].const_value.numpy(), node.attributes["low"].as_int()  # type: ignore[union-attr]
        return Range(np.full(thresholds.shape[1], low), np.full(thresholds.shape[1], low + len(thresholds)))
    if node.op_type == "Concat":
        parts = [ranges.get(x) for x in node.inputs]  # type: ignore[arg-type]
        known = [p for p in parts if p is not None]
        if len(known) < len(parts):
            return None
        step = 2 if all(p.bipolar for p in known) else 1
        return Range(np.concatenate([p.low for p in known]), np.concatenate([p.high for p in known]), step)
    x = ranges.get(node.inputs[0])  # type: ignore[arg-type]
    if x is None:
        return None
    if node.op_type == "SubtractZero":
        zero = node.inputs[1].const_value.numpy().astype(np.int64)  # type: ignore[union-attr]
        return Range(x.low - zero, x.high - zero)
    if node.op_type in ("MaxPool", "BipolarMaxPool", "Unsqueeze", "Squeeze"):
        return x
    if node.op_type == "Rearrange":
        sources = node.inputs[1].const_value.numpy() % len(x.low)  # type: ignore[union-attr]
        step = x.step if len(sources) == 1 or x.bipolar else 1
        return Range(x.low[sources].min(0), x.high[sources].max(0), step)
    if node.op_type == "Pad":
        fill = node.attributes["value"].as_int()
        step = x.step if bool(np.all((x.low - fill) % 2 == 0)) else 1
        return Range(np.minimum(x.low, fill), np.maximum(x.high, fill), step)
    if node.op_type == "Flatten":
        area = int(np.prod([int(d) for d in list(node.inputs[0].shape)[2:]]))  # type: ignore[union-attr, arg-type]
        return Range(np.repeat(x.low, area), np.repeat(x.high, area), x.step)
    if node.op_type == "SumPool":
        area = int(np.prod([int(d) for d in list(node.inputs[0].shape)[2:]]))  # type: ignore[union-attr, arg-type]
        return Range(x.low * area, x.high * area)
    if node.op_type in ("Conv", "ConvTranspose", "Gemm", "Dense"):
        return _reduction(node, x)
    return None


def _reduction(node: ir.Node, x: Range) -> Range:
    """Range of a convolution or dense layer: each weight times the end of its input's range that is larger (or smaller)."""
    weights = weights_of(node)
    out, channels = weights.shape[:2]
    groups = node.attributes["group"].as_int() if "group" in node.attributes else 1
    # Of a transposed convolution every output pixel has taps of its own.
    partial = node.op_type == "ConvTranspose" or ("pads" in node.attributes and any(node.attributes["pads"].as_ints()))
    taps = weights.reshape(groups, out // groups, channels, -1)
    plus = np.maximum(taps, 0).sum(axis=3, dtype=np.float64).astype(np.int64)
    minus = np.minimum(taps, 0).sum(axis=3, dtype=np.float64).astype(np.int64)
    low, high = x.low.reshape(groups, channels, 1), x.high.reshape(groups, channels, 1)
    if partial:
        # A padded tap adds nothing, whatever its weight.
        low, high = np.minimum(low, 0), np.maximum(high, 0)
    minimum = (plus @ low + minus @ high).reshape(-1)
    maximum = (plus @ high + minus @ low).reshape(-1)
    # Sums of products of odd numbers: all of one parity unless padding drops an odd number of them.
    odd = x.bipolar and bool(np.all(weights.astype(np.int32) & 1))
    if odd and partial:
        return Range(minimum, maximum, 2 if channels % 2 == 0 else 1)
    return Range(minimum, maximum, 2 if odd else 1)
