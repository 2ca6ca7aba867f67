"""L1 graphs as ONNX text with constants given beside it."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from qnn_deploy.ir.edit import LAYER
from qnn_deploy.ir.levels import Level, infer_types, verify

HEADER = '<ir_version: 10, opset_import: ["" : 20, "qnn_deploy" : 1]>\n'


def l1(text: str, constants: dict[str, np.ndarray]) -> ir.Model:
    """Parse ``text`` (constants are free names), bind the constants, name the nodes after their outputs and check the level."""
    declared = ", ".join(
        f"{ {'float32': 'float', 'int16': 'int16', 'int32': 'int32'}[array.dtype.name] }{list(array.shape) or ''} {name}"
        for name, array in constants.items()
    )
    head, _, body = text.partition("{")
    head = head.replace(") =>", f", {declared}) =>")
    model = ir.from_onnx_text(HEADER + head + "{" + body)
    for value in list(model.graph.inputs)[1:]:
        model.graph.inputs.remove(value)
        value.const_value = ir.tensor(constants[value.name], name=value.name)
        model.graph.register_initializer(value)
    for node in model.graph:
        node.name = node.outputs[0].name
        node.metadata_props[LAYER] = node.name or ""
    infer_types(model)
    verify(model, Level.L1)
    return model
