"""A pooled map [N, C, 1, 1] is a vector [N, C]: the extra axes are carried past elementwise operators until a Flatten drops them."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from qnn_deploy.ir.edit import DOMAIN, STRAIGHT, add_initializer, attribute, constant, insert_after, is_op, replace_value, shape_of
from qnn_deploy.passes._importing import ImportPass

_ELEMENTWISE = {
    *((DOMAIN, name) for name in ("Scale", "Bias", "PRelu", "Sign", "Quantize")),
    *(("", name) for name in ("BatchNormalization", "Relu", "Clip", "Sign", "Add", "Concat")),
}


class SinkUnsqueeze(ImportPass):
    """With u = [N, C] -> [N, C, 1, 1]: op(u(x)) -> u(op(x)); Flatten(u(x)) -> x; a 1x1 convolution of u(x) -> u(Gemm(x))."""

    def rewrite(self, model: ir.Model) -> bool:
        changed = False
        for node in list(model.graph):
            if node.graph is not None and any(value is not None and _unsqueezed(value) is not None for value in node.inputs):
                changed |= _sink(model.graph, node)
        return changed


def _unsqueezed(value: ir.Value | None) -> ir.Value | None:
    """x, where ``value`` is x [N, C] with two axes of size 1 behind; None elsewhere."""
    node = value.producer() if value is not None else None
    if node is None or not is_op(node, "Unsqueeze", "Reshape"):
        return None
    before, after = shape_of(node.inputs[0]), shape_of(node.outputs[0])
    return node.inputs[0] if before is not None and len(before) == 2 and after == (*before, 1, 1) else None


def _sink(graph: ir.Graph, node: ir.Node) -> bool:
    computed = [value for value in node.inputs if value is not None and constant(value) is None]
    sources = [_unsqueezed(value) for value in computed]
    inputs = [value for value in sources if value is not None]
    if len(inputs) != len(computed):
        return False
    if is_op(node, "Flatten"):
        replace_value(node.outputs[0], inputs[0])
        graph.remove(node, safe=True)
        return True
    shape = shape_of(node.outputs[0])
    if shape is None:
        return False
    if is_op(node, "Conv"):
        weights = constant(node.inputs[1])
        if weights is None or weights.shape[2:] != (1, 1) or attribute(node, "group", 1) != 1 or any(attribute(node, "pads", ())):
            return False
        value = add_initializer(graph, f"{node.outputs[0].name}_weight", np.ascontiguousarray(weights[:, :, 0, 0]))
        new = insert_after(node, "Gemm", [inputs[0], value], {"transB": 1}, shape=shape[:2])
    elif (node.domain, node.op_type) in _ELEMENTWISE:
        constants = [value for value in node.inputs if value is not None and constant(value) is not None]
        attributes = {name: each.value for name, each in node.attributes.items()}
        new = insert_after(node, node.op_type, [*inputs, *constants], attributes, domain=node.domain, shape=shape[:2])
        if STRAIGHT in node.metadata_props:
            new.metadata_props[STRAIGHT] = node.metadata_props[STRAIGHT]
    else:
        return False
    axes = add_initializer(graph, f"{node.outputs[0].name}_axes", np.array([2, 3], np.int64))
    last = insert_after(new, "Unsqueeze", [new.outputs[0], axes], {}, shape=shape)
    replace_value(node.outputs[0], last.outputs[0])
    graph.remove(node, safe=True)
    return True
