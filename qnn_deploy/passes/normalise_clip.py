"""Clamps in one form: Clip with both limits, scalars. torch.clamp comes as Max and Min, relu6 and hardtanh as Clip."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from qnn_deploy.ir.edit import add_initializer, constant, is_op, refuse, replace_node, replace_value
from qnn_deploy.passes._importing import ImportPass


class NormaliseClip(ImportPass):
    """1. Max or Min with a scalar constant -> Clip.  2. Clip without a limit -> an infinite one.  3. Min(Max(x, low), high) -> one Clip."""

    def rewrite(self, model: ir.Model) -> bool:
        changed = False
        for node in list(model.graph):
            if is_op(node, "Max", "Min") and len(node.inputs) == 2:
                changed |= self._from_extremum(model.graph, node)
            elif is_op(node, "Clip"):
                changed |= self._complete(model.graph, node)
        return changed

    def _from_extremum(self, graph: ir.Graph, node: ir.Node) -> bool:
        x, limit = node.inputs
        if constant(limit) is None:
            x, limit = limit, x
        array = constant(limit)
        if x is None or array is None or array.size == 0 or not bool(np.all(array == array.flat[0])):
            return False
        low, high = (float(array.flat[0]), np.inf) if node.op_type == "Max" else (-np.inf, float(array.flat[0]))
        _put(graph, node, x, low, high)
        return True

    def _complete(self, graph: ir.Graph, node: ir.Node) -> bool:
        x = node.inputs[0]
        assert x is not None
        limits = [-np.inf, np.inf]
        for index, value in enumerate(node.inputs[1:3]):
            if value is None:
                continue
            array = constant(value)
            if array is None or array.size != 1:
                self.fail(refuse(node, "QD0301", "the limits of a clamp must be constant numbers"))
                return False
            limits[index] = float(array.flat[0])
        _put(graph, node, x, *limits)
        return True


def _put(graph: ir.Graph, node: ir.Node, x: ir.Value, low: float, high: float) -> None:
    """Replace ``node`` by Clip(x, low, high), merged with a Clip before it where one Clip does what the two do."""
    before = x.producer()
    if is_op(before, "Clip"):
        assert before is not None
        first = [constant(value) for value in before.inputs[1:3]]
        if len(first) == 2 and first[0] is not None and first[1] is not None:
            low_before, high_before = float(first[0]), float(first[1])
            if max(low, low_before) <= min(high, high_before):
                low, high = max(low, low_before), min(high, high_before)
                assert before.inputs[0] is not None
                x = before.inputs[0]
    limits = [add_initializer(graph, f"{node.outputs[0].name}_limit", np.array(value, np.float32)) for value in (low, high)]
    new = replace_node(node, "Clip", [x, *limits], {})
    if low == -np.inf and high == np.inf:
        replace_value(new.outputs[0], x)
