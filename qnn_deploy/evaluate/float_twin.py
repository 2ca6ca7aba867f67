"""The same network in ordinary fp32 ONNX: what a user would run without quantisation, as a peer for speed.

Made from the canonical graph (L1): convolutions and dense layers keep their shapes, ``Sign`` becomes ReLU, integer quantisers vanish.
Its answers mean nothing; its work is that of a float network of the same architecture.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from qnn_deploy.errors import UserError
from qnn_deploy.ir.edit import remove_unused
from qnn_deploy.ops._base import DOMAIN

_OPSET = 20


def float_twin(l1: ir.Model) -> bytes:
    """The fp32 network as ONNX bytes; the input is uint8 [N, C, H, W] as the original's.

    Raises:
        UserError: QD0106 for an operator that has no float counterpart here.
    """
    model = l1.clone()
    graph = model.graph
    for node in list(graph):
        if node.domain != DOMAIN and node.op_type != "Sign":
            continue
        new = _counterpart(graph, node)
        for added in new:
            graph.insert_before(node, added)
        output = new[-1].outputs[0]
        output.shape, output.type = node.outputs[0].shape, ir.TensorType(ir.DataType.FLOAT)
        ir.convenience.replace_all_uses_with(node.outputs[0], output, replace_graph_outputs=True)
        graph.remove(node, safe=True)
    remove_unused(graph)  # constants that were folded: ONNX Runtime would warn of each
    graph.opset_imports.clear()
    graph.opset_imports[""] = _OPSET
    model.functions.clear()
    for value in (*graph.inputs, *graph.outputs):
        value.metadata_props.clear()
    proto = ir.to_proto(model)
    proto.ir_version = 10
    return proto.SerializeToString(deterministic=True)


def _counterpart(graph: ir.Graph, node: ir.Node) -> list[ir.Node]:
    """Standard nodes that stand for ``node``, the last one's output for its output."""
    x = node.inputs[0]
    assert x is not None
    rank = len(x.shape) if x.shape is not None else 4
    name = node.outputs[0].name or node.name or "twin"

    def constant(suffix: str, array: np.ndarray) -> ir.Value:
        value = ir.Value(name=f"{name}.twin.{suffix}", const_value=ir.tensor(array, name=f"{name}.twin.{suffix}"))
        value.shape, value.type = ir.Shape(array.shape), ir.TensorType(ir.DataType.from_numpy(array.dtype))
        graph.register_initializer(value)
        return value

    def channels(index: int) -> np.ndarray:
        value = node.inputs[index]
        assert value is not None and value.const_value is not None
        return value.const_value.numpy().astype(np.float32).reshape(-1, *[1] * (rank - 2))

    if node.op_type == "SubtractZero":
        cast = ir.node("Cast", [x], {"to": int(ir.DataType.FLOAT)}, name=f"{name}.cast")
        return [cast, ir.node("Sub", [cast.outputs[0], constant("zero", channels(1))], name=f"{name}.sub")]
    if node.op_type in ("Scale", "Bias"):
        op = "Mul" if node.op_type == "Scale" else "Add"
        return [ir.node(op, [x, constant("value", channels(1))], name=f"{name}.{op}")]
    if node.op_type == "PRelu":
        return [ir.node("PRelu", [x, constant("slope", channels(1))], name=f"{name}.prelu")]
    if node.op_type == "Sign":
        return [ir.node("Relu", [x], name=f"{name}.relu")]
    if node.op_type == "Quantize":
        return [ir.node("Identity", [x], name=f"{name}.identity")]
    if node.op_type == "SumPool":
        axes = constant("axes", np.arange(2, rank, dtype=np.int64))
        return [ir.node("ReduceSum", [x, axes], {"keepdims": 0}, name=f"{name}.sum")]
    attributes = {each: node.attributes[each].value for each in node.attributes}
    if node.op_type == "FloatConv":
        return [ir.node("Conv", list(node.inputs), attributes, name=f"{name}.conv")]
    if node.op_type == "FloatDense":
        return [ir.node("Gemm", list(node.inputs), {"transB": 1}, name=f"{name}.gemm")]
    raise UserError("QD0106", f"no fp32 counterpart of {node.op_type} for --peers")
