"""Dense layers in one form: Gemm with transB=1, integer weights [out, in], no bias inside."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from qnn_deploy.errors import QnnDeployError
from qnn_deploy.ir.edit import DOMAIN, add_initializer, attribute, constant, insert_after, is_op, refuse, shape_of
from qnn_deploy.passes._importing import ImportPass, constant_bias, island_weights, put_reduction


class NormaliseGemm(ImportPass):
    """Gemm(x, s * W, b) and MatMul(x, s * W) -> Gemm(x, W), Scale(s) and Bias(b); W integers (QD0305), else -> FloatDense and Bias."""

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
        weights = island_weights(node, source, axis=0 if attribute(node, "transB", 0) else -1)
        if isinstance(weights, QnnDeployError):
            self.fail(weights)
            return
        bias = constant_bias(node, node.inputs[2] if len(node.inputs) > 2 else None)
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
        integers = weights.integers
        if rank != 2 or integers.ndim != 2:
            self.fail(refuse(node, "QD0301", f"a dense layer over a tensor of {rank} axes; only [N, features] can be deployed"))
            return
        if not attribute(node, "transB", 0):
            integers = np.ascontiguousarray(integers.T)
        value = add_initializer(graph, f"{source.name}_integers", integers)
        if weights.island:
            reduction = insert_after(node, "FloatDense", [x, value], {}, domain=DOMAIN)
        else:
            reduction = insert_after(node, "Gemm", [x, value], {"transB": 1})
        put_reduction(graph, node, reduction, weights, bias)
