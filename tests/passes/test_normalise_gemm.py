"""Dense layers in canonical form, and why others are refused."""

from __future__ import annotations

import pytest

from qnn_deploy.ir.edit import constant
from qnn_deploy.passes.departures import departures_of
from qnn_deploy.passes.normalise_gemm import NormaliseGemm
from tests.passes._l0 import kinds, l0, run

CONSTANTS = """<float[3, 2] w = {1, 2, 3, -4, 5, 6}, float[2, 3] t = {1, 3, 5, 2, -4, 6}, float[3] b = {1, 2, -3}, float[3] half = {0.5, 0, 0},
 float[3, 2] real = {0.1, 0.2718, 0.3142, 0.4669, 0.5772, 0.6931}>"""


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("Gemm <transB = 1> (x, w)", ["Gemm"]),
        ("Gemm (x, t)", ["Gemm"]),
        ("MatMul (x, t)", ["Gemm"]),
        ("Gemm <transB = 1> (x, w, b)", ["Gemm", "q.Bias"]),
        ("Gemm <transB = 1> (x, w, half)", ["Gemm", "q.Bias"]),
    ],
)
def test_canonical(step: str, expected: list[str]) -> None:
    model = l0(f"net (float[2, 2] x) => (float[2, 3] y) {CONSTANTS} {{ y = {step} }}")
    assert run(model, NormaliseGemm) == []
    assert kinds(model) == expected
    node = next(iter(model.graph))
    weights = constant(node.inputs[1])
    assert weights is not None
    assert weights.tolist() == [[1, 2], [3, -4], [5, 6]]
    assert {name: attribute.value for name, attribute in node.attributes.items()} == {"transB": 1}


@pytest.mark.parametrize(
    ("step", "code"),
    [
        ("Gemm <transB = 1, alpha = 2.0> (x, w)", "QD0301"),
        ("Gemm <transA = 1, transB = 1> (x, w)", "QD0301"),
        ("Gemm <transB = 1, beta = 0.5> (x, w, b)", "QD0301"),
        ("MatMul (w, x)", "QD0301"),
        ("MatMul (x, x)", "QD0305"),
    ],
)
def test_refused(step: str, code: str) -> None:
    (finding,) = run(l0(f"net (float[2, 2] x) => (y) {CONSTANTS} {{ y = {step} }}"), NormaliseGemm)
    assert (finding.code, finding.where) == (code, "layer0 (net.py:0 in forward)")


def test_float_weights_are_an_island() -> None:
    model = l0(f"net (float[2, 2] x) => (y) {CONSTANTS} {{ y = Gemm <transB = 1> (x, real, b) }}")
    assert run(model, NormaliseGemm) == []
    assert kinds(model) == ["q.FloatDense", "q.Bias"]
    (departure,) = departures_of(model.graph)
    assert "float island" in departure.what


def test_more_axes_are_refused() -> None:
    (finding,) = run(l0(f"net (float[2, 5, 2] x) => (y) {CONSTANTS} {{ y = MatMul (x, t) }}"), NormaliseGemm)
    assert "3 axes" in finding.message


@pytest.mark.parametrize("step", ["Gemm <transB = 1> (x, s)", "MatMul (x, r)"])
def test_a_scale_goes_behind(step: str) -> None:
    """Rows 0.25 * (1, -3) and 0.125 * (5, 2): powers of two, so nothing departs."""
    constants = "<float[2, 2] s = {0.25, -0.75, 0.625, 0.25}, float[2, 2] r = {0.25, 0.625, -0.75, 0.25}>"
    model = l0(f"net (float[2, 2] x) => (float[2, 2] y) {constants} {{ y = {step} }}")
    assert run(model, NormaliseGemm) == []
    assert kinds(model) == ["Gemm", "q.Scale"]
    weights, scale = (constant(node.inputs[1]) for node in model.graph)
    assert weights is not None and scale is not None
    assert (weights * scale.reshape(-1, 1)).tolist() == [[0.25, -0.75], [0.625, 0.25]]
    assert departures_of(model.graph) == ()
