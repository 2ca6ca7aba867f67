"""Quantisers are found where the arithmetic gives the same integers, and only there."""

from __future__ import annotations

import numpy as np
import pytest

from qnn_deploy.ir.edit import constant
from qnn_deploy.passes.normalise_clip import NormaliseClip
from qnn_deploy.passes.recognise_quantize import RecogniseQuantize
from qnn_deploy.passes.remove_unread import RemoveUnread
from tests.passes._l0 import kinds, l0, run

CONSTANTS = """<float tenth = {0.1}, float four = {4}, float ten = {10}, float low = {-8}, float high = {7}, float odd = {7.5}, float none = {0},
 float[2] two = {1, 2}>"""


@pytest.mark.parametrize(
    ("steps", "scale"),
    [
        ("d = Div (x, tenth) r = Round (d) y = Clip (r, low, high)", 0.1),
        ("d = Div (x, tenth) c = Clip (d, low, high) y = Round (c)", 0.1),
        ("d = Div (x, tenth) r = Round (d) a = Max (r, low) y = Min (a, high)", 0.1),
        ("d = Mul (x, four) r = Round (d) y = Clip (r, low, high)", 0.25),
        ("r = Round (x) y = Clip (r, low, high)", 1),
        ("y = qnn_deploy.quantize <low = -8, high = 7> (x, tenth)", 0.1),
    ],
)
def test_quantisers(steps: str, scale: float) -> None:
    model = l0(f"net (float[2, 2] x) => (float[2, 2] y) {CONSTANTS} {{ {steps} }}")
    assert run(model, NormaliseClip, RecogniseQuantize, RemoveUnread) == []
    assert kinds(model) == ["q.Quantize"]
    (node,) = model.graph
    assert {name: attribute.value for name, attribute in node.attributes.items()} == {"low": -8, "high": 7, "to": 1}
    assert node.inputs[0] is model.graph.inputs[0]
    array = constant(node.inputs[1])
    assert array is not None
    assert (array.shape, array.dtype) == ((1,), np.float32)
    assert array[0] == np.float32(scale)


@pytest.mark.parametrize(
    "steps",
    [
        "d = Mul (x, ten) r = Round (d) y = Clip (r, low, high)",  # not x / 0.1: this rounds differently, and stays a scale of its own
        "r = Round (x) y = Clip (r, low, odd)",
        "r = Round (x) y = Clip (r, low)",
        "y = Round (x)",
    ],
)
def test_others_are_not_divided(steps: str) -> None:
    model = l0(f"net (float[2, 2] x) => (float[2, 2] y) {CONSTANTS} {{ {steps} }}")
    run(model, NormaliseClip, RecogniseQuantize, RemoveUnread)
    for node in model.graph:
        if node.op_type == "Quantize":
            assert constant(node.inputs[1]) == 1
            assert node.inputs[0] is not None and node.inputs[0].producer() is not None


@pytest.mark.parametrize("scale", ["none", "two"])
def test_bad_scales_are_refused(scale: str) -> None:
    model = l0(f"net (float[2, 2] x) => (float[2, 2] y) {CONSTANTS} {{ y = qnn_deploy.quantize <low = -8, high = 7> (x, {scale}) }}")
    (finding,) = run(model, RecogniseQuantize)
    assert (finding.code, "scale" in finding.message) == ("QD0301", True)
