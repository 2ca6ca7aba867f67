"""BatchNormalization stays apart from its neighbours, with constant, finite statistics and epsilon written."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from qnn_deploy.ir.edit import add_initializer, attribute, constant, is_op, pass_over, refuse, replace_node, shape_of
from qnn_deploy.passes._importing import ImportPass

_NAMES = ("gamma", "beta", "mean", "variance")


class NormaliseBatchNorm(ImportPass):
    """Check gamma, beta, mean and variance (QD0304) and write the one attribute that inference has, epsilon."""

    def rewrite(self, model: ir.Model) -> bool:
        layers = [node for node in model.graph if is_op(node, "BatchNormalization")]
        for node in layers:
            self._normalise(model.graph, node)
        return bool(layers)

    def _normalise(self, graph: ir.Graph, node: ir.Node) -> None:
        arrays = [constant(value) for value in node.inputs[1:5]]
        if attribute(node, "training_mode", 0) or any(array is None for array in arrays):
            help = "call eval(), and keep track_running_stats=True"
            self.fail(refuse(node, "QD0301", "a BatchNorm that takes its statistics from the batch", help))
            for other in graph:
                if other.metadata_props == node.metadata_props:
                    pass_over(other)  # the statistics' own operators
            return
        shape = shape_of(node.inputs[0])
        if shape is None or len(arrays) != 4:
            return
        inputs = [node.inputs[0]]
        for name, value, array in zip(_NAMES, node.inputs[1:5], arrays, strict=True):
            assert array is not None
            if not bool(np.isfinite(array).all()):
                self.fail(refuse(node, "QD0304", f"the BatchNorm's {name} holds NaN or Inf", "train again, or repair the checkpoint"))
                return
            if array.dtype != np.float32 or array.shape != (shape[1],):
                value = add_initializer(graph, f"{node.outputs[0].name}_{name}", np.broadcast_to(array, (shape[1],)).astype(np.float32))
            inputs.append(value)
        variance, epsilon = arrays[3], np.float32(attribute(node, "epsilon", 1e-5))
        assert variance is not None
        if bool((variance < 0).any()):
            self.fail(refuse(node, "QD0304", "the BatchNorm holds a negative variance", "train again, or repair the checkpoint"))
            return
        if not bool((variance.astype(np.float32) + epsilon > 0).all()):
            self.fail(refuse(node, "QD0304", "the BatchNorm divides by a variance of 0 (its epsilon is 0)"))
            return
        values = [value for value in inputs if value is not None]
        replace_node(node, "BatchNormalization", values, {"epsilon": float(attribute(node, "epsilon", 1e-5))})
