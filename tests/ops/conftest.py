"""One operator as an ONNX model, run by stock runtimes and by its reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper, parser
from onnx.reference import ReferenceEvaluator

from qnn_deploy.ops._base import Array, OpDef, Spec

LEVELS = [
    onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
]


def same_bits(x: Array, y: Array) -> bool:
    """Equal dtype, shape and bits; any NaN equals any NaN."""
    if x.dtype != y.dtype or x.shape != y.shape:
        return False
    nan = np.isnan(x) if x.dtype.kind == "f" else np.zeros(x.shape, bool)
    other = np.isnan(y) if y.dtype.kind == "f" else nan
    return np.array_equal(nan, other) and x[~nan].tobytes() == y[~nan].tobytes()


def one_node(op: OpDef, inputs: Sequence[Array], attributes: Mapping[str, Any], variable: int = 1) -> onnx.ModelProto:
    """The operator with its body; the first ``variable`` inputs are graph inputs of batch N, the others initializers."""
    names = [f"in{i}" for i in range(len(inputs))]
    specs = [Spec(x.dtype.name, x.shape) for x in inputs]
    out = op.infer(specs, attributes)
    node = helper.make_node(op.name, names, ["out"], name="node", domain=op.domain, **attributes)
    kind = helper.np_dtype_to_tensor_dtype
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info(names[i], kind(x.dtype), ["N", *x.shape[1:]]) for i, x in enumerate(inputs[:variable])],
        [helper.make_tensor_value_info("out", kind(np.dtype(out.dtype)), ["N", *out.shape[1:]])],
        [numpy_helper.from_array(x, names[i]) for i, x in enumerate(inputs) if i >= variable],
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("qnn_deploy", 1)]
    functions = [parser.parse_function(op.body)] if op.body else []
    model = helper.make_model(graph, opset_imports=opsets, functions=functions, ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return model


@pytest.fixture
def agree() -> Callable[..., Array]:
    """``agree(op, inputs, attributes)``: the reference's output, once every runtime gave the same bits and the shape rule the same type."""

    def check(
        op: OpDef,
        inputs: Sequence[Array],
        attributes: Mapping[str, Any] | None = None,
        variable: int = 1,
        levels: Sequence[Any] = LEVELS,
        evaluator: bool = True,
    ) -> Array:
        attributes = attributes or {}
        expected = op.reference(inputs, attributes)
        spec = op.infer([Spec(x.dtype.name, x.shape) for x in inputs], attributes)
        assert spec == Spec(expected.dtype.name, expected.shape)
        model = one_node(op, inputs, attributes, variable)
        feed = {f"in{i}": x for i, x in enumerate(inputs[:variable])}
        for level in levels:
            options = onnxruntime.SessionOptions()
            options.graph_optimization_level = level
            options.intra_op_num_threads = 1
            session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
            assert same_bits(session.run(None, feed)[0], expected), f"{op.name}: ONNX Runtime at {level}"
        if evaluator:
            assert same_bits(ReferenceEvaluator(model).run(None, feed)[0], expected), f"{op.name}: ReferenceEvaluator"
        return expected

    return check
