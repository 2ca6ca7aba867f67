"""Arithmetic with constants and of two maps, one operation for one."""

from __future__ import annotations

import numpy as np
import pytest

from qnn_deploy.ir.edit import constant
from qnn_deploy.passes.normalise_elementwise import NormaliseElementwise
from tests.passes._l0 import kinds, l0, run

CONSTANTS = """<float two = {2}, float third = {3}, float quarter = {0.25}, float[2, 1, 1] c = {1, -0.5}, float[1, 2, 1, 1] d = {4, -0.125},
 float[3] columns = {1, 2, 3}, float[2, 1, 3] inner = {1, 1, 1, 2, 2, 2}, float[5, 1, 1, 1] batch = {1, 1, 1, 1, 1}>"""


def _vectors(step: str) -> list[tuple[str, list[float]]]:
    model = l0(f"net (float[5, 2, 3, 3] x, float[5, 2, 3, 3] z) => (float[5, 2, 3, 3] y) {CONSTANTS} {{ y = {step} }}")
    assert run(model, NormaliseElementwise) == []
    found = []
    for node, kind in zip(model.graph, kinds(model), strict=True):
        array = constant(node.inputs[1]) if len(node.inputs) > 1 else None
        if array is not None:
            assert array.dtype == np.float32
            assert array.ndim == 1
        found.append((kind, [] if array is None else array.tolist()))
    return found


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("Mul (x, two)", [("q.Scale", [2])]),
        ("Mul (c, x)", [("q.Scale", [1, -0.5])]),
        ("Mul (x, inner)", [("q.Scale", [1, 2])]),
        ("Mul (x, batch)", [("q.Scale", [1])]),
        ("Div (x, quarter)", [("q.Scale", [4])]),
        ("Div (x, d)", [("q.Scale", [0.25, -8])]),
        ("Neg (x)", [("q.Scale", [-1])]),
        ("Add (x, c)", [("q.Bias", [1, -0.5])]),
        ("Sub (x, c)", [("q.Bias", [-1, 0.5])]),
        ("Sub (c, x)", [("q.Scale", [-1]), ("q.Bias", [1, -0.5])]),
        ("Add (x, z)", [("Add", [])]),
        ("Sub (x, z)", [("q.Scale", [-1]), ("Add", [])]),
        ("Sub (x, x)", [("q.Scale", [-1]), ("Add", [])]),
    ],
)
def test_canonical(step: str, expected: list[tuple[str, list[float]]]) -> None:
    assert _vectors(step) == expected


def test_zeros_of_two_signs_are_two_scales() -> None:
    model = l0("net (float[5, 2] x) => (float[5, 2] y) <float[2] z = {0, -0.0}> { y = Mul (x, z) }")
    assert run(model, NormaliseElementwise) == []
    found = constant(next(iter(model.graph)).inputs[1])
    assert found is not None and np.signbit(found).tolist() == [False, True]


def test_vectors_over_features() -> None:
    model = l0("net (float[5, 3] x) => (float[5, 3] y) <float[3] b = {1, 2, 3}> { y = Add (x, b) }")
    assert run(model, NormaliseElementwise) == []
    assert kinds(model) == ["q.Bias"]


def test_concat_axis_is_counted_from_the_front() -> None:
    model = l0("net (float[5, 2, 3, 3] x) => (float[5, 4, 3, 3] y) { y = Concat <axis = -3> (x, x) }")
    run(model, NormaliseElementwise)
    assert next(iter(model.graph)).attributes["axis"].as_int() == 1


@pytest.mark.parametrize(
    ("step", "text"),
    [
        ("Div (x, third)", "a division by 3, which is not a power of two"),
        ("Div (two, x)", "a constant divided by a tensor"),
        ("Add (x, columns)", "differs along another axis"),
        ("Add (s, z)", "tensors of two shapes"),
        ("Mul (s, columns)", "changes the shape"),
    ],
)
def test_refused(step: str, text: str) -> None:
    model = l0(f"net (float[5, 2, 3, 3] x, float[5, 2, 3, 3] z, float[5, 2, 3, 1] s) => (y) {CONSTANTS} {{ y = {step} }}")
    (finding,) = run(model, NormaliseElementwise)
    assert (finding.code, finding.where) == ("QD0301", "layer0 (net.py:0 in forward)")
    assert text in finding.message


def test_scaled_pixels_get_advice() -> None:
    (finding,) = run(
        l0(f"net (uint8[5, 2, 3, 3] x) => (y) {CONSTANTS} {{ f = Cast <to = 1> (x) y = Div (f, third) }}"), NormaliseElementwise
    )
    assert "--input" in finding.help
