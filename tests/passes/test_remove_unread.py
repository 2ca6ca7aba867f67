"""Nodes and constants that nothing reads go."""

from __future__ import annotations

from qnn_deploy.passes.remove_unread import RemoveUnread
from tests.passes._l0 import kinds, l0, run


def test_chains_go_and_outputs_stay() -> None:
    text = "<float one = {1}, float two = {2}> { a = Add (x, one) b = Relu (a) y = Add (x, two) }"
    model = l0(f"net (float[2] x) => (float[2] y) {text}")
    run(model, RemoveUnread)
    assert kinds(model) == ["Add"]
    assert list(model.graph.initializers) == ["two"]
