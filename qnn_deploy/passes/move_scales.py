"""A scale in front of a reduction goes behind it: fake-quantised activations, ``round(clamp(x / s)) * s``, leave integers to be summed."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from qnn_deploy.ir.edit import DOMAIN, add_initializer, constant, insert_after, is_op, remove_unused, replace_value
from qnn_deploy.ir.levels import Level
from qnn_deploy.passes._base import LevelPass
from qnn_deploy.passes._importing import power_of_two
from qnn_deploy.passes.departures import depart
from qnn_deploy.passes.ranges import Ranges, analyse

_REDUCTIONS = ("Conv", "ConvTranspose", "Gemm", "SumPool")
# What commutes with a positive factor, rounding included: each gives one of its inputs, or 0.
_BETWEEN = ("MaxPool", "Relu", "Flatten")


class MoveScales(LevelPass):
    """Reduction(Scale(q, s)) -> Scale(Reduction(q), s) for integers q and one number s, also with pools and ReLU between.

    Exact where s is a power of two; elsewhere torch sums rounded products, and a departure is noted.
    """

    reads = Level.L1
    writes = Level.L1

    def rewrite(self, model: ir.Model) -> bool:
        graph, changed = model.graph, False
        ranges: Ranges = {}
        for node in [node for node in graph if node.op_type in _REDUCTIONS]:
            while (scale := _scale_before(node, ranges)) is not None:
                self._move(graph, node, scale)
                changed = True
        if changed:
            remove_unused(graph)
        return changed

    def _move(self, graph: ir.Graph, node: ir.Node, scale: ir.Node) -> None:
        factor = constant(scale.inputs[1])
        assert factor is not None
        number = float(factor.reshape(-1)[0])
        if not power_of_two(number):
            what = f"its input is {number:g} times integers: torch sums the rounded products, the artefacts sum the integers"
            depart(graph, node, what, "let the layer in front return the integers, and multiply by the scale behind this layer")
        x = node.inputs[0]
        assert x is not None
        node.replace_input_with(0, _copy_without(graph, x, scale))
        result = node.outputs[0]
        users = list(result.uses())
        moved = insert_after(node, "Scale", [result, add_initializer(graph, f"{node.name}.input_scale", factor)], {}, domain=DOMAIN)
        moved.name = moved.outputs[0].name
        if result.is_graph_output():
            replace_value(result, moved.outputs[0])
            moved.replace_input_with(0, result)
            result.name, moved.outputs[0].name = moved.outputs[0].name, result.name
        for use in users:
            use.node.replace_input_with(use.idx, moved.outputs[0])


def _scale_before(reduction: ir.Node, ranges: Ranges) -> ir.Node | None:
    """The Scale by one positive number of integers that ``reduction`` reads, through what commutes with it."""
    node = reduction.inputs[0].producer() if reduction.inputs[0] is not None else None
    while node is not None and (is_op(node, *_BETWEEN) or is_op(node, "Rearrange", domain=DOMAIN)):
        node = node.inputs[0].producer() if node.inputs[0] is not None else None
    if node is None or not is_op(node, "Scale", domain=DOMAIN):
        return None
    factor = constant(node.inputs[1])
    if factor is None or not bool(np.all(factor == factor.flat[0])) or factor.flat[0] <= 0:
        return None
    # Last, since it walks over the whole graph.
    return node if node.inputs[0] in analyse(reduction.graph, ranges) else None  # type: ignore[arg-type]


def _copy_without(graph: ir.Graph, value: ir.Value, scale: ir.Node) -> ir.Value:
    """``value`` computed from the input of ``scale``; its steps are copied, since others may read the scaled ones."""
    if value is scale.outputs[0]:
        assert scale.inputs[0] is not None
        return scale.inputs[0]
    node = value.producer()
    assert node is not None and node.inputs[0] is not None
    inner = _copy_without(graph, node.inputs[0], scale)
    attributes = {name: each.value for name, each in node.attributes.items()}
    new = insert_after(node, node.op_type, [inner, *node.inputs[1:]], attributes, domain=node.domain, name=f"{node.name}.integers")
    return new.outputs[0]
