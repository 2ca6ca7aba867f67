"""Signs and quantisers of up to 4 bits behind an accumulator become integer thresholds per channel, found by scanning (see `scan`).

    conv -> [max-pool] -> elementwise ... -> [max-pool] -> sign or quantiser   =>   conv' -> thresholds -> [max-pool of levels]

A channel whose function falls has its weights negated, so that every threshold reads ``acc >= t``. A max-pool moves behind the
thresholds: max commutes with a rising function and becomes min under a falling one.

A PRelu with a negative slope turns back at 0. Where the whole function then is not monotone, or a max-pool stands before it,
the layer keeps its operators: they are exact as they are.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from qnn_deploy.errors import UserError
from qnn_deploy.ir.edit import DOMAIN, add_initializer, insert_after, location
from qnn_deploy.ir.levels import Level
from qnn_deploy.passes._base import LevelPass
from qnn_deploy.passes.prove_signs import chain_to
from qnn_deploy.passes.ranges import Ranges, analyse
from qnn_deploy.passes.scan import ALWAYS, NEVER, Scan, ThresholdProof, scan, scan_levels

_REDUCTIONS = ("Conv", "ConvTranspose", "Dense")
_MOST_LEVELS = 16  # of an activation of 4 bits; more thresholds take more time and memory than the stream


class FoldThresholds(LevelPass):
    """Fold every Sign and every small Quantize that only an accumulator decides.

    QD0309 where a sign switches back without a PRelu that explains it; a Quantize whose function is not monotone stays.

    Attributes:
        proofs: one record per folded layer, after `call`.
    """

    reads = Level.L2
    writes = Level.L2

    def __init__(self) -> None:
        super().__init__()
        self.proofs: list[ThresholdProof] = []

    def rewrite(self, model: ir.Model) -> bool:
        self.proofs = []
        ranges = analyse(model.graph)  # once: a fold changes no range that a later one asks for
        for node in [node for node in model.graph if node.op_type == "Sign" or _levels(node) is not None]:
            value, chain = chain_to(node.inputs[0])  # type: ignore[arg-type]
            reduction = value.producer()
            if reduction is not None and reduction.op_type in _REDUCTIONS and len(list(value.uses())) == 1 and not value.is_graph_output():
                self._fold(model.graph, reduction, chain, node, ranges)
        return bool(self.proofs)

    def _fold(self, graph: ir.Graph, reduction: ir.Node, chain: list[ir.Node], tail: ir.Node, ranges: Ranges) -> None:
        pools = [index for index, node in enumerate(chain) if node.op_type == "MaxPool"]
        if (pools and _turns(chain[pools[0] :])) or not all(_movable(chain[index]) for index in pools):
            return
        span = ranges[reduction.outputs[0]]
        rank = len(reduction.outputs[0].shape)  # type: ignore[arg-type]
        levels = _levels(tail)
        if levels is None:
            result = scan(chain, span.low, span.high, rank)
        else:
            result = scan_levels([*chain, tail], span.low, span.high, rank, levels)
        if result.broken is not None:
            if levels is None and not _turns(chain):
                channel, accumulator = result.broken
                message = f"the activation of channel {channel} switches back at accumulator {accumulator}"
                self.fail(UserError("QD0309", message, where=location(reduction)))
            return
        weights = reduction.inputs[1]
        assert weights is not None and weights.const_value is not None
        integers = weights.const_value.numpy().astype(np.int16)
        falling = result.direction < 0
        integers[falling] = -integers[falling]
        if integers.max() > 127:
            if levels is None:
                message = "a weight of -128 in a channel with negative BatchNorm scale cannot be negated"
                self.fail(UserError("QD0305", message, where=location(reduction)))
            return
        reduction.replace_input_with(1, add_initializer(graph, f"{weights.name}.rising", integers.astype(np.int8)))
        value = _threshold(graph, reduction, result, levels)
        for index in pools:
            value = _pool_levels(graph, value, chain[index], _direction(chain[index + 1 :], len(span.low)) < 0)
        output_name = tail.outputs[0].name
        ir.convenience.replace_all_uses_with(tail.outputs[0], value, replace_graph_outputs=True)
        for dead in [tail, *reversed(chain)]:
            graph.remove(dead, safe=True)
        value.name = output_name
        constant = np.isin(result.thresholds, (ALWAYS, NEVER)).all(0)
        self.proofs.append(
            ThresholdProof(reduction.name or "", len(span.low), result.checked, result.violations, int(falling.sum()), int(constant.sum()))
        )


def _levels(node: ir.Node) -> tuple[int, int] | None:
    """The least and the largest integer that a Quantize of few levels gives; None for any other node."""
    if node.op_type != "Quantize":
        return None
    low, high = node.attributes["low"].as_int(), node.attributes["high"].as_int()
    return (low, high) if 0 < high - low < _MOST_LEVELS and low >= -128 and high <= 127 else None


def _threshold(graph: ir.Graph, reduction: ir.Node, result: Scan, levels: tuple[int, int] | None) -> ir.Value:
    """The thresholds of ``result`` behind ``reduction``; gives their output."""
    numbers = result.threshold if levels is None else result.thresholds
    thresholds = add_initializer(graph, f"{reduction.name}.thresholds", numbers.astype(np.int32))
    kind, attributes = ("Threshold", {}) if levels is None else ("MultiThreshold", {"low": levels[0]})
    inputs, name = [reduction.outputs[0], thresholds], f"{reduction.name}.threshold"
    return insert_after(reduction, kind, inputs, attributes, domain=DOMAIN, dtype=ir.DataType.INT8, name=name).outputs[0]


def _movable(pool: ir.Node) -> bool:
    """True for a max-pool that the runtime has for levels: no gaps, no partial windows."""
    return not pool.attributes["ceil_mode"].as_int() and all(d == 1 for d in pool.attributes["dilations"].as_ints())


def _pool_levels(graph: ir.Graph, value: ir.Value, pool: ir.Node, falls: NDArray[np.bool_]) -> ir.Value:
    """``pool`` moved behind thresholds: of ``value``, the minimum where the function between ``falls``; gives its output."""
    minimum = add_initializer(graph, f"{pool.name}.minimum", falls.astype(np.uint8))
    attributes = {name: pool.attributes[name].as_ints() for name in ("kernel_shape", "strides", "pads")}
    after, pooled = value.producer(), pool.outputs[0].shape
    assert after is not None and pooled is not None
    return insert_after(
        after,
        "BipolarMaxPool",
        [value, minimum],
        attributes,
        domain=DOMAIN,
        shape=pooled.dims,
        dtype=ir.DataType.INT8,
        name=f"{pool.name}.bits",
    ).outputs[0]


def _turns(chain: list[ir.Node]) -> bool:
    """True where a PRelu of ``chain`` has a negative slope: it falls below 0 and rises above."""
    return any(bool((node.inputs[1].const_value.numpy() < 0).any()) for node in chain if node.op_type == "PRelu")  # type: ignore[union-attr]


def _direction(chain: list[ir.Node], channels: int) -> NDArray[np.int64]:
    """-1 for each channel in which the elementwise ``chain`` falls, else 1. Rounding to nearest keeps each step monotone."""
    direction = np.ones(channels, np.int64)
    for node in chain:
        if node.op_type in ("BatchNorm", "Scale"):
            factor = node.inputs[1].const_value.numpy().reshape(-1)  # type: ignore[union-attr]
            direction = direction * np.where(factor < 0, -1, 1)
    return direction
