"""Arithmetic with constants becomes Scale and Bias, arithmetic of two maps becomes Add: one binary32 operation for one, the same bits."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from qnn_deploy.ir.edit import (
    DOMAIN,
    add_initializer,
    attribute,
    constant,
    insert_after,
    is_op,
    is_refused,
    refuse,
    replace_node,
    shape_of,
    supersede,
)
from qnn_deploy.passes._importing import ImportPass, channel_vector, power_of_two

_MINUS_ONE = np.array([-1], np.float32)


class NormaliseElementwise(ImportPass):
    """1. x * c -> Scale(c); x / c -> Scale(1 / c) where c is a power of two, refused elsewhere (QD0301); -x -> Scale(-1).

    2. x + c -> Bias(c); x - c -> Bias(-c); c - x -> Scale(-1), Bias(c).
    3. x - y -> Add(x, Scale(y, -1)): changing a sign is exact.
    4. Concat's axis is counted from the front; other axes than that of the channels, and shapes that differ elsewhere, are refused.
    """

    def rewrite(self, model: ir.Model) -> bool:
        for node in list(model.graph):
            if len(node.outputs) != 1 or is_refused(node):
                continue
            if is_op(node, "Concat") and node.outputs[0].dtype == ir.DataType.FLOAT:
                self._concat(node)
            elif is_op(node, "Neg"):
                self._scale(model.graph, node, node.inputs[0], _MINUS_ONE)
            elif is_op(node, "Mul", "Div", "Add", "Sub") and node.outputs[0].dtype == ir.DataType.FLOAT:
                self._arithmetic(model.graph, node)
        return True

    def _concat(self, node: ir.Node) -> None:
        values, axis = [value for value in node.inputs if value is not None], attribute(node, "axis")
        shapes = [shape_of(value) for value in values]
        if any(shape is None for shape in shapes) or all(constant(value) is not None for value in values):
            return
        axis += len(shapes[0] or ()) if axis < 0 else 0
        if axis != 1:
            help = "concatenate channels, torch.cat(tensors, dim=1)"
            self.fail(refuse(node, "QD0301", f"Concat along axis {axis}, which is not that of the channels", help))
        elif len({shape[:1] + shape[2:] for shape in shapes if shape is not None}) > 1:
            unlike = ", ".join(str(list(shape or ())) for shape in shapes)
            self.fail(refuse(node, "QD0301", f"Concat of tensors of unlike shapes, {unlike}"))
        elif attribute(node, "axis") < 0:
            replace_node(node, "Concat", values, {"axis": axis})

    def _arithmetic(self, graph: ir.Graph, node: ir.Node) -> None:
        x, y = node.inputs
        assert x is not None and y is not None
        left, right = constant(x), constant(y)
        if left is not None and right is not None:
            return  # what is not folded has been refused
        if left is None and right is None:
            self._two_maps(graph, node, x, y)
            return
        array, tensor = (left, y) if left is not None else (right, x)
        shape = shape_of(tensor)
        assert array is not None
        if shape is None or shape != shape_of(node.outputs[0]) or len(shape) < 2:
            if shape is not None:
                self.fail(refuse(node, "QD0301", f"{node.op_type} with a constant changes the shape"))
            return
        vector = channel_vector(array, shape)
        if vector is None:
            self.fail(refuse(node, "QD0301", f"{node.op_type} with a constant that differs along another axis than the channels"))
            return
        if not bool(np.isfinite(vector).all()):
            self.fail(refuse(node, "QD0301", f"{node.op_type} with a constant that holds NaN or Inf"))
        elif node.op_type == "Mul":
            self._scale(graph, node, tensor, vector)
        elif node.op_type == "Div":
            self._divide(graph, node, tensor, vector, swapped=left is not None)
        elif left is not None and node.op_type == "Sub":
            negated = insert_after(
                node, "Scale", [tensor, add_initializer(graph, f"{node.outputs[0].name}_sign", _MINUS_ONE)], {}, domain=DOMAIN
            )
            bias = add_initializer(graph, f"{node.outputs[0].name}_bias", vector)
            supersede(node, insert_after(negated, "Bias", [negated.outputs[0], bias], {}, domain=DOMAIN))
        else:
            bias = add_initializer(graph, f"{node.outputs[0].name}_bias", -vector if node.op_type == "Sub" else vector)
            replace_node(node, "Bias", [tensor, bias], {}, domain=DOMAIN)

    def _scale(
        self, graph: ir.Graph, node: ir.Node, tensor: ir.Value | None, vector: np.ndarray[tuple[int, ...], np.dtype[np.float32]]
    ) -> None:
        assert tensor is not None
        replace_node(node, "Scale", [tensor, add_initializer(graph, f"{node.outputs[0].name}_scale", vector)], {}, domain=DOMAIN)

    def _divide(
        self, graph: ir.Graph, node: ir.Node, tensor: ir.Value, vector: np.ndarray[tuple[int, ...], np.dtype[np.float32]], *, swapped: bool
    ) -> None:
        if swapped or not all(power_of_two(float(each)) for each in vector):
            what = "a constant divided by a tensor" if swapped else f"a division by {float(vector[0]):g}, which is not a power of two"
            help = "multiply by the reciprocal in the model as well, or leave the step to the BatchNorm behind it"
            if _reads_pixels(tensor):
                help = "pixels stay integers: describe the input with --input ...:uint8:zero=Z and leave their scale to the first BatchNorm"
            self.fail(refuse(node, "QD0301", what, help))
            return
        self._scale(graph, node, tensor, np.float32(1) / vector)

    def _two_maps(self, graph: ir.Graph, node: ir.Node, x: ir.Value, y: ir.Value) -> None:
        if node.op_type not in ("Add", "Sub") or shape_of(x) is None or shape_of(y) is None:
            return  # RefuseRest reports it
        if shape_of(x) != shape_of(y):
            self.fail(
                refuse(node, "QD0301", f"{node.op_type} of tensors of two shapes, {list(shape_of(x) or ())} and {list(shape_of(y) or ())}")
            )
        elif node.op_type == "Sub":
            minus = add_initializer(graph, f"{node.outputs[0].name}_sign", _MINUS_ONE)
            negated = insert_after(node, "Scale", [y, minus], {}, domain=DOMAIN)
            supersede(node, insert_after(negated, "Add", [x, negated.outputs[0]], {}))


def _reads_pixels(tensor: ir.Value) -> bool:
    producer = tensor.producer()
    return is_op(producer, "Cast") and producer is not None and producer.inputs[0] is not None and producer.inputs[0].is_graph_input()
