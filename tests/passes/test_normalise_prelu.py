"""PRelu and LeakyRelu in one form, with torch's bits; slopes that cannot be deployed are refused."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from qnn_deploy.ir.edit import constant
from qnn_deploy.passes.normalise_prelu import NormalisePRelu
from tests.passes._l0 import kinds, l0, run

CONSTANTS = """<float one = {0.25}, float[1] single = {-2}, float[2, 1, 1] c = {0.5, -1}, float[1, 2, 1, 1] four = {3, 0}, float[2, 1, 1] same = {7, 7},
 float[3] columns = {1, 2, 3}, float[2, 3, 1] rows = {1, 1, 1, 1, 1, 2}>"""


def _net(step: str) -> ir.Model:
    return l0(f"net (float[5, 2, 3, 3] x, float[2, 1, 1] z) => (float[5, 2, 3, 3] y) {CONSTANTS} {{ y = {step} }}")


@pytest.mark.parametrize(
    ("step", "slopes"),
    [
        ("PRelu (x, one)", [0.25]),
        ("PRelu (x, single)", [-2]),
        ("PRelu (x, c)", [0.5, -1]),
        ("PRelu (x, four)", [3, 0]),
        ("PRelu (x, same)", [7]),
        ("LeakyRelu (x)", [0.01]),
        ("LeakyRelu <alpha = -0.3> (x)", [-0.3]),
    ],
)
def test_canonical(step: str, slopes: list[float]) -> None:
    model = _net(step)
    assert run(model, NormalisePRelu) == []
    (node,) = model.graph
    found = constant(node.inputs[1])
    assert kinds(model) == ["q.PRelu"] and found is not None and not node.attributes
    assert found.dtype == np.float32 and np.array_equal(found, np.array(slopes, np.float32))


def test_vectors_over_features() -> None:
    model = l0("net (float[5, 3] x) => (float[5, 3] y) <float[3] s = {1, 2, 3}> { y = PRelu (x, s) }")
    assert run(model, NormalisePRelu) == []
    assert kinds(model) == ["q.PRelu"]


def test_zeros_of_two_signs_are_two_slopes() -> None:
    model = _net("PRelu (x, c)")
    zeros = np.array([0.0, -0.0], np.float32).reshape(2, 1, 1)
    model.graph.initializers["c"].const_value = ir.tensor(zeros, name="c")
    assert run(model, NormalisePRelu) == []
    found = constant(next(iter(model.graph)).inputs[1])
    assert found is not None and found.tobytes() == zeros.tobytes()


@pytest.mark.parametrize("step", ["PRelu (x, columns)", "PRelu (x, rows)"])
def test_along_another_axis(step: str) -> None:
    (finding,) = run(_net(step), NormalisePRelu)
    assert (finding.code, "another axis" in finding.message, finding.where) == ("QD0301", True, "layer0 (net.py:0 in forward)")


def test_computed_slopes() -> None:
    (finding,) = run(_net("PRelu (x, z)"), NormalisePRelu)
    assert (finding.code, "computed" in finding.message, "parameter" in finding.help) == ("QD0301", True, True)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_damage(value: float) -> None:
    model = _net("PRelu (x, c)")
    model.graph.initializers["c"].const_value = ir.tensor(np.array([[[0.5]], [[value]]], np.float32), name="c")
    (finding,) = run(model, NormalisePRelu)
    assert (finding.code, "NaN or Inf" in finding.message) == ("QD0304", True)
