"""Operators that pass their input on unchanged are taken out: Identity, Dropout in eval(), reshapes and casts to what is there already."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from qnn_deploy.ir.edit import attribute, bypass, constant, shape_of
from qnn_deploy.passes._importing import ImportPass

_RESHAPES = ("Reshape", "Squeeze", "Unsqueeze", "Expand", "Flatten")


class RemoveIdentities(ImportPass):
    """Bypass every operator whose output is its first input, bit for bit."""

    def rewrite(self, model: ir.Model) -> bool:
        changed = False
        for node in list(model.graph):
            if node.domain == "" and node.inputs and _is_identity(node):
                bypass(node)
                changed = True
        return changed


def _is_identity(node: ir.Node) -> bool:
    x, y = node.inputs[0], node.outputs[0]
    if x is None:
        return False
    kind = node.op_type
    if kind == "Identity":
        return True
    if kind == "Dropout":
        training = constant(node.inputs[2]) if len(node.inputs) > 2 else np.array(False)
        return training is not None and not training.any() and not any(output.uses() for output in node.outputs[1:])
    if kind == "Concat":
        return len(node.inputs) == 1
    if kind == "Cast":
        return x.dtype is not None and int(x.dtype) == attribute(node, "to")
    if kind == "Transpose":
        permutation = attribute(node, "perm")
        return permutation is not None and list(permutation) == list(range(len(permutation)))
    if kind in ("Mul", "Div"):
        factor = constant(node.inputs[1])
        return factor is not None and bool(np.all(factor == 1)) and _same_shape(x, y)
    if kind == "Expand" and shape_of(y) is None:
        target = constant(node.inputs[1])
        shape = shape_of(x)
        return target is not None and shape is not None and np.broadcast_shapes(shape, tuple(int(size) for size in target)) == shape
    return kind in _RESHAPES and _same_shape(x, y)


def _same_shape(x: ir.Value, y: ir.Value) -> bool:
    return shape_of(x) is not None and shape_of(x) == shape_of(y)
