"""From integer pixels to SubtractZero."""

from __future__ import annotations

import pytest

from qnn_deploy.ir.edit import constant
from qnn_deploy.passes.normalise_elementwise import NormaliseElementwise
from qnn_deploy.passes.normalise_input import NormaliseInput
from qnn_deploy.passes.remove_unread import RemoveUnread
from tests.passes._l0 import kinds, l0, run

PASSES = (NormaliseElementwise, RemoveUnread, NormaliseInput)


def _zeros(text: str, dtype: str = "uint8") -> list[tuple[str, list[int]]]:
    model = l0(f"net ({dtype}[2, 2, 3, 3] x) => (y) <float[2, 1, 1] c = {{3, 255}}, float s = {{0.5}}, float m = {{-7}}> {{ {text} }}")
    assert run(model, *PASSES) == []
    found = []
    for node, kind in zip(model.graph, kinds(model), strict=True):
        array = constant(node.inputs[1]) if kind == "q.SubtractZero" else None
        found.append((kind, [] if array is None else array.tolist()))
    return found


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ("f = Cast <to = 1> (x) y = Sub (f, c)", [("q.SubtractZero", [3, 255])]),
        ("f = Cast <to = 1> (x) y = Add (f, m)", [("q.SubtractZero", [7, 7])]),
        ("f = Cast <to = 1> (x) y = Relu (f)", [("q.SubtractZero", [0, 0]), ("Relu", [])]),
        ("f = Cast <to = 1> (x) d = Sub (f, c) y = Mul (d, s)", [("q.SubtractZero", [3, 255]), ("q.Scale", [])]),
        ("f = Cast <to = 1> (x) d = Mul (f, s) y = Add (d, c)", [("q.SubtractZero", [0, 0]), ("q.Scale", []), ("q.Bias", [])]),
        ("f = Cast <to = 1> (x) d = Sub (f, c) y = Add (d, f)", [("q.SubtractZero", [0, 0]), ("q.SubtractZero", [3, 255]), ("Add", [])]),
    ],
)
def test_canonical(steps: str, expected: list[tuple[str, list[int]]]) -> None:
    assert _zeros(steps) == expected


def test_int8_and_int16() -> None:
    assert _zeros("f = Cast <to = 1> (x) y = Sub (f, m)", "int8") == [("q.SubtractZero", [-7, -7])]
    assert _zeros("f = Cast <to = 1> (x) y = Relu (f)", "int16")[0] == ("q.SubtractZero", [0, 0])


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("net (float[2, 2, 3, 3] x) => (y) { y = Relu (x) }", "QD0308", "float, not uint8"),
        ("net (int32[2, 2, 3, 3] x) => (y) { y = Cast <to = 1> (x) }", "QD0308", "int32, not uint8"),
        ("net (uint8[2, 3, 3, 3, 3] x) => (y) { y = Cast <to = 1> (x) }", "QD0302", "2 to 4 axes"),
        ("net (uint8[2, 2, H, W] x) => (y) { y = Cast <to = 1> (x) }", "QD0302", "not static"),
        ("net (uint8[2, 3] x, uint8[2, 3] z) => (y) { y = Cast <to = 1> (x) }", "QD0308", "2 inputs"),
        ("net (uint8[2, 3] x) => (y) <uint8 z = {3}> { a = Sub (x, z) y = Cast <to = 1> (a) }", "QD0308", "Sub on the integer input"),
        ("net (uint8[2, 3] x) => (y) <float z = {127.5}> { a = Cast <to = 1> (x) y = Sub (a, z) }", "QD0308", "127.5"),
        ("net (uint8[2, 3] x) => (y) <float z = {256}> { a = Cast <to = 1> (x) y = Sub (a, z) }", "QD0308", "256"),
        ("net (uint8[2, 3] x) => (y) <float z = {1}> { a = Cast <to = 1> (x) y = Add (a, z) }", "QD0308", "-1"),
        ("net (int16[2, 3] x) => (y) <float z = {2}> { a = Cast <to = 1> (x) y = Sub (a, z) }", "QD0308", "2"),
    ],
)
def test_refused(text: str, code: str, message: str) -> None:
    (finding,) = run(l0(text), *PASSES)
    assert finding.code == code
    assert message in finding.message
    assert finding.where
