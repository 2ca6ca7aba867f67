"""A softmax at the very end, left out on request: its largest probability is the largest logit."""

from __future__ import annotations

import onnx_ir as ir

from qnn_deploy.ir.edit import attribute, bypass, is_op, shape_of
from qnn_deploy.passes.departures import depart


def drop_softmax(model: ir.Model) -> None:
    """Let an L0 model that ends in a softmax or log-softmax over its classes return the logits; notes the departure. Others stay."""
    graph = model.graph
    node = graph.outputs[0].producer() if len(graph.outputs) == 1 else None
    if node is None or not is_op(node, "Softmax", "LogSoftmax"):
        return
    if len(shape_of(node.outputs[0]) or ()) != 2 or attribute(node, "axis", -1) not in (1, -1):
        return
    what = f"the {node.op_type} at the end is left out on request (--logits): the artefacts return what torch computes it from"
    depart(graph, node, what, "let forward() return the logits")
    bypass(node)
