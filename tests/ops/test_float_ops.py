"""Elementwise operators in binary32, and the standard operators of the canonical level."""

from __future__ import annotations

import numpy as np
import pytest

from qnn_deploy.ops import (
    ALL,
    BY_KEY,
    batch_norm,
    bias,
    onnx_add,
    onnx_batch_normalization,
    onnx_cast,
    onnx_clip,
    onnx_concat,
    onnx_conv,
    onnx_flatten,
    onnx_gemm,
    onnx_max_pool,
    onnx_relu,
    onnx_sign,
    prelu,
    scale,
)
from qnn_deploy.ops._base import ExactnessError, ShapeError, Spec
from qnn_deploy.ops._fma import fma


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def floats(*shape: int) -> np.ndarray:
    """Normal numbers, and zeros of both signs, subnormals and large ones."""
    values = (rng().standard_normal(shape) * 10.0 ** rng().integers(-3, 4, shape)).astype(np.float32)
    special = np.array([0.0, -0.0, 1e-45, -1e-40, 3e38, -3e38], np.float32)
    values.flat[: min(len(special), values.size)] = special[: values.size]
    return values


def accumulators(*shape: int) -> np.ndarray:
    return rng().integers(-(2**24), 2**24, shape, dtype=np.int32)


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (4, 3)])
@pytest.mark.parametrize("op", [scale.OP, bias.OP], ids=lambda op: op.name)
@pytest.mark.parametrize("x", [floats, accumulators])
@pytest.mark.parametrize("constant", [[0.1, -0.0, 3e-39], [1.0], [0.0], [-0.0], [0.3]])
def test_scale_and_bias(agree, shape, op, x, constant) -> None:
    agree(op, [x(*shape), np.array(constant, np.float32)])


SLOPES = [[0.25, -0.5, 3.0], [0.0, -0.0, 1.0], [1e-40, -1e-45, -3e38], [0.01], [-2.0], [-0.0]]


def specials() -> np.ndarray:
    """Zeros of both signs, subnormals, the smallest normal and the largest numbers, infinities, NaN; [1, 3, 51] to fill vectors."""
    bits = [0, 1, 3, 0x007FFFFF, 0x00800000, 0x3F800000, 0x7F7FFFFF, 0x7F800000]
    values = np.array([*bits, *(b | 0x80000000 for b in bits), 0x7FC00000], np.uint32).view(np.float32)
    return np.broadcast_to(np.tile(values, 3), (1, 3, 51)).copy()


@pytest.mark.parametrize("x", [floats(2, 3, 4, 5), floats(4, 3), specials()], ids=["map", "vector", "specials"])
@pytest.mark.parametrize("slopes", SLOPES)
def test_prelu(agree, x, slopes) -> None:
    agree(prelu.OP, [x, np.array(slopes, np.float32)])


@pytest.mark.parametrize("slopes", SLOPES)
def test_prelu_is_torchs(slopes) -> None:
    torch = pytest.importorskip("torch")
    for x in (specials(), floats(2, 3, 5, 7)):
        got = prelu.OP.reference([x, np.array(slopes, np.float32)], {})
        expected = [torch.nn.functional.prelu(torch.tensor(x), torch.tensor(slopes))]
        if len(slopes) == 1:
            expected.append(torch.nn.functional.leaky_relu(torch.tensor(x), slopes[0]))
        for each in expected:
            nan = np.isnan(got)
            np.testing.assert_array_equal(nan, np.isnan(each.numpy()))
            assert got[~nan].tobytes() == each.numpy()[~nan].tobytes()


def test_prelu_is_not_onnxs_for_zeros_under_a_negative_slope() -> None:
    zeros = np.array([[0.0, -0.0]], np.float32)
    assert np.signbit(prelu.OP.reference([zeros, np.array([-1], np.float32)], {})).tolist() == [[True, False]]


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (4, 3)])
@pytest.mark.parametrize("x", [floats, accumulators])
def test_batch_norm(agree, shape, x) -> None:
    got = agree(batch_norm.OP, [x(*shape), np.array([0.37, -1e-3, 5], np.float32), np.array([-0.0, 1e-20, 7.7], np.float32)])
    a, b = (np.array(v, np.float32).reshape(1, 3, *[1] * (len(shape) - 2)) for v in ([0.37, -1e-3, 5], [-0.0, 1e-20, 7.7]))
    np.testing.assert_array_equal(got, fma(x(*shape).astype(np.float32), a, b))


def test_batch_norm_keeps_negative_zero(agree) -> None:
    got = agree(batch_norm.OP, [np.zeros((1, 2), np.int32), np.array([-1.0, 1.0], np.float32), np.array([-0.0, -0.0], np.float32)])
    assert np.signbit(got).tolist() == [[True, False]]


def parameters(channels: int) -> list[np.ndarray]:
    return [
        (rng().standard_normal(channels)).astype(np.float32),
        (rng().standard_normal(channels)).astype(np.float32),
        (rng().standard_normal(channels) * 50).astype(np.float32),
        (rng().uniform(0, 900, channels)).astype(np.float32),
    ]


def test_batch_normalization_is_torchs() -> None:
    torch = pytest.importorskip("torch")
    if torch.backends.cpu.get_cpu_capability() == "DEFAULT":
        pytest.skip("torch without vector units has no fma in BatchNorm")
    x, (gamma, beta, mean, var) = rng().integers(-600, 600, (2, 64, 9, 9)).astype(np.float32), parameters(64)
    expected = torch.nn.functional.batch_norm(
        torch.tensor(x), torch.tensor(mean), torch.tensor(var), torch.tensor(gamma), torch.tensor(beta), training=False, eps=1e-5
    )
    got = onnx_batch_normalization.OP.reference([x, gamma, beta, mean, var], {"epsilon": 1e-5})
    assert got.tobytes() == expected.numpy().tobytes()


def test_batch_normalization_equals_the_exact_levels() -> None:
    x, (gamma, beta, mean, var) = rng().integers(-600, 600, (2, 16, 3, 3)).astype(np.float32), parameters(16)
    a, b = batch_norm.fold_batchnorm(gamma, beta, mean, var, 1e-5)
    expected = onnx_batch_normalization.OP.reference([x, gamma, beta, mean, var], {"epsilon": 1e-5})
    assert batch_norm.OP.reference([x.astype(np.int32), a, b], {}).tobytes() == expected.tobytes()


def test_conv_and_gemm(agree) -> None:
    x, w = rng().integers(-255, 256, (2, 4, 7, 6)).astype(np.float32), rng().integers(-7, 8, (6, 2, 3, 3)).astype(np.float32)
    agree(onnx_conv.OP, [x, w], {"kernel_shape": [3, 3], "strides": [2, 1], "pads": [1, 0, 1, 2], "dilations": [1, 2], "group": 2})
    agree(onnx_gemm.OP, [x.reshape(2, -1), rng().integers(-7, 8, (5, 168)).astype(np.float32)], {"transB": 1})


def test_conv_and_gemm_refuse_what_is_not_exact() -> None:
    with pytest.raises(ExactnessError, match="not an integer"):
        onnx_gemm.OP.reference([np.full((1, 2), 0.5, np.float32), np.ones((1, 2), np.float32)], {"transB": 1})
    with pytest.raises(ExactnessError, match="float32"):
        onnx_gemm.OP.reference([np.full((1, 2), 2.0**24, np.float32), np.ones((1, 2), np.float32)], {"transB": 1})


@pytest.mark.parametrize(
    ("kernel", "strides", "pads", "dilations", "ceil"),
    [
        ([2, 2], [2, 2], [0, 0, 0, 0], [1, 1], 0),
        ([3, 2], [1, 2], [1, 0, 2, 1], [1, 1], 0),
        ([2, 3], [2, 1], [0, 1, 0, 1], [2, 2], 0),
        ([2, 2], [2, 2], [0, 0, 0, 0], [1, 1], 1),
        ([3, 3], [2, 2], [1, 1, 1, 1], [1, 1], 1),
    ],
)
def test_max_pool(agree, kernel, strides, pads, dilations, ceil) -> None:
    x = rng().standard_normal((2, 3, 7, 9)).astype(np.float32) - 2
    attributes = {"kernel_shape": kernel, "strides": strides, "pads": pads, "dilations": dilations, "ceil_mode": ceil}
    got = agree(onnx_max_pool.OP, [x], attributes)
    torch = pytest.importorskip("torch")
    if pads[:2] == pads[2:]:
        expected = torch.nn.functional.max_pool2d(torch.tensor(x), kernel, strides, pads[:2], dilations, bool(ceil))
        assert got.tobytes() == expected.numpy().tobytes()


def test_elementwise(agree) -> None:
    x = floats(2, 3, 4, 4)
    agree(onnx_add.OP, [x, x[::-1].copy()], variable=2)
    agree(onnx_clip.OP, [x, np.array(-1, np.float32), np.array(1, np.float32)])
    agree(onnx_sign.OP, [x])
    # Not -0.0, of which ReferenceEvaluator makes +0.0.
    agree(onnx_relu.OP, [x + np.float32(1e-30)])
    agree(onnx_flatten.OP, [x], {"axis": 1})
    agree(onnx_concat.OP, [x, x[::-1].copy(), x], {"axis": 1}, variable=3)
    agree(onnx_cast.OP, [accumulators(3, 5)], {"to": 1})


def test_relu_and_clip_are_torchs() -> None:
    torch = pytest.importorskip("torch")
    x = np.tile(floats(1, 40), (1, 3))
    x[0, 7] = np.nan
    limits = [np.array(0, np.float32), np.array(1, np.float32)]
    for got, expected in (
        (onnx_relu.OP.reference([x], {}), torch.relu(torch.tensor(x))),
        (onnx_clip.OP.reference([x, *limits], {}), torch.nn.functional.hardtanh(torch.tensor(x), 0.0, 1.0)),
    ):
        np.testing.assert_array_equal(got, expected.numpy())
        np.testing.assert_array_equal(np.signbit(got), np.signbit(expected.numpy()))


@pytest.mark.parametrize(
    ("op", "specs", "attributes"),
    [
        (onnx_add.OP, [Spec("float32", (1, 3)), Spec("float32", (1, 1))], {}),
        (onnx_flatten.OP, [Spec("float32", (1, 3, 2))], {"axis": 2}),
        (onnx_concat.OP, [Spec("float32", (1, 3, 2, 2)), Spec("float32", (1, 3, 2, 1))], {"axis": 1}),
        (onnx_clip.OP, [Spec("float32", (1, 3)), Spec("float32", ())], {}),
        (onnx_cast.OP, [Spec("float32", (1, 3))], {"to": 1}),
        (scale.OP, [Spec("float32", (1, 3)), Spec("float32", (2,))], {}),
        (prelu.OP, [Spec("float32", (1, 3)), Spec("float32", (2,))], {}),
        (prelu.OP, [Spec("int32", (1, 3)), Spec("float32", (3,))], {}),
        (batch_norm.OP, [Spec("float32", (1, 3)), Spec("float32", (1,)), Spec("float32", (1,))], {}),
        (
            onnx_max_pool.OP,
            [Spec("float32", (1, 3, 4, 4))],
            {"kernel_shape": [2, 2], "strides": [1, 1], "pads": [2, 0, 0, 0], "dilations": [1, 1], "ceil_mode": 0},
        ),
    ],
)
def test_shape_rules_refuse(op, specs, attributes) -> None:
    with pytest.raises(ShapeError):
        op.infer(specs, attributes)


def test_registry() -> None:
    assert len(BY_KEY) == len(ALL)
    assert all(BY_KEY[op.domain, op.name] is op for op in ALL)
    assert all((op.body is None) == (op.domain == "") for op in ALL)
    assert all(op.doc for op in ALL)
