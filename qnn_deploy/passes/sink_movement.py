"""Elementwise operators move in front of a Rearrange: they then work on fewer elements, and what is moved is bits, not sums."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from qnn_deploy.ir.edit import DOMAIN, add_initializer, constant, insert_after, is_op, supersede
from qnn_deploy.ir.levels import Level
from qnn_deploy.passes._base import LevelPass

_ELEMENTWISE = {
    *((DOMAIN, name) for name in ("Scale", "Bias", "PRelu", "Sign", "Quantize")),
    *(("", name) for name in ("BatchNormalization", "Relu", "Clip", "Sign")),
}


class SinkMovement(LevelPass):
    """op(Rearrange(x)) -> Rearrange(op'(x)), where the Rearrange drops no element of x and op is its only reader.

    The constants of op' are those that op has for the channels that an element goes to, if they are all the same.
    """

    reads = Level.L1
    writes = Level.L1

    def rewrite(self, model: ir.Model) -> bool:
        changed = False
        for node in list(model.graph):
            while is_op(node, "Rearrange", domain=DOMAIN) and (moved := _sink(model.graph, node)) is not None:
                node, changed = moved, True
        return changed


def _sink(graph: ir.Graph, node: ir.Node) -> ir.Node | None:
    """The Rearrange behind the operator that read it; None where it stays."""
    x, index, result = node.inputs[0], constant(node.inputs[1]), node.outputs[0]
    uses = list(result.uses())
    if x is None or index is None or x.shape is None or result.shape is None or len(uses) != 1 or result.is_graph_output():
        return None
    reader = uses[0].node
    before, after = (int(np.prod([int(side) for side in list(each)[1:]])) for each in (x.shape, result.shape))  # type: ignore[arg-type]
    if (reader.domain, reader.op_type) not in _ELEMENTWISE or before > after or not _keeps(x, node):
        return None
    channels, targets = int(x.shape[1]), index.shape[1]  # type: ignore[arg-type]
    inputs = [x]
    for value in reader.inputs[1:]:
        array = constant(value)
        assert array is not None and value is not None
        if array.size == targets > 1 or (array.size == targets and reader.op_type == "BatchNormalization"):
            vector = _of_sources(array.reshape(-1), index % channels, channels)
            if vector is None:
                return None
            value = add_initializer(graph, f"{value.name}_moved", vector)
        inputs.append(value)
    attributes = {name: each.value for name, each in reader.attributes.items()}
    new = insert_after(node, reader.op_type, inputs, attributes, domain=reader.domain, shape=x.shape.dims, name=reader.name)
    again = {name: each.value for name, each in node.attributes.items()}
    moved = insert_after(new, "Rearrange", [new.outputs[0], node.inputs[1]], again, domain=DOMAIN, shape=result.shape.dims, name=node.name)
    supersede(reader, moved)
    graph.remove(node, safe=True)
    return moved


def _keeps(x: ir.Value, node: ir.Node) -> bool:
    """True where every element of x is somewhere in the output: nothing is computed that was dropped before."""
    index = constant(node.inputs[1])
    assert index is not None
    taps = int(np.prod(node.attributes["strides"].as_ints()))
    return len(np.unique(index)) == taps * int(x.shape[1])  # type: ignore[index, arg-type]


def _of_sources(vector: NDArray[np.float32], sources: NDArray[np.int32], channels: int) -> NDArray[np.float32] | None:
    """[channels] numbers of which ``vector`` [targets] is made, target o reading channels sources[:, o]; None where they contradict."""
    result = np.zeros(channels, np.float32)
    spread = np.broadcast_to(vector, sources.shape)
    result[sources] = spread
    return result if result[sources].tobytes() == np.ascontiguousarray(spread).tobytes() else None
