"""Emit an exact graph as ONNX that stock runtimes run: our operators stay visible, each with a function body of standard operators."""

from __future__ import annotations

import onnx
import onnx_ir as ir
from onnx import parser

from qnn_deploy import __version__
from qnn_deploy.errors import QnnDeployError
from qnn_deploy.ir.levels import OPSET, Level, verify
from qnn_deploy.ops import ALL
from qnn_deploy.ops._base import DOMAIN, VERSION, OpDef

# The oldest that has both metadata on nodes and opset 20.
IR_VERSION = 10
INPUT, OUTPUT = "input", "logits"
_DOC = (
    "Bit-exact to the trained network. Operators of domain qnn_deploy carry their definition as a function body. "
    "Do not run a graph optimiser over this file that folds or inlines them into float operators."
)


def encode(model: ir.Model) -> bytes:
    """Serialise an exact (L2) graph as an ONNX file; the same graph gives the same bytes.

    The input is named "input" (dynamic batch), the output "logits". Of metadata only our own (source lines) is kept.
    ``model`` is not changed.

    Raises:
        QnnDeployError: QD0901, the graph is not of L2, or what was written is no valid ONNX.
    """
    verify(model, Level.L2)
    copy = model.clone()
    _rename(copy)
    _strip(copy)
    copy.ir_version = IR_VERSION
    copy.producer_name, copy.producer_version = "qnn-deploy", __version__
    copy.domain, copy.model_version = "", 0
    copy.doc_string = _DOC
    copy.graph.name, copy.graph.doc_string = "qnn_deploy", None
    used = {(node.domain, node.op_type) for node in copy.graph}
    bodies = [op for op in ALL if op.key in used and op.body is not None]
    copy.graph.opset_imports.clear()
    copy.graph.opset_imports[""] = OPSET
    if bodies:
        copy.graph.opset_imports[DOMAIN] = VERSION
    proto = ir.to_proto(copy)
    # In the table's order, not the graph's.
    proto.functions.extend(_function(op) for op in bodies)
    try:
        onnx.checker.check_model(proto, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise QnnDeployError("QD0901", f"the emitted ONNX model is not valid: {error}") from error
    return bytes(proto.SerializeToString(deterministic=True))


def _function(op: OpDef) -> onnx.FunctionProto:
    assert op.body is not None
    function = parser.parse_function(op.body)
    function.doc_string = op.doc
    return function


def _rename(model: ir.Model) -> None:
    """Give the graph's input and output their names; whatever else bears one of them gets another."""
    graph = model.graph
    ends = (graph.inputs[0], graph.outputs[0])
    values = [*graph.inputs, *graph.initializers.values(), *(value for node in graph for value in node.outputs)]
    taken = {value.name for value in values} | {INPUT, OUTPUT}
    for value in values:
        if value.name in (INPUT, OUTPUT) and not any(value is end for end in ends):
            name = f"{value.name}_"
            while name in taken:
                name += "_"
            taken.add(name)
            value.name = name
    # In two steps: the input may be called "logits" or the output "input".
    graph.inputs[0].name, graph.outputs[0].name = None, None
    graph.inputs[0].name, graph.outputs[0].name = INPUT, OUTPUT


def _strip(model: ir.Model) -> None:
    """Drop metadata and doc strings of other tools: they hold paths of the machine that exported the model."""
    graph = model.graph
    holders = [graph, model, *graph, *graph.inputs, *graph.initializers.values(), *(value for node in graph for value in node.outputs)]
    for holder in holders:
        for key in [key for key in holder.metadata_props if not key.startswith("qnn_deploy.")]:
            del holder.metadata_props[key]
        holder.doc_string = None
