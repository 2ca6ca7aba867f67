"""Axes of size 1 behind a pool are carried to the Flatten that drops them."""

from __future__ import annotations

import pytest

from qnn_deploy.ir.edit import constant, shape_of
from qnn_deploy.passes.normalise_prelu import NormalisePRelu
from qnn_deploy.passes.remove_unread import RemoveUnread
from qnn_deploy.passes.sink_unsqueeze import SinkUnsqueeze
from tests.passes._l0 import kinds, l0, run

CONSTANTS = """<int64[2] axes = {2, 3}, float[1] s = {2}, float[4] g = {1, 2, 3, 4}, float zero = {0}, float six = {6},
 float[3, 4, 1, 1] w = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}>"""


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ("u = Unsqueeze (x, axes) y = Flatten (u)", []),
        ("u = Unsqueeze (x, axes) r = Relu (u) y = Flatten (r)", ["Relu"]),
        ("u = Unsqueeze (x, axes) c = Clip (u, zero, six) r = Relu (c) y = Flatten (r)", ["Clip", "Relu"]),
        ("u = Unsqueeze (x, axes) b = BatchNormalization (u, g, g, g, g) y = Flatten (b)", ["BatchNormalization"]),
        ("u = Unsqueeze (x, axes) p = PRelu (u, s) y = Flatten (p)", ["q.PRelu"]),
        ("u = Unsqueeze (x, axes) a = Add (u, u) y = Flatten (a)", ["Add"]),
        ("u = Unsqueeze (x, axes) v = Relu (u) a = Add (u, v) y = Flatten (a)", ["Relu", "Add"]),
    ],
)
def test_sinks(steps: str, expected: list[str]) -> None:
    model = l0(f"net (float[2, 4] x) => (float[2, 4] y) {CONSTANTS} {{ {steps} }}")
    run(model, NormalisePRelu, SinkUnsqueeze, RemoveUnread)
    assert kinds(model) == expected
    assert all(shape_of(node.outputs[0]) == (2, 4) for node in model.graph)


def test_pointwise_convolution_becomes_dense() -> None:
    text = "{ u = Unsqueeze (x, axes) c = Conv <pads = [0, 0, 0, 0], group = 1> (u, w) y = Flatten (c) }"
    model = l0(f"net (float[2, 4] x) => (float[2, 3] y) {CONSTANTS} {text}")
    run(model, SinkUnsqueeze, RemoveUnread)
    assert kinds(model) == ["Gemm"]
    weights = constant(next(iter(model.graph)).inputs[1])
    assert weights is not None
    assert weights.tolist() == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]


@pytest.mark.parametrize(
    "steps", ["u = Unsqueeze (x, axes) y = Add (u, z)", "u = Unsqueeze (x, axes) y = Conv <pads = [1, 1, 1, 1]> (u, w)"]
)
def test_others_are_left(steps: str) -> None:
    model = l0(f"net (float[2, 4] x, float[2, 4, 1, 1] z) => (y) {CONSTANTS} {{ {steps} }}")
    run(model, SinkUnsqueeze)
    assert kinds(model)[0] == "Unsqueeze"
