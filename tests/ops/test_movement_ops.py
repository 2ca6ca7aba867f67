"""Rearrangements, transposed convolutions and signals, as the references define them, on every runtime."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto

from qnn_deploy.ops import conv_transpose, onnx_squeeze, onnx_unsqueeze, rearrange
from qnn_deploy.ops._base import ShapeError, Spec

DTYPES = ("int8", "int16", "int32", "float32")


def random(*shape: int, dtype: str = "int8") -> np.ndarray:
    return np.random.default_rng(0).integers(-100, 100, shape).astype(dtype)


def attributes(block=(1, 1), strides=(1, 1), offset=(0, 0), size=(1, 1)) -> dict:
    return {"block": list(block), "strides": list(strides), "offset": list(offset), "size": list(size)}


def index(*rows) -> np.ndarray:
    return np.array(rows, np.int32)


@pytest.mark.parametrize("dtype", DTYPES)
def test_selected_channels(agree, dtype) -> None:
    x = random(2, 5, 3, 4, dtype=dtype)
    got = agree(rearrange.OP, [x, index([4, 0, 0, 2])], attributes(size=(3, 4)))
    np.testing.assert_array_equal(got, x[:, [4, 0, 0, 2]])
    vector = random(3, 5, dtype=dtype)
    np.testing.assert_array_equal(agree(rearrange.OP, [vector, index([3, 1])], attributes()), vector[:, [3, 1]])


@pytest.mark.parametrize("dtype", DTYPES)
def test_upsampling_and_cropping(agree, dtype) -> None:
    x = random(2, 3, 2, 3, dtype=dtype)
    every = index(*[[0, 1, 2]] * 6)
    got = agree(rearrange.OP, [x, every], attributes((2, 3), size=(4, 9)))
    np.testing.assert_array_equal(got, x.repeat(2, 2).repeat(3, 3))
    got = agree(rearrange.OP, [x, every], attributes((2, 3), offset=(1, 4), size=(2, 3)))
    np.testing.assert_array_equal(got, x.repeat(2, 2).repeat(3, 3)[:, :, 1:3, 4:7])


def test_pixel_shuffle_and_back(agree) -> None:
    x = random(2, 8, 3, 2)
    shuffle = index(*[[4 * c + p for c in range(2)] for p in range(4)])
    got = agree(rearrange.OP, [x, shuffle], attributes((2, 2), size=(6, 4)))
    np.testing.assert_array_equal(got, x.reshape(2, 2, 2, 2, 3, 2).transpose(0, 1, 4, 2, 5, 3).reshape(2, 2, 6, 4))
    back = index([p * 2 + c for c in range(2) for p in range(4)])
    np.testing.assert_array_equal(agree(rearrange.OP, [got, back], attributes(strides=(2, 2), size=(3, 2))), x)


def test_strided_slices_of_an_odd_map(agree) -> None:
    x = random(1, 3, 5, 7)
    got = agree(rearrange.OP, [x, index([0, 1, 2])], attributes(strides=(2, 2), size=(2, 3)))
    np.testing.assert_array_equal(got, x[:, :, 0:4:2, 0:6:2])


def test_rearrange_refuses_what_is_not_there() -> None:
    x = Spec("int8", (1, 4, 3, 3))
    for bad in (attributes(size=(4, 3)), attributes(offset=(1, 0), size=(3, 3)), attributes(strides=(2, 1), size=(2, 3))):
        with pytest.raises(ShapeError, match="larger"):
            rearrange.infer([x, Spec("int32", (1, 4))], bad)
    with pytest.raises(ShapeError, match="index"):
        rearrange.infer([x, Spec("int32", (4, 4))], attributes((2, 1), size=(3, 3)))


TRANSPOSED = {
    "plain": ((2, 3, 4, 5), (4, 3, 3, 3), {}),
    "doubling": ((2, 3, 4, 5), (4, 3, 3, 3), {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]}),
    "uneven": ((1, 2, 3, 4), (3, 2, 4, 2), {"strides": [3, 2], "pads": [2, 0, 1, 1], "output_padding": [2, 0]}),
    "kernel smaller than the stride": ((1, 2, 3, 3), (2, 2, 1, 2), {"strides": [2, 3], "output_padding": [1, 2]}),
    "groups": ((2, 6, 3, 2), (4, 3, 2, 3), {"strides": [2, 1], "group": 2}),
}


@pytest.mark.parametrize("case", TRANSPOSED)
@pytest.mark.parametrize("dtype", ["int8", "int16"])
def test_transposed_convolution(agree, case, dtype) -> None:
    shape, weights, given = TRANSPOSED[case]
    options = {"strides": [1, 1], "pads": [0, 0, 0, 0], "output_padding": [0, 0], "group": 1, "to": int(TensorProto.INT32), **given}
    x, w = random(*shape, dtype=dtype), random(*weights)
    # ONNX's own evaluator multiplies the whole input by each group's weights.
    got = agree(conv_transpose.OP, [x, w], options, evaluator=options["group"] == 1)
    (top, left, bottom, right), group = options["pads"], options["group"]
    full = np.zeros((shape[0], weights[0], got.shape[2] + top + bottom + 9, got.shape[3] + left + right + 9))
    outputs, inputs = weights[0] // group, weights[1]
    for b, c, i, j in np.ndindex(*shape):  # each pixel, spread by the kernel
        g = c // inputs
        y, z = i * options["strides"][0], j * options["strides"][1]
        patch = int(x[b, c, i, j]) * w[g * outputs : (g + 1) * outputs, c % inputs].astype(np.int64)
        full[b, g * outputs : (g + 1) * outputs, y : y + weights[2], z : z + weights[3]] += patch
    np.testing.assert_array_equal(got, full[:, :, top : top + got.shape[2], left : left + got.shape[3]])


def test_signals(agree) -> None:
    x, axes = random(2, 3, 7), np.array([3], np.int64)
    up = agree(onnx_unsqueeze.OP, [x, axes])
    assert up.shape == (2, 3, 7, 1)
    np.testing.assert_array_equal(agree(onnx_squeeze.OP, [up, axes]), x)
