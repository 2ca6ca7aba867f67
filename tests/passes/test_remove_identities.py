"""What changes nothing goes; what changes a bit stays."""

from __future__ import annotations

import pytest

from qnn_deploy.passes.remove_identities import RemoveIdentities
from tests.passes._l0 import kinds, l0, run

CONSTANTS = "<float[1] one = {1}, float[3] ones = {1, 1, 1}, float[1] zero = {0}, int64[2] shape = {2, 3}, bool no = {0}, bool yes = {1}>"


@pytest.mark.parametrize(
    "step",
    [
        "Identity (x)",
        "Dropout (x)",
        "Dropout (x, zero, no)",
        "Cast <to = 1> (x)",
        "Reshape (x, shape)",
        "Expand (x, shape)",
        "Flatten <axis = 1> (x)",
        "Transpose <perm = [0, 1]> (x)",
        "Concat <axis = 1> (x)",
        "Mul (x, one)",
        "Mul (x, ones)",
        "Div (x, one)",
    ],
)
def test_removed(step: str) -> None:
    model = l0(f"net (float[2, 3] x) => (float[2, 3] y) {CONSTANTS} {{ a = {step} y = Relu (a) }}")
    run(model, RemoveIdentities)
    assert kinds(model) == ["Relu"]
    assert next(iter(model.graph)).inputs[0] is model.graph.inputs[0]


@pytest.mark.parametrize(
    "step",
    [
        "Add (x, zero)",  # turns -0.0 into 0.0
        "Cast <to = 11> (x)",
        "Dropout (x, zero, yes)",
        "Transpose <perm = [1, 0]> (x)",
        "Concat <axis = 1> (x, x)",
        "Sub (one, x)",
    ],
)
def test_kept(step: str) -> None:
    model = l0(f"net (float[3, 3] x) => (float[3, 3] y) {CONSTANTS} {{ a = {step} b = Identity (a) y = Relu (b) }}")
    run(model, RemoveIdentities)
    assert len(kinds(model)) == 2


def test_at_the_graph_output() -> None:
    model = l0("net (float[2, 3] x) => (float[2, 3] y) { a = Relu (x) y = Identity (a) }")
    run(model, RemoveIdentities)
    assert kinds(model) == ["Relu"]
    assert model.graph.outputs[0].producer() is next(iter(model.graph))
