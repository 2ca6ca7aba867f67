"""Transposed convolutions: integer weights with the output channels first, every attribute written, no bias inside."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from qnn_deploy.errors import QnnDeployError
from qnn_deploy.ir.edit import DOMAIN, FLOAT, add_initializer, attribute, constant, insert_after, is_op, refuse
from qnn_deploy.passes._importing import ImportPass, constant_bias, integer_weights, put_reduction


class NormaliseConvTranspose(ImportPass):
    """ConvTranspose(x, s * W, b) -> qnn_deploy::ConvTranspose(x, W), Scale(s) and Bias(b); W integers (QD0305, QD0307)."""

    def rewrite(self, model: ir.Model) -> bool:
        layers = [node for node in model.graph if is_op(node, "ConvTranspose")]
        for node in layers:
            self._normalise(model.graph, node)
        return bool(layers)

    def _normalise(self, graph: ir.Graph, node: ir.Node) -> None:
        x, source, array = node.inputs[0], node.inputs[1], constant(node.inputs[1])
        assert x is not None and source is not None
        group = int(attribute(node, "group", 1))
        if array is not None:
            if array.ndim != 4:
                self.fail(refuse(node, "QD0301", f"a {array.ndim - 2}-D transposed convolution; only 1-D and 2-D ones can be deployed"))
                return
            inputs, outputs, *kernel = array.shape
            parts = array.reshape(group, inputs // group, outputs, *kernel).swapaxes(1, 2)
            source = add_initializer(graph, f"{source.name}_outputs_first", parts.reshape(group * outputs, inputs // group, *kernel))
        weights = integer_weights(node, source)
        bias = constant_bias(node, node.inputs[2] if len(node.inputs) > 2 else None)
        for found in (weights, bias):
            if isinstance(found, QnnDeployError):
                self.fail(found)
                return
        assert not isinstance(weights, QnnDeployError) and not isinstance(bias, QnnDeployError)
        if any(each != 1 for each in attribute(node, "dilations", (1, 1))):
            self.fail(refuse(node, "QD0301", "a dilated transposed convolution has no kernel", "use a larger kernel"))
            return
        if attribute(node, "auto_pad", "NOTSET") != "NOTSET" or attribute(node, "output_shape") is not None:
            self.fail(refuse(node, "QD0301", "the padding of a transposed convolution must be explicit"))
            return
        attributes = {
            "strides": tuple(attribute(node, "strides", (1, 1))),
            "pads": tuple(attribute(node, "pads", (0, 0, 0, 0))),
            "output_padding": tuple(attribute(node, "output_padding", (0, 0))),
            "group": group,
            "to": FLOAT,
        }
        value = add_initializer(graph, f"{source.name}_integers", weights.integers.astype(np.float32))
        put_reduction(graph, node, insert_after(node, "ConvTranspose", [x, value], attributes, domain=DOMAIN), weights, bias)
