"""The reference executor: batches in chunks, all values on demand, refusal of a wrong input."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from qnn_deploy.errors import QnnDeployError
from qnn_deploy.evaluate import reference
from qnn_deploy.ir.levels import Level, infer_types, verify

# A shortcut around a binary convolution: every value is read later or twice.
TEXT = """
<ir_version: 10, opset_import: ["" : 20, "qnn_deploy" : 1]>
net (uint8[N, 2, 3, 3] x) => (float[N, 2] y)
<int16[2] zero = {7, 0}, int8[2, 2, 1, 1] stem = {3, -1, 2, 5}, float[2] a = {0.1, -0.3}, float[2] b = {0.01, 2},
 uint8[2, 1] w = {1, 2}, float[1] s = {0.25}, int8[2, 2] head = {1, 2, -1, 0}>
{
    [z] z = qnn_deploy.SubtractZero <to: int = 5> (x, zero)
    [stem] c = qnn_deploy.Conv <strides: ints = [1, 1], pads: ints = [0, 0, 0, 0], dilations: ints = [1, 1], group: int = 1> (z, stem)
    [bn] f = qnn_deploy.BatchNorm (c, a, b)
    [sign] t = qnn_deploy.Sign <to: int = 3> (f)
    [conv] d = qnn_deploy.BinaryConv <kernel_shape: ints = [1, 1], in_channels: int = 2, strides: ints = [1, 1],
        pads: ints = [0, 0, 0, 0], dilations: ints = [1, 1], group: int = 1> (t, w)
    [bn2] g = qnn_deploy.BatchNorm (d, b, a)
    [add] h = Add (g, f)
    [quantize] q = qnn_deploy.Quantize <low: int = -127, high: int = 127, to: int = 3> (h, s)
    [sum] p = qnn_deploy.SumPool <to: int = 6> (q)
    [quantize2] r = qnn_deploy.Quantize <low: int = -127, high: int = 127, to: int = 3> (p, s)
    [head] i = qnn_deploy.Dense (r, head)
    [cast] y = Cast <to = 1> (i)
}
"""


@pytest.fixture
def model() -> ir.Model:
    model = ir.from_onnx_text(TEXT)
    infer_types(model)
    verify(model, Level.L2)
    return model


def images(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 2, 3, 3), dtype=np.uint8)


def test_chunks_do_not_show(model: ir.Model) -> None:
    x = images(2 * reference.CHUNK + 3)
    whole = reference.run(model, x)
    assert whole.dtype == np.float32 and whole.shape == (len(x), 2)
    np.testing.assert_array_equal(whole, np.concatenate([reference.run(model, x[i : i + 1]) for i in range(len(x))]))


def test_keep_returns_every_value(model: ir.Model) -> None:
    x = images(20)
    values = reference.run(model, x, keep=True)
    assert set(values) == {"x"} | {value.name for node in model.graph for value in node.outputs}
    np.testing.assert_array_equal(values["x"], x)
    np.testing.assert_array_equal(values["y"], reference.run(model, x))
    # By hand, from one recorded value to the next.
    z = x.astype(int) - np.array([7, 0]).reshape(1, 2, 1, 1)
    np.testing.assert_array_equal(values["c"], np.einsum("nchw,oc->nohw", z, np.array([[3, -1], [2, 5]])))
    np.testing.assert_array_equal(values["t"], np.where(values["f"] >= 0, 1, -1))
    np.testing.assert_array_equal(values["d"], np.einsum("nchw,oc->nohw", values["t"], np.array([[-1, 1], [1, -1]])))
    np.testing.assert_array_equal(values["h"], values["g"] + values["f"])
    np.testing.assert_array_equal(values["y"], values["r"].astype(int) @ np.array([[1, -1], [2, 0]]))


def test_empty_batch(model: ir.Model) -> None:
    assert reference.run(model, images(0)).shape == (0, 2)


@pytest.mark.parametrize("x", [np.zeros((1, 2, 3, 3), np.float32), np.zeros((1, 3, 3, 2), np.uint8), np.zeros((2, 3, 3), np.uint8)])
def test_refuses_a_wrong_input(model: ir.Model, x: np.ndarray) -> None:
    with pytest.raises(QnnDeployError) as caught:
        reference.run(model, x)
    assert caught.value.code == "QD0104"


def test_canonical_level() -> None:
    model = ir.from_onnx_text("""
        <ir_version: 10, opset_import: ["" : 20, "qnn_deploy" : 1]>
        net (uint8[N, 3] x) => (float[N, 2] y) <int16[3] zero = {1, 2, 3}, float[2, 3] w = {1, -1, 1, 2, 0, -3}>
        {
            [z] z = qnn_deploy.SubtractZero <to: int = 1> (x, zero)
            [dense] y = Gemm <transB = 1> (z, w)
        }
    """)
    infer_types(model)
    verify(model, Level.L1)
    x = np.array([[5, 6, 7], [0, 0, 255]], np.uint8)
    assert reference.run(model, x).tolist() == [[4, -4], [253, -758]]
