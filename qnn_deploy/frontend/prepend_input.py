"""The integer input of ``--input``, written in front of a graph that starts from floats: what `nn.pixels.PixelInput` does in torch."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from qnn_deploy.frontend.input_spec import InputSpec
from qnn_deploy.ir.edit import FLOAT, LAYER, add_initializer, replace_value


def prepend_input(model: ir.Model, spec: InputSpec) -> None:
    """Replace the float input of an L0 graph by ``(float(x) - zero) [* scale]`` of an integer input, in place."""
    graph = model.graph
    old = graph.inputs[0]
    shape = (1, -1, *[1] * (len(spec.shape) - 1))
    pixels = ir.Value(name=None, shape=old.shape, type=ir.TensorType(ir.DataType.from_numpy(np.dtype(spec.dtype))))
    nodes = [ir.node("Cast", [pixels], {"to": FLOAT})]
    zero = np.array(spec.zero, np.float32).reshape(shape)
    nodes.append(ir.node("Sub", [nodes[-1].outputs[0], add_initializer(graph, "input_zero", zero)]))
    if spec.scale is not None:
        scale = np.array(spec.scale, np.float32).reshape(shape)
        nodes.append(ir.node("Mul", [nodes[-1].outputs[0], add_initializer(graph, "input_scale", scale)]))
    for index, node in enumerate(nodes):
        node.metadata_props[LAYER] = "input"
        node.outputs[0].name = f"input_{index}"
        node.outputs[0].shape, node.outputs[0].type = old.shape, ir.TensorType(ir.DataType.FLOAT)
    replace_value(old, nodes[-1].outputs[0])
    graph.inputs[0] = pixels
    pixels.name = old.name
    for node in reversed(nodes):
        graph.insert_before(graph[0], [node]) if len(graph) else graph.append(node)
