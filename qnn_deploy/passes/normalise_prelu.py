"""PRelu and LeakyRelu become one operator with constant, finite slopes: one per channel, or one for all."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from qnn_deploy.ir.edit import DOMAIN, add_initializer, attribute, constant, is_op, refuse, replace_node, shape_of
from qnn_deploy.passes._importing import ImportPass, channel_vector

_ONNX_ALPHA = 0.01  # of LeakyRelu where the attribute is left out


class NormalisePRelu(ImportPass):
    """1. PRelu(x, slope) -> qnn_deploy.PRelu with slopes [C] or [1].  2. LeakyRelu(x, alpha) -> the same with the slope [alpha].

    Slopes that hold NaN or Inf are refused (QD0304), as are slopes that are computed or differ along another axis (QD0301).
    """

    def rewrite(self, model: ir.Model) -> bool:
        nodes = [node for node in model.graph if is_op(node, "PRelu", "LeakyRelu")]
        for node in nodes:
            self._normalise(model.graph, node)
        return bool(nodes)

    def _normalise(self, graph: ir.Graph, node: ir.Node) -> None:
        x = node.inputs[0]
        shape = shape_of(x)
        if x is None or shape is None or len(shape) < 2:
            return  # RefuseRest reports it
        if node.op_type == "LeakyRelu":
            slopes = np.array([attribute(node, "alpha", _ONNX_ALPHA)], np.float32)
        else:
            found = constant(node.inputs[1])
            if found is None:
                help = "keep the slope a parameter or a buffer: nn.PReLU(channels)"
                self.fail(refuse(node, "QD0301", "a PReLU whose slope is computed by the network", help))
                return
            slopes = found
        if not bool(np.isfinite(slopes).all()):
            self.fail(refuse(node, "QD0304", "the PReLU's slope holds NaN or Inf", "train again, or repair the checkpoint"))
            return
        vector = channel_vector(slopes, shape)
        if vector is None:
            self.fail(refuse(node, "QD0301", "a PReLU whose slope differs along another axis than the channels"))
            return
        slope = add_initializer(graph, f"{node.outputs[0].name}_slope", vector)
        replace_node(node, "PRelu", [x, slope], {}, domain=DOMAIN)
