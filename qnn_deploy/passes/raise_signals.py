"""Signals [N, C, L] become maps [N, C, L, 1]: from here on there are maps and vectors only."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from qnn_deploy.ir.edit import DOMAIN, add_initializer, attribute, constant, insert_after, is_op, replace_node, replace_value, shape_of
from qnn_deploy.passes._importing import ImportPass

_WINDOWED = ("Conv", "ConvTranspose", "MaxPool", "AveragePool")
_RESHAPES = ("Reshape", "Squeeze", "Unsqueeze", "Flatten")
_REDUCES = ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin")
_MAP_REDUCTIONS = (*_REDUCES, "GlobalAveragePool")
# What an attribute of a window says of the new axis.
_PLAIN = {"kernel_shape": 1, "strides": 1, "dilations": 1, "output_padding": 0}


class RaiseSignals(ImportPass):
    """Give every tensor of 3 axes a fourth one of size 1: windows of 1-D layers get a side of 1, constants and axes follow.

    A graph input of 3 axes keeps them, behind it stands an Unsqueeze; an output gets a Squeeze in front.
    """

    def rewrite(self, model: ir.Model) -> bool:
        graph = model.graph
        values = [*graph.inputs, *(value for node in graph for value in node.outputs)]
        signals = {value for value in values if len(shape_of(value) or ()) == 3}
        if not signals:
            return False
        nodes = list(graph)
        for value in signals - set(graph.inputs):
            value.shape = ir.Shape((*(shape_of(value) or ()), 1))
        for node in nodes:
            if any(each in signals for each in (*node.inputs, *node.outputs)):
                _raise(graph, node, signals)
        for value in graph.inputs:
            if value in signals:
                self._input(graph, value)
        for index, value in enumerate(graph.outputs):
            if value in signals:
                self._output(graph, index, value)
        return True

    def _input(self, graph: ir.Graph, value: ir.Value) -> None:
        shape = (*(shape_of(value) or ()), 1)
        users = list(value.uses())
        node = ir.node("Unsqueeze", [value, _axes(graph, value)])
        node.outputs[0].name, node.outputs[0].shape, node.outputs[0].type = f"{value.name}_map", ir.Shape(shape), value.type
        for use in users:
            use.node.replace_input_with(use.idx, node.outputs[0])
        graph.insert_before(graph[0], [node])

    def _output(self, graph: ir.Graph, index: int, value: ir.Value) -> None:
        producer = value.producer()
        assert producer is not None
        name = value.name
        node = insert_after(producer, "Squeeze", [value, _axes(graph, value)], {}, shape=(shape_of(value) or ())[:3])
        graph.outputs[index] = node.outputs[0]
        value.name = f"{name}_map"
        node.outputs[0].name = name


def _axes(graph: ir.Graph, value: ir.Value) -> ir.Value:
    return add_initializer(graph, f"{value.name}_column", np.array([3], np.int64))


def _raise(graph: ir.Graph, node: ir.Node, signals: set[ir.Value]) -> None:
    """One operator that reads or gives a signal, shapes being raised already."""
    if is_op(node, "Rearrange", domain=DOMAIN):
        return
    if is_op(node, *_RESHAPES):
        _reshape(graph, node)
    elif is_op(node, *_WINDOWED):
        attributes: dict[str, Any] = {name: each.value for name, each in node.attributes.items()}
        attributes |= {name: (*attributes[name], plain) for name, plain in _PLAIN.items() if name in attributes}
        if "pads" in attributes:
            before, behind = attributes["pads"]
            attributes["pads"] = (before, 0, behind, 0)
        inputs = [_raised(graph, each) if index == 1 else each for index, each in enumerate(node.inputs)]
        replace_node(node, node.op_type, inputs, attributes)
    elif is_op(node, *_REDUCES):
        axes = constant(node.inputs[1]) if len(node.inputs) > 1 else attribute(node, "axes")
        if axes is not None and [int(axis) % 3 for axis in np.ravel(axes)] == [2]:
            both = add_initializer(graph, f"{node.outputs[0].name}_axes", np.array([2, 3], np.int64))
            shape = shape_of(node.outputs[0])
            assert shape is not None
            new = replace_node(node, node.op_type, [node.inputs[0], both], {"keepdims": attribute(node, "keepdims", 1)})
            new.outputs[0].shape = ir.Shape(shape)
    elif is_op(node, "Pad"):
        amounts = constant(node.inputs[1])
        if amounts is not None and amounts.size == 6:
            node.replace_input_with(1, add_initializer(graph, f"{node.outputs[0].name}_pads", np.insert(amounts, [3, 6], 0)))
    else:
        for index, each in enumerate(node.inputs):
            array = constant(each)
            if each is not None and array is not None and array.size > 1 and node.op_type != "BatchNormalization":
                node.replace_input_with(index, _raised(graph, each))


def _raised(graph: ir.Graph, value: ir.Value | None) -> ir.Value | None:
    """A constant with one more axis at the end; anything else as it is."""
    array = constant(value)
    return value if array is None or value is None else add_initializer(graph, f"{value.name}_map", array[..., None])


def _reshape(graph: ir.Graph, node: ir.Node) -> None:
    x, y = node.inputs[0], node.outputs[0]
    before, after = shape_of(x), shape_of(y)
    if x is None or before is None or after is None:
        return
    # Whatever is summed or averaged over the whole map does not ask which side is the long one.
    turned = len(before) == len(after) == 4 and before[:2] == after[:2] and before[2:] == after[:1:-1]
    if before == after or (turned and all(is_op(user, *_MAP_REDUCTIONS) for user, _ in y.uses()) and not y.is_graph_output()):
        replace_value(y, x)
    else:
        target = add_initializer(graph, f"{y.name}_shape", np.array(after, np.int64))
        replace_node(node, "Reshape", [x, target], {})
