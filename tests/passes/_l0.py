"""Imported graphs (L0) as ONNX text: constants are initializers or Constant nodes, types come from ONNX's own shape inference."""

from __future__ import annotations

import onnx
import onnx.parser
import onnx_ir as ir

from qnn_deploy.errors import CompileErrors, QnnDeployError
from qnn_deploy.ir.edit import LAYER, SOURCE
from qnn_deploy.passes._base import LevelPass
from qnn_deploy.passes._importing import findings_of
from qnn_deploy.passes.canonicalise import canonicalise

HEADER = '<ir_version: 10, opset_import: ["" : 20, "qnn_deploy" : 1]>\n'


def l0(text: str) -> ir.Model:
    """Parse ``net (inputs) => (outputs) <initializers> { nodes }``; every node says that it is line n of net.py, in a layer of its own."""
    proto = onnx.shape_inference.infer_shapes(onnx.parser.parse_model(HEADER + text), strict_mode=False)
    model = ir.from_proto(proto)
    for index, node in enumerate(model.graph):
        node.name = node.name or f"node_{node.outputs[0].name}"
        node.metadata_props[LAYER] = f"layer{index}"
        node.metadata_props[SOURCE] = f"net.py:{index} in forward"
    return model


def run(model: ir.Model, *passes: type[LevelPass]) -> list[QnnDeployError]:
    """Apply ``passes`` in order and return their findings."""
    for make in passes:
        make()(model)
    return findings_of(model)


def refusals(model: ir.Model) -> list[QnnDeployError]:
    """The findings of the whole canonicalisation; empty where there are none."""
    try:
        canonicalise(model)
    except CompileErrors as errors:
        return errors.findings
    return []


def kinds(model: ir.Model) -> list[str]:
    """Operators in graph order; those of domain qnn_deploy as "q.Sign"."""
    return [f"q.{node.op_type}" if node.domain else node.op_type for node in model.graph]
