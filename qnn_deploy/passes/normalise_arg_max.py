"""An argmax over the classes at the very end keeps their axis, of one element."""

from __future__ import annotations

import onnx_ir as ir

from qnn_deploy.ir.edit import DOMAIN, FLOAT, attribute, bypass, is_op, refuse, replace_node, shape_of
from qnn_deploy.passes._importing import ImportPass

_INTEGERS = (int(ir.DataType.INT32), int(ir.DataType.INT64))


class NormaliseArgMax(ImportPass):
    """ArgMax of the classes, [N, C, ...] -> [N, ...], as the graph's output -> ArgMax of ours, [N, 1, ...]; others are refused."""

    def rewrite(self, model: ir.Model) -> bool:
        graph = model.graph
        last = graph.outputs[0].producer()
        if last is not None and is_op(last, "Cast") and attribute(last, "to") in _INTEGERS:
            source = last.inputs[0]
            if source is not None and is_op(source.producer(), "ArgMax"):
                bypass(last)
        for node in list(graph):
            if not is_op(node, "ArgMax"):
                continue
            x, shape = node.inputs[0], shape_of(node.inputs[0])
            over_classes = shape is not None and len(shape) in (2, 3, 4) and attribute(node, "axis", 0) in (1, 1 - len(shape))
            last_index, kept = attribute(node, "select_last_index", 0), attribute(node, "keepdims", 1)
            if not over_classes or last_index or kept or not node.outputs[0].is_graph_output() or node.outputs[0].uses():
                self.fail(refuse(node, "QD0301", "only an argmax over the classes at the very end can be deployed", _HELP))
                continue
            assert shape is not None
            replace_node(node, "ArgMax", [x], {"to": FLOAT}, domain=DOMAIN, shape=(shape[0], 1, *shape[2:]), dtype=ir.DataType.FLOAT)
        return True


_HELP = "return x.argmax(dim=1), or the logits"
