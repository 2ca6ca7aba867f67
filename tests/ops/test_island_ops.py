"""Float islands: stock runtimes give the reference's bits, and another order of summation gives others."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from qnn_deploy.ops import float_conv, float_dense, float_sum_pool
from qnn_deploy.ops._base import ShapeError, Spec

ENDS = [onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL, onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL]


def floats(*shape: int, seed: int = 0) -> np.ndarray:
    """Of many sizes, zeros of both signs and subnormals among them."""
    rng = np.random.default_rng(seed)
    values = (rng.normal(0, 1, shape) * 10.0 ** rng.integers(-4, 3, shape)).astype(np.float32)
    values.flat[::7], values.flat[1::11], values.flat[2::13] = 0, -0.0, 3e-40
    return values


@pytest.mark.parametrize("dtype", ["float32", "int8", "int16", "int32"])
@pytest.mark.parametrize(
    ("group", "window"),
    [
        (1, {"strides": [1, 1], "pads": [1, 1, 1, 1], "dilations": [1, 1]}),
        (2, {"strides": [2, 1], "pads": [1, 0, 2, 1], "dilations": [1, 2]}),
        (4, {"strides": [1, 2], "pads": [0, 0, 0, 1], "dilations": [2, 1]}),
    ],
)
def test_convolution(agree, dtype: str, group: int, window: dict[str, list[int]]) -> None:
    x = floats(2, 4, 7, 6) if dtype == "float32" else np.random.default_rng(1).integers(-99, 99, (2, 4, 7, 6)).astype(dtype)
    w = floats(8, 4 // group, 3, 2, seed=2)
    attributes = {**window, "group": group}
    y = agree(float_conv.OP, [x, w], attributes, levels=ENDS)
    assert dtype != "float32" or not np.array_equal(y, float_conv.OP.reference([x[:, ::-1], w[:, ::-1]], attributes)) or group > 1


def test_one_element_by_hand() -> None:
    """Channel, row, column; each product and each sum rounded."""
    x, w = floats(1, 3, 2, 2), floats(1, 3, 2, 2, seed=3)
    total = np.float32(0)
    for c in range(3):
        for i in range(2):
            for j in range(2):
                total = np.float32(total + np.float32(x[0, c, i, j] * w[0, c, i, j]))
    attributes = {"strides": [1, 1], "pads": [0, 0, 0, 0], "dilations": [1, 1], "group": 1}
    assert float_conv.OP.reference([x, w], attributes).item() == total
    # A dense layer over the flattened map sums in the same order.
    assert float_dense.OP.reference([x.reshape(1, -1), w.reshape(1, -1)], {}).item() == total


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_dense(agree, dtype: str) -> None:
    x = floats(3, 50) if dtype == "float32" else np.random.default_rng(1).integers(-1, 2, (3, 50)).astype(dtype)
    agree(float_dense.OP, [x, floats(5, 50, seed=4)], {}, levels=ENDS)


def test_sum_over_the_map(agree) -> None:
    x = floats(3, 5, 7, 4)
    y = agree(float_sum_pool.OP, [x], {}, levels=ENDS)
    assert not np.array_equal(y, float_sum_pool.OP.reference([x[:, :, ::-1]], {}))


@pytest.mark.parametrize(
    ("op", "specs"),
    [
        (float_conv.OP, [Spec("uint8", (1, 2, 4, 4)), Spec("float32", (3, 2, 1, 1))]),
        (float_conv.OP, [Spec("float32", (1, 2, 4, 4)), Spec("int8", (3, 2, 1, 1))]),
        (float_dense.OP, [Spec("float32", (1, 2, 4, 4)), Spec("float32", (3, 32))]),
        (float_dense.OP, [Spec("float32", (1, 31)), Spec("float32", (3, 32))]),
        (float_dense.OP, [Spec("float32", (1, 32)), Spec("int8", (3, 32))]),
        (float_sum_pool.OP, [Spec("int8", (1, 2, 4, 4))]),
    ],
)
def test_shape_rules_refuse(op, specs: list[Spec]) -> None:
    with pytest.raises(ShapeError):
        op.infer(specs, {"strides": [1, 1], "pads": [0, 0, 0, 0], "dilations": [1, 1], "group": 1})
