"""int8 weights that are all +1 or -1 are packed eight to a byte: Conv to BinaryConv, Dense to BinaryDense."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from qnn_deploy.ir.edit import DOMAIN, add_initializer, replace_node
from qnn_deploy.ir.levels import Level
from qnn_deploy.ops._bits import pack_signs
from qnn_deploy.passes._base import LevelPass


class PackBinaryWeights(LevelPass):
    """Pack the weights of every reduction whose weights are binary; the values computed stay the same."""

    reads = Level.L2
    writes = Level.L2

    def rewrite(self, model: ir.Model) -> bool:
        graph, modified = model.graph, False
        for node in list(graph):
            if node.op_type not in ("Conv", "Dense"):
                continue
            source = node.inputs[1]
            assert source is not None and source.const_value is not None
            weights = source.const_value.numpy()
            if not np.all(np.abs(weights) == 1):
                continue
            rows = weights.reshape(len(weights), -1)
            packed = add_initializer(graph, f"{source.name}.bits", pack_signs(rows))
            inputs = [node.inputs[0], packed]
            if node.op_type == "Dense":
                replace_node(node, "BinaryDense", inputs, {"in_features": rows.shape[1]}, domain=DOMAIN, dtype=ir.DataType.INT32)
            else:
                attributes = {name: node.attributes[name].as_ints() for name in ("strides", "pads", "dilations")}
                shape = {"kernel_shape": weights.shape[2:], "in_channels": weights.shape[1], "group": node.attributes["group"].as_int()}
                replace_node(node, "BinaryConv", inputs, {**shape, **attributes}, domain=DOMAIN, dtype=ir.DataType.INT32)
            modified = True
        return modified
