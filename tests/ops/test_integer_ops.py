"""Operators on integers: reference, ONNX Runtime at every optimisation level and ReferenceEvaluator give the same bits."""

from __future__ import annotations

import numpy as np
import pytest

from qnn_deploy.ops import (
    arg_max,
    binary_conv,
    binary_dense,
    bipolar_max_pool,
    conv,
    dense,
    multi_threshold,
    pad,
    quantize,
    sign,
    subtract_zero,
    sum_pool,
    threshold,
)
from qnn_deploy.ops._base import ExactnessError, ShapeError, Spec
from qnn_deploy.ops._bits import pack_signs, unpack_signs

FLOAT, INT8, INT16, INT32 = 1, 3, 5, 6


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def integers(dtype: str, *shape: int) -> np.ndarray:
    info = np.iinfo(dtype)
    return rng().integers(info.min, info.max, shape, dtype=dtype, endpoint=True)


def bipolar(*shape: int) -> np.ndarray:
    return rng().choice(np.array([-1, 1], np.int8), shape)


def window(strides=(1, 1), pads=(0, 0, 0, 0), dilations=(1, 1), group=1) -> dict:
    return {"strides": list(strides), "pads": list(pads), "dilations": list(dilations), "group": group}


def naive_conv(x: np.ndarray, w: np.ndarray, strides, pads, dilations, group) -> np.ndarray:
    """Python integers, one at a time."""
    top, left, bottom, right = pads
    x = np.pad(x.astype(np.int64), ((0, 0), (0, 0), (top, bottom), (left, right)))
    n, _, height, width = x.shape
    outputs, channels, kh, kw = w.shape
    oh = (height - dilations[0] * (kh - 1) - 1) // strides[0] + 1
    ow = (width - dilations[1] * (kw - 1) - 1) // strides[1] + 1
    y = np.zeros((n, outputs, oh, ow), np.int64)
    for b, o, i, j, c, u, v in np.ndindex(n, outputs, oh, ow, channels, kh, kw):
        channel = o // (outputs // group) * channels + c
        y[b, o, i, j] += x[b, channel, i * strides[0] + u * dilations[0], j * strides[1] + v * dilations[1]] * int(w[o, c, u, v])
    return y


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16"])
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (3, 3)])
@pytest.mark.parametrize("to", [FLOAT, INT16])
def test_subtract_zero(agree, dtype, shape, to) -> None:
    x = integers(dtype, *shape) // (2 if dtype == "int16" else 1)
    agree(subtract_zero.OP, [x, np.array([0, 123, -5], np.int16)], {"to": to})


def test_subtract_zero_refuses_to_wrap() -> None:
    with pytest.raises(ExactnessError, match="int16"):
        subtract_zero.OP.reference([np.array([[-32768]], np.int16), np.array([1], np.int16)], {"to": INT16})


CONVS = {
    "plain": ((2, 3, 6, 5), (4, 3, 3, 3), window()),
    "padded, strided": ((2, 3, 7, 8), (4, 3, 3, 2), window((2, 3), (1, 0, 2, 1))),
    "dilated": ((1, 2, 9, 8), (3, 2, 3, 3), window((1, 2), (2, 1, 2, 1), (2, 3))),
    "grouped": ((2, 6, 5, 5), (4, 3, 3, 3), window(pads=(1, 1, 1, 1), group=2)),
    "depthwise": ((1, 5, 4, 4), (5, 1, 2, 2), window(group=5)),
    "one pixel": ((3, 9, 1, 1), (2, 9, 1, 1), window()),
}


@pytest.mark.parametrize("case", CONVS)
@pytest.mark.parametrize("dtype", ["int8", "int16"])
def test_conv(agree, case, dtype) -> None:
    shape, weights, attributes = CONVS[case]
    x, w = integers(dtype, *shape), integers("int8", *weights)
    if dtype == "int16":
        x //= 8  # keeps sums within 2^24, as the compiler does
    got = agree(conv.OP, [x, w], attributes)
    np.testing.assert_array_equal(got, naive_conv(x, w, **attributes))


@pytest.mark.parametrize("case", CONVS)
@pytest.mark.parametrize("dtype", ["int8", "int16"])
def test_binary_conv(agree, case, dtype) -> None:
    shape, weights, attributes = CONVS[case]
    x, w = (bipolar(*shape) if dtype == "int8" else integers(dtype, *shape)), bipolar(*weights)
    got = agree(binary_conv.OP, [x, pack_signs(w)], {"kernel_shape": list(weights[2:]), "in_channels": weights[1], **attributes})
    np.testing.assert_array_equal(got, naive_conv(x, w, **attributes))


@pytest.mark.parametrize("dtype", ["int8", "int16", "float32"])
@pytest.mark.parametrize(("shape", "pads"), [((2, 3, 4, 5), (1, 0, 2, 3)), ((2, 3, 6), (2, 1))])
def test_pad(agree, dtype, shape, pads) -> None:
    x = integers("int8", *shape).astype(dtype)
    got = agree(pad.OP, [x], {"pads": list(pads), "value": -1})
    inside = tuple(slice(before, before + size) for before, size in zip(pads, shape[2:], strict=False))
    np.testing.assert_array_equal(got[(slice(None), slice(None), *inside)], x)
    assert (got == -1).sum() == got.size - x.size + (x == -1).sum()


@pytest.mark.parametrize("features", [1, 7, 8, 9, 64, 100])
def test_dense(agree, features) -> None:
    x, w = integers("int8", 3, features), integers("int8", 5, features)
    got = agree(dense.OP, [x, w])
    np.testing.assert_array_equal(got, x.astype(np.int64) @ w.astype(np.int64).T)


@pytest.mark.parametrize("features", [1, 7, 8, 9, 64, 100])
def test_binary_dense(agree, features) -> None:
    x, w = bipolar(3, features), bipolar(5, features)
    got = agree(binary_dense.OP, [x, pack_signs(w)], {"in_features": features})
    np.testing.assert_array_equal(got, x.astype(np.int64) @ w.astype(np.int64).T)


def test_dense_is_exact_past_float32(agree) -> None:
    x, w = np.full((1, 400), 32767, np.int16), np.full((2, 400), 127, np.int8)
    w[1, 0] = 126
    assert agree(dense.OP, [x, w]).tolist() == [[400 * 32767 * 127, 400 * 32767 * 127 - 32767]]


def test_accumulator_refuses_to_wrap() -> None:
    x, w = np.full((1, 600), -32768, np.int16), np.full((1, 600), -128, np.int8)
    with pytest.raises(ExactnessError, match="int32"):
        dense.OP.reference([x, w], {})


@pytest.mark.parametrize("count", [1, 8, 9, 27])
def test_bits_layout(count) -> None:
    w = bipolar(4, count)
    packed = pack_signs(w)
    for o, k in np.ndindex(4, count):
        assert (packed[o, k // 8] >> (k % 8)) & 1 == (w[o, k] < 0)
    assert packed.shape == (4, -(-count // 8))
    if count % 8:
        assert not (packed[:, -1] >> (count % 8)).any()
    np.testing.assert_array_equal(unpack_signs(packed, count), w)
    with pytest.raises(ShapeError):
        pack_signs(w * 0)


@pytest.mark.parametrize("shape", [(2, 4, 3, 3), (3, 4)])
def test_threshold(agree, shape) -> None:
    acc = rng().integers(-3, 4, shape, dtype=np.int32)
    acc.flat[:2] = np.iinfo(np.int32).min, np.iinfo(np.int32).max
    got = agree(threshold.OP, [acc, np.array([np.iinfo(np.int32).min, 0, -1, np.iinfo(np.int32).max], np.int32)])
    assert (got[:, 0] == 1).all() and (got[:, 3] == -1).all()


@pytest.mark.parametrize("strides", [(2, 2), (1, 2)])
def test_bipolar_max_pool(agree, strides) -> None:
    x, minimum = bipolar(3, 4, 5, 7), np.array([0, 1, 0, 1], np.uint8)
    got = agree(bipolar_max_pool.OP, [x, minimum], {"kernel_shape": [2, 2], "strides": list(strides), "pads": [0, 0, 0, 0]})
    for n, c, i, j in np.ndindex(got.shape):
        patch = x[n, c, i * strides[0] : i * strides[0] + 2, j * strides[1] : j * strides[1] + 2]
        assert got[n, c, i, j] == (patch.min() if minimum[c] else patch.max())


@pytest.mark.parametrize("dtype", ["float32", "int32", "int16", "int8"])
@pytest.mark.parametrize("to", [FLOAT, INT8])
def test_sign(agree, dtype, to) -> None:
    x = np.array([[0, 1, -1, 100, -100, 0]], dtype)
    if dtype == "float32":
        x = np.array([[0.0, -0.0, 1e-45, -1e-45, np.inf, -np.inf]], dtype)
    agree(sign.OP, [x], {"to": to})


def test_sign_of_zero() -> None:
    assert sign.OP.reference([np.array([0.0, -0.0], np.float32)], {"to": INT8}).tolist() == [1, 1]


@pytest.mark.parametrize(
    ("low", "high", "to"), [(-127, 127, INT8), (-127, 127, FLOAT), (-128, 127, INT8), (-32767, 32767, INT16), (0, 3, INT8)]
)
@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_quantize(agree, low, high, to, dtype) -> None:
    scale = np.array([0.37], np.float32)
    x = np.concatenate([rng().normal(0, 60, 500), np.arange(-300, 300) * 0.5 * scale[0]]).astype(np.float32)[None]
    if dtype == "int32":
        x = rng().integers(-(2**20), 2**20, (1, 500), dtype=np.int32)
    agree(quantize.OP, [x, scale], {"low": low, "high": high, "to": to})


def test_quantize_ties_and_extremes(agree) -> None:
    x = np.array([[0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 1e38, -1e38, np.inf, -np.inf, np.nan, -0.0]], np.float32)
    got = agree(quantize.OP, [x, np.array([1.0], np.float32)], {"low": -127, "high": 127, "to": INT8})
    assert got.tolist() == [[0, 2, 2, 0, -2, -2, 127, -127, 127, -127, -127, 0]]


@pytest.mark.parametrize(("dtype", "to"), [("int8", INT32), ("int16", INT32), ("float32", FLOAT)])
def test_sum_pool(agree, dtype, to) -> None:
    x = integers("int8" if dtype == "float32" else dtype, 2, 3, 8, 5).astype(dtype)
    got = agree(sum_pool.OP, [x], {"to": to})
    np.testing.assert_array_equal(got, x.astype(np.int64).sum((2, 3)))


def test_sum_pool_refuses_fractions() -> None:
    with pytest.raises(ExactnessError):
        sum_pool.OP.reference([np.full((1, 1, 2, 2), 0.5, np.float32)], {"to": FLOAT})


@pytest.mark.parametrize("dtype", ["int32", "float32"])
@pytest.mark.parametrize("to", [INT32, FLOAT])
@pytest.mark.parametrize("shape", [(40, 3), (40, 1), (9, 4, 5), (9, 4, 3, 2)])
def test_arg_max_takes_the_first_of_equals(agree, dtype, to, shape) -> None:
    x = rng().integers(-2, 3, shape).astype(dtype)
    if dtype == "float32":
        x[x == 0] *= rng().choice([-1, 1], int((x == 0).sum()))  # zeros of both signs are equal
    got = agree(arg_max.OP, [x], {"to": to})
    assert got.shape == (shape[0], 1, *shape[2:])
    first = np.zeros(got.shape, int)
    for channel in range(shape[1] - 1, -1, -1):
        first[:, 0][x[:, channel] == x.max(axis=1)] = channel
    np.testing.assert_array_equal(got, first)


def test_cost() -> None:
    x, attributes = Spec("int8", (1, 64, 8, 8)), window(pads=(1, 1, 1, 1))
    binary = binary_conv.OP.cost([x, Spec("uint8", (32, 72))], {"kernel_shape": [3, 3], "in_channels": 64, **attributes})
    assert (binary.binary_macs, binary.int8_macs) == (64 * 32 * 576, 0)
    wide = conv.OP.cost([x, Spec("int8", (32, 64, 3, 3))], attributes)
    assert (wide.binary_macs, wide.int8_macs) == (0, 64 * 32 * 576)
    assert dense.OP.cost([Spec("int8", (1, 10)), Spec("int8", (3, 10))], {}).int8_macs == 30
    assert binary_dense.OP.cost([Spec("int8", (1, 10)), Spec("uint8", (3, 2))], {"in_features": 10}).binary_macs == 30


@pytest.mark.parametrize(
    ("op", "specs", "attributes"),
    [
        (conv.OP, [Spec("float32", (1, 3, 4, 4)), Spec("int8", (2, 3, 3, 3))], window()),
        (conv.OP, [Spec("int8", (1, 3, 4, 4)), Spec("int8", (2, 4, 3, 3))], window()),
        (conv.OP, [Spec("int8", (1, 3, 2, 2)), Spec("int8", (2, 3, 3, 3))], window()),
        (conv.OP, [Spec("int8", (1, 3, 4, 4)), Spec("int8", (2, 3, 3, 3))], window(pads=(1, 1))),
        (conv.OP, [Spec("int8", (1, 4, 4, 4)), Spec("int8", (3, 2, 3, 3))], window(group=2)),
        (binary_conv.OP, [Spec("int8", (1, 3, 4, 4)), Spec("uint8", (2, 3))], {"kernel_shape": [3, 3], "in_channels": 3, **window()}),
        (binary_dense.OP, [Spec("int8", (1, 9)), Spec("uint8", (2, 1))], {"in_features": 9}),
        (dense.OP, [Spec("int8", (1, 9, 1)), Spec("int8", (2, 9))], {}),
        (threshold.OP, [Spec("int32", (1, 4)), Spec("int32", (3,))], {}),
        (quantize.OP, [Spec("float32", (1, 4)), Spec("float32", (1,))], {"low": -300, "high": 300, "to": INT8}),
        (sum_pool.OP, [Spec("int8", (1, 4))], {"to": INT32}),
    ],
)
def test_shape_rules_refuse(op, specs, attributes) -> None:
    with pytest.raises(ShapeError):
        op.infer(specs, attributes)


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (4, 3)])
@pytest.mark.parametrize(("low", "count"), [(-1, 2), (0, 1), (0, 15), (-7, 14)])
def test_multi_threshold(agree, shape, low, count) -> None:
    x = rng().integers(-9, 10, shape, dtype=np.int32)
    thresholds = np.sort(rng().integers(-9, 10, (count, 3), dtype=np.int32), axis=0)
    thresholds[:, 1] = np.where(np.arange(count) < count // 2, -(2**31), 2**31 - 1)
    got = agree(multi_threshold.OP, [x, thresholds], {"low": low})
    for index in np.ndindex(x.shape):
        assert got[index] == low + sum(x[index] >= t for t in thresholds[:, index[1]].tolist())


def test_multi_threshold_refuses_levels_past_int8() -> None:
    with pytest.raises(ShapeError, match="do not fit int8"):
        multi_threshold.OP.infer([Spec("int32", (1, 2)), Spec("int32", (3, 2))], {"low": 125})


def test_padded_pool_of_levels(agree) -> None:
    x = rng().integers(-128, 128, (2, 2, 5, 6), dtype=np.int8)
    attributes = {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [2, 0, 1, 1]}
    got = agree(bipolar_max_pool.OP, [x, np.array([0, 1], np.uint8)], attributes)
    for n, c, i, j in np.ndindex(got.shape):
        window_values = x[n, c, max(2 * i - 2, 0) : 2 * i + 1, 2 * j : 2 * j + 2]
        assert got[n, c, i, j] == (window_values.min() if c else window_values.max())


@pytest.mark.parametrize("low", [-128, -1, 0])
def test_max_pool_of_levels(agree, low) -> None:
    x = rng().integers(low, 2 if low else 16, (2, 3, 5, 6), dtype=np.int8)
    x[0, 0, 0, 0] = low
    got = agree(bipolar_max_pool.OP, [x, np.array([0, 1, 1], np.uint8)], {"kernel_shape": [2, 2], "strides": [2, 1], "pads": [0, 0, 0, 0]})
    for n, c, i, j in np.ndindex(got.shape):
        window_values = x[n, c, 2 * i : 2 * i + 2, j : j + 2]
        assert got[n, c, i, j] == (window_values.min() if c else window_values.max())
