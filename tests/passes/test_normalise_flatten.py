"""Reshapes that keep the batch become Flatten."""

from __future__ import annotations

import pytest

from qnn_deploy.passes.normalise_flatten import NormaliseFlatten
from qnn_deploy.passes.remove_unread import RemoveUnread
from tests.passes._l0 import kinds, l0, run

CONSTANTS = (
    "<int64[2] k = {2, 48}, int64[2] auto = {-1, 48}, int64[3] three = {2, 3, 16}, int64[2] wrong = {1, 96}, int64[2] back = {2, 3}>"
)


@pytest.mark.parametrize(
    "steps",
    [
        "y = Reshape (x, k)",
        "y = Reshape (x, auto)",
        "y = Flatten (x)",
        "a = Reshape (x, three) y = Flatten (a)",
        "a = Flatten (x) y = Relu (a)",
    ],
)
def test_flatten(steps: str) -> None:
    model = l0(f"net (float[2, 3, 4, 4] x) => (float[2, 48] y) {CONSTANTS} {{ {steps} }}")
    run(model, NormaliseFlatten, RemoveUnread)
    node = next(iter(model.graph))
    assert kinds(model)[0] == "Flatten"
    assert node.attributes["axis"].as_int() == 1
    assert node.inputs[0] is model.graph.inputs[0]


def test_squeeze_in_two_steps() -> None:
    text = "<int64[1] last = {-1}> { a = Squeeze (x, last) y = Squeeze (a, last) }"
    model = l0(f"net (float[2, 3, 1, 1] x) => (float[2, 3] y) {text}")
    run(model, NormaliseFlatten, RemoveUnread)
    assert kinds(model) == ["Flatten"]


def test_there_and_back_is_nothing() -> None:
    text = "<int64[2] axes = {2, 3}, int64[2] back = {2, 3}> { a = Unsqueeze (x, axes) b = Reshape (a, back) y = Relu (b) }"
    model = l0(f"net (float[2, 3] x) => (float[2, 3] y) {text}")
    run(model, NormaliseFlatten, RemoveUnread)
    assert kinds(model) == ["Relu"]


@pytest.mark.parametrize("steps", ["y = Reshape (x, wrong)", "y = Reshape (x, three)", "t = Transpose (x) y = Flatten <axis = 2> (t)"])
def test_others_are_left(steps: str) -> None:
    model = l0(f"net (float[2, 3, 4, 4] x) => (y) {CONSTANTS} {{ {steps} }}")
    run(model, NormaliseFlatten)
    assert "Flatten" not in kinds(model) or "Transpose" in kinds(model)
