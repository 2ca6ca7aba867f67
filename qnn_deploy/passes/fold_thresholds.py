"""Sign behind an accumulator becomes one integer threshold per channel, found by scanning (see `scan`).

    conv -> [max-pool] -> elementwise ... -> [max-pool] -> sign     =>     conv' -> threshold -> [bipolar max-pool]

A channel whose function falls has its weights negated, so that every threshold reads ``acc >= t``. A max-pool moves behind the
threshold: max commutes with a rising function and becomes min under a falling one.

A PRelu with a negative slope turns back at 0. Where the whole function then switches twice, or a max-pool stands before it,
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
from qnn_deploy.passes.scan import ThresholdProof, scan

_REDUCTIONS = ("Conv", "Dense")


class FoldThresholds(LevelPass):
    """Fold every Sign that only an accumulator decides (QD0309 where such a function switches back without a PRelu that explains it).

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
        for sign in [node for node in model.graph if node.op_type == "Sign"]:
            value, chain = chain_to(sign.inputs[0])  # type: ignore[arg-type]
            reduction = value.producer()
            if (
                reduction is not None
                and reduction.op_type in _REDUCTIONS
                and len(list(value.uses())) == 1
                and chain
                and not value.is_graph_output()
            ):
                self._fold(model.graph, reduction, chain, sign, analyse(model.graph))
        return bool(self.proofs)

    def _fold(self, graph: ir.Graph, reduction: ir.Node, chain: list[ir.Node], sign: ir.Node, ranges: Ranges) -> None:
        pools = [index for index, node in enumerate(chain) if node.op_type == "MaxPool"]
        if pools and _turns(chain[pools[0] :]):
            return
        span = ranges[reduction.outputs[0]]
        rank = len(reduction.outputs[0].shape)  # type: ignore[arg-type]
        result = scan(chain, span.low, span.high, rank)
        if result.broken is not None:
            if _turns(chain):
                return
            channel, accumulator = result.broken
            message = f"the activation of channel {channel} switches back at accumulator {accumulator}"
            self.fail(UserError("QD0309", message, where=location(reduction)))
            return
        channels = len(span.low)
        weights = reduction.inputs[1]
        assert weights is not None and weights.const_value is not None
        integers = weights.const_value.numpy().astype(np.int16)
        falling = result.direction < 0
        integers[falling] = -integers[falling]
        if integers.max() > 127:
            self.fail(
                UserError(
                    "QD0305", "a weight of -128 in a channel with negative BatchNorm scale cannot be negated", where=location(reduction)
                )
            )
            return
        reduction.replace_input_with(1, add_initializer(graph, f"{weights.name}.rising", integers.astype(np.int8)))
        thresholds = add_initializer(graph, f"{reduction.name}.thresholds", result.threshold.astype(np.int32))
        acc = reduction.outputs[0]
        name = f"{reduction.name}.threshold"
        node = insert_after(reduction, "Threshold", [acc, thresholds], {}, domain=DOMAIN, dtype=ir.DataType.INT8, name=name)
        value = node.outputs[0]
        for index, pool in enumerate(chain):
            if pool.op_type == "MaxPool":
                falls = _direction(chain[index + 1 :], channels) < 0
                minimum = add_initializer(graph, f"{pool.name}.minimum", falls.astype(np.uint8))
                attributes = {name: pool.attributes[name].as_ints() for name in ("kernel_shape", "strides")}
                after, pooled = value.producer(), pool.outputs[0].shape
                assert after is not None and pooled is not None
                value = insert_after(
                    after,
                    "BipolarMaxPool",
                    [value, minimum],
                    attributes,
                    domain=DOMAIN,
                    shape=pooled.dims,
                    dtype=ir.DataType.INT8,
                    name=f"{pool.name}.bits",
                ).outputs[0]
        output_name = sign.outputs[0].name
        ir.convenience.replace_all_uses_with(sign.outputs[0], value, replace_graph_outputs=True)
        for dead in [sign, *reversed(chain)]:
            graph.remove(dead, safe=True)
        value.name = output_name
        constants = int(np.isin(result.threshold, (2**31 - 1, -(2**31))).sum())
        self.proofs.append(ThresholdProof(reduction.name or "", channels, result.checked, result.violations, int(falling.sum()), constants))


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
