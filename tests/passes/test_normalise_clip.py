"""Clamps in one form."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from qnn_deploy.ir.edit import constant
from qnn_deploy.passes.normalise_clip import NormaliseClip
from qnn_deploy.passes.remove_unread import RemoveUnread
from tests.passes._l0 import kinds, l0, run

CONSTANTS = "<float low = {-8}, float high = {7}, float[2, 3] lows = {-8, -8, -8, -8, -8, -8}, float[3] mixed = {1, 2, 3}>"


def _limits(model: ir.Model) -> list[tuple[float, float]]:
    result = []
    for node in model.graph:
        low, high = constant(node.inputs[1]), constant(node.inputs[2])
        assert low is not None and high is not None
        assert low.shape == high.shape == ()
        assert low.dtype == high.dtype == np.float32
        result.append((float(low), float(high)))
    return result


@pytest.mark.parametrize(
    ("steps", "limits"),
    [
        ("y = Max (x, low)", [(-8, np.inf)]),
        ("y = Max (lows, x)", [(-8, np.inf)]),
        ("y = Min (x, high)", [(-np.inf, 7)]),
        ("a = Max (x, low) y = Min (a, high)", [(-8, 7)]),
        ("a = Min (x, high) y = Max (a, low)", [(-8, 7)]),
        ("y = Clip (x, low, high)", [(-8, 7)]),
        ("y = Clip (x, low)", [(-8, np.inf)]),
        ("a = Clip (x, low, high) y = Clip (a, high)", [(7, 7)]),
        ("a = Max (x, high) y = Min (a, low)", [(7, np.inf), (-np.inf, -8)]),
    ],
)
def test_clip(steps: str, limits: list[tuple[float, float]]) -> None:
    model = l0(f"net (float[2, 3] x) => (float[2, 3] y) {CONSTANTS} {{ {steps} }}")
    assert run(model, NormaliseClip, RemoveUnread) == []
    assert set(kinds(model)) == {"Clip"}
    assert _limits(model) == limits


def test_other_extrema_are_left() -> None:
    model = l0(f"net (float[2, 3] x) => (float[2, 3] y) {CONSTANTS} {{ a = Max (x, mixed) y = Max (a, x) }}")
    assert run(model, NormaliseClip) == []
    assert kinds(model) == ["Max", "Max"]


def test_clamp_to_a_tensor_is_refused() -> None:
    (finding,) = run(l0(f"net (float[2, 3] x, float l) => (float[2, 3] y) {CONSTANTS} {{ y = Clip (x, l) }}"), NormaliseClip)
    assert (finding.code, "constant numbers" in finding.message) == ("QD0301", True)
