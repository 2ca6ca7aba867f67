"""torch.sign has three values. Where its argument provably never is zero it is our sign, one bit; elsewhere a ternary activation."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from qnn_deploy.ir.edit import DOMAIN, add_initializer, replace_node
from qnn_deploy.ir.levels import Level
from qnn_deploy.passes._base import LevelPass
from qnn_deploy.passes.ranges import Ranges, analyse
from qnn_deploy.passes.scan import evaluate

ELEMENTWISE = ("BatchNormalization", "BatchNorm", "Scale", "Bias", "Relu", "PRelu", "Clip", "MaxPool", "Cast")
SMALLEST = 2.0**-149


def chain_to(value: ir.Value) -> tuple[ir.Value, list[ir.Node]]:
    """The elementwise nodes (and max-pools) that lead to ``value``, first to last, and the value before them; each has one reader."""
    chain: list[ir.Node] = []
    node = value.producer()
    while (
        node is not None
        and node.op_type in ELEMENTWISE
        and len(list(node.outputs[0].uses())) == 1
        and not node.outputs[0].is_graph_output()
    ):
        chain.insert(0, node)
        value = node.inputs[0]  # type: ignore[assignment]
        node = value.producer()
    return value, chain


class ProveSigns(LevelPass):
    """ONNX Sign -> our Sign where its argument is nonzero at every attainable accumulator; elsewhere -> Quantize to -1, 0, +1.

    The quantiser's scale is the smallest positive float: x / scale is 0 where x is 0 and at least 1 in size elsewhere, so that
    ``clamp(round(x / scale), -1, 1)`` is torch.sign(x) for every x but NaN.
    """

    reads = Level.L1
    writes = Level.L1

    def rewrite(self, model: ir.Model) -> bool:
        signs = [node for node in model.graph if node.domain == "" and node.op_type == "Sign"]
        ranges = analyse(model.graph) if signs else {}
        to = {"to": int(ir.DataType.FLOAT)}
        for node in signs:
            if _nonzero(node, ranges):
                replace_node(node, "Sign", [node.inputs[0]], to, domain=DOMAIN, dtype=ir.DataType.FLOAT)
            else:
                step = add_initializer(model.graph, f"{node.name}.step", np.array([SMALLEST], np.float32))
                replace_node(node, "Quantize", [node.inputs[0], step], {"low": -1, "high": 1, **to}, domain=DOMAIN, dtype=ir.DataType.FLOAT)
            # Later signs may stand on this one.
            ranges = analyse(model.graph, ranges)
        return bool(signs)


def _nonzero(node: ir.Node, ranges: Ranges) -> bool:
    value, chain = chain_to(node.inputs[0])  # type: ignore[arg-type]
    span = ranges.get(value)
    if span is None:
        return False  # a real-valued stream may be 0
    rank = len(value.shape)  # type: ignore[arg-type]
    for begin in range(int(span.low.min()), int(span.high.max()) + 1, 4096):
        grid = np.arange(begin, min(begin + 4096, int(span.high.max()) + 1))
        x = np.broadcast_to(grid[:, None], (len(grid), len(span.low)))
        zero = evaluate(chain, x.astype(np.float32), rank) == 0
        zero &= (x >= span.low) & (x <= span.high) & ((x - span.low) % span.step == 0)
        if zero.any():
            return False
    return True
