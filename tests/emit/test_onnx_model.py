"""End to end: an exact graph as an ONNX file gives the reference's bits on stock runtimes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from onnx.reference import ReferenceEvaluator

from qnn_deploy.emit import onnx_model
from qnn_deploy.errors import QnnDeployError
from qnn_deploy.evaluate import reference
from qnn_deploy.ir.levels import infer_types
from qnn_deploy.ops._bits import pack_signs

LEVELS = [
    onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
]
WINDOW = "strides: ints = [1, 1], pads: ints = [1, 1, 1, 1], dilations: ints = [1, 1], group: int = 1"
STRIDED = "strides: ints = [2, 2], pads: ints = [1, 1, 1, 1], dilations: ints = [1, 1], group: int = 1"

THRESHOLDS = f"""
<ir_version: 10, opset_import: ["" : 20, "qnn_deploy" : 1]>
net (uint8[N, 3, 8, 8] pixels) => (float[N, 10] out)
{{
    [input] z = qnn_deploy.SubtractZero <to: int = 5> (pixels, zero)
    [conv1] c1 = qnn_deploy.BinaryConv <kernel_shape: ints = [3, 3], in_channels: int = 3, {WINDOW}> (z, w1)
    [sign1] t1 = qnn_deploy.Threshold (c1, thr1)
    [pool] p1 = qnn_deploy.BipolarMaxPool <kernel_shape: ints = [2, 2], strides: ints = [2, 2], pads: ints = [0, 0, 0, 0]> (t1, minimum)
    [conv2] c2 = qnn_deploy.BinaryConv <kernel_shape: ints = [3, 3], in_channels: int = 12, {WINDOW}> (p1, w2)
    [sign2] t2 = qnn_deploy.Threshold (c2, thr2)
    [flatten] f = Flatten <axis = 1> (t2)
    [dense] d = qnn_deploy.BinaryDense <in_features: int = 320> (f, w3)
    [sign3] t3 = qnn_deploy.Threshold (d, thr3)
    [head] h = qnn_deploy.BinaryDense <in_features: int = 33> (t3, w4)
    [logits] out = Cast <to = 1> (h)
}}
"""

# Scale and Bias stand right behind convolutions, where optimisers of float graphs would fold them into the weights.
STREAM = f"""
<ir_version: 10, opset_import: ["" : 20, "qnn_deploy" : 1]>
net (uint8[N, 3, 8, 8] logits) => (float[N, 10] input)
{{
    [input] z = qnn_deploy.SubtractZero <to: int = 5> (logits, zero)
    [stem] c = qnn_deploy.Conv <{WINDOW}> (z, stem)
    [stem_scale] s = qnn_deploy.Scale (c, stem_scale)
    [stem_bn] f = qnn_deploy.BatchNorm (s, a1, b1)
    [sign1] t1 = qnn_deploy.Sign <to: int = 3> (f)
    [conv1] c1 = qnn_deploy.BinaryConv <kernel_shape: ints = [3, 3], in_channels: int = 16, {STRIDED}> (t1, w1)
    [bn1] g = qnn_deploy.BatchNorm (c1, a2, b2)
    [pool] m = MaxPool <kernel_shape = [2, 2], strides = [2, 2], pads = [0, 0, 0, 0], dilations = [1, 1], ceil_mode = 0> (f)
    [wide] mm = Concat <axis = 1> (m, m)
    [add] r = Add (g, mm)
    [clip] l = Clip (r, low, high)
    [sign2] t2 = qnn_deploy.Sign <to: int = 3> (l)
    [conv2] c2 = qnn_deploy.BinaryConv <kernel_shape: ints = [3, 3], in_channels: int = 32, {WINDOW}> (t2, w2)
    [bias2] c3 = qnn_deploy.Bias (c2, bias2)
    [add2] r2 = Add (c3, r)
    [features] q = qnn_deploy.Quantize <low: int = -127, high: int = 127, to: int = 3> (r2, q1)
    [sum] p = qnn_deploy.SumPool <to: int = 6> (q)
    [pooled] u = qnn_deploy.Quantize <low: int = -32767, high: int = 32767, to: int = 5> (p, q2)
    [head] h = qnn_deploy.Dense (u, head)
    [head_scale] hs = qnn_deploy.Scale (h, head_scale)
    [head_bias] input = qnn_deploy.Bias (hs, head_bias)
}}
"""


def build(text: str, constants: Mapping[str, np.ndarray]) -> ir.Model:
    proto = onnx.parser.parse_model(text)
    proto.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in constants.items())
    model = ir.from_proto(proto)
    infer_types(model)
    return model


def thresholds() -> ir.Model:
    rng = np.random.default_rng(0)

    def signs(*shape: int) -> np.ndarray:
        return pack_signs(rng.choice([-1, 1], shape))

    return build(
        THRESHOLDS,
        {
            "zero": np.array([125, 123, 114], np.int16),
            "w1": signs(12, 3, 3, 3),
            "thr1": rng.integers(-300, 300, 12, dtype=np.int32),
            "minimum": rng.integers(0, 2, 12, dtype=np.uint8),
            "w2": signs(20, 12, 3, 3),
            "thr2": rng.integers(-9, 9, 20, dtype=np.int32),
            "w3": signs(33, 320),
            "thr3": rng.integers(-9, 9, 33, dtype=np.int32),
            "w4": signs(10, 33),
        },
    )


def stream() -> ir.Model:
    rng = np.random.default_rng(1)

    def floats(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(np.float32)

    return build(
        STREAM,
        {
            "zero": np.array([125, 123, 114], np.int16),
            "stem": rng.integers(-127, 128, (16, 3, 3, 3), dtype=np.int8),
            "stem_scale": np.abs(floats(16)) / 1000,
            "a1": floats(16) / 10,
            "b1": floats(16),
            "w1": pack_signs(rng.choice([-1, 1], (32, 16, 3, 3))),
            "a2": floats(32) / 10,
            "b2": floats(32),
            "low": np.array(-1.5, np.float32),
            "high": np.array(1.5, np.float32),
            "w2": pack_signs(rng.choice([-1, 1], (32, 32, 3, 3))),
            "bias2": floats(32),
            "q1": np.array([0.31], np.float32),
            "q2": np.array([0.017], np.float32),
            "head": rng.integers(-127, 128, (10, 32), dtype=np.int8),
            "head_scale": np.abs(floats(10)) / 100,
            "head_bias": floats(10),
        },
    )


NETWORKS = {"thresholds": thresholds, "stream": stream}


def images(count: int) -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, (count, 3, 8, 8), dtype=np.uint8)


def session(data: bytes, level: onnxruntime.GraphOptimizationLevel) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level, options.intra_op_num_threads = level, 1
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("network", NETWORKS)
def test_onnx_runtime_gives_the_references_bits(network: str, level: onnxruntime.GraphOptimizationLevel) -> None:
    model = NETWORKS[network]()
    runner = session(onnx_model.encode(model), level)
    # One session, several batch sizes: the batch is dynamic.
    for count in (40, 1, 3):
        x = images(count)
        expected = reference.run(model, x)
        assert len(np.unique(expected)) > 5
        assert runner.run(["logits"], {"input": x})[0].tobytes() == expected.tobytes()


@pytest.mark.parametrize("network", NETWORKS)
def test_reference_evaluator_gives_the_references_bits(network: str) -> None:
    model, x = NETWORKS[network](), images(3)
    evaluator = ReferenceEvaluator(onnx.load_from_string(onnx_model.encode(model)))
    assert evaluator.run(["logits"], {"input": x})[0].tobytes() == reference.run(model, x).tobytes()


@pytest.mark.parametrize("network", NETWORKS)
def test_every_inner_value_is_the_references(network: str) -> None:
    model, x = NETWORKS[network](), images(4)
    values = reference.run(model, x, keep=True)
    proto = onnx.load_from_string(onnx_model.encode(model))
    names = [node.output[0] for node in proto.graph.node]
    del proto.graph.output[:]
    proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    got = session(proto.SerializeToString(), LEVELS[0]).run(names, {"input": x})
    for node, array in zip(model.graph, got, strict=True):
        assert array.tobytes() == values[node.outputs[0].name].tobytes(), node.name


@pytest.mark.parametrize("network", NETWORKS)
def test_file(network: str) -> None:
    model = NETWORKS[network]()
    model.producer_name = "another tool"
    next(iter(model.graph)).metadata_props.update({"qnn_deploy.source": "net.py:3 in forward", "pkg.torch.stack": "/home/someone/net.py"})
    before = ir.to_proto(model).SerializeToString(deterministic=True)
    data = onnx_model.encode(model)
    assert data == onnx_model.encode(model)
    assert b"net.py:3" in data
    assert ir.to_proto(model).SerializeToString(deterministic=True) == before
    assert b"someone" not in data
    proto = onnx.load_from_string(data)
    onnx.checker.check_model(proto, full_check=True)
    assert proto.ir_version <= 10 and proto.producer_name == "qnn-deploy" and proto.doc_string
    assert {opset.domain: opset.version for opset in proto.opset_import} == {"": 20, "qnn_deploy": 1}
    assert [value.name for value in proto.graph.input] == ["input"] and [value.name for value in proto.graph.output] == ["logits"]
    assert proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "N"
    assert {node.op_type for node in proto.graph.node if node.domain} == {function.name for function in proto.functions}
    assert all(function.doc_string for function in proto.functions)


def test_refuses_another_level() -> None:
    model = thresholds()
    next(iter(model.graph)).attributes["to"] = ir.AttrInt64("to", 1)
    with pytest.raises(QnnDeployError) as caught:
        onnx_model.encode(model)
    assert caught.value.code == "QD0901"
