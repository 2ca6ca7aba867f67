"""Dense layers in one form: Gemm with transB=1, integer weights [out, in], no bias inside."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from qnn_deploy.errors import QnnDeployError
from qnn_deploy.ir.edit import DOMAIN, add_initializer, attribute, constant, insert_after, is_op, refuse, shape_of, supersede
from qnn_deploy.passes._importing import ImportPass, integer_bias, integer_weights


class NormaliseGemm(ImportPass):
    """Gemm(x, W, b) and MatMul(x, W) -> Gemm(x, W) and Bias(b); b and W integers (QD0305, QD0307)."""

    def rewrite(self, model: ir.Model) -> bool:
        layers = [node for node in model.graph if is_op(node, "Gemm", "MatMul")]
        for node in layers:
            self._normalise(model.graph, node)
        return bool(layers)

    def _normalise(self, graph: ir.Graph, node: ir.Node) -> None:
        x, source = node.inputs[0], node.inputs[1]
        assert x is not None and source is not None
        if constant(x) is not None:
            self.fail(refuse(node, "QD0301", "a product of matrices with the constant on the left"))
            return
        weights = integer_weights(node, source)
        if isinstance(weights, QnnDeployError):
            self.fail(weights)
            return
        bias = integer_bias(node, node.inputs[2] if len(node.inputs) > 2 else None)
        if isinstance(bias, QnnDeployError):
            self.fail(bias)
            return
        if (
            attribute(node, "transA", 0)
            or attribute(node, "alpha", 1.0) != 1.0
            or (bias is not None and attribute(node, "beta", 1.0) != 1.0)
        ):
            self.fail(refuse(node, "QD0301", "a product of matrices with a factor or a transposed input"))
            return
        rank = len(shape_of(x) or ())
        if rank != 2 or weights.ndim != 2:
            self.fail(refuse(node, "QD0301", f"a dense layer over a tensor of {rank} axes; only [N, features] can be deployed"))
            return
        if not attribute(node, "transB", 0):
            weights = np.ascontiguousarray(weights.T)
        last = insert_after(node, "Gemm", [x, add_initializer(graph, f"{source.name}_float", weights)], {"transB": 1})
        if bias is not None:
            last = insert_after(
                last, "Bias", [last.outputs[0], add_initializer(graph, f"{node.outputs[0].name}_bias", bias)], {}, domain=DOMAIN
            )
        supersede(node, last)
