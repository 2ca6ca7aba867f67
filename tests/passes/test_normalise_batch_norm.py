"""BatchNormalization stays apart, and damaged ones are refused."""

from __future__ import annotations

import onnx_ir as ir
import pytest

from qnn_deploy.passes.normalise_batch_norm import NormaliseBatchNorm
from tests.passes._l0 import kinds, l0, run

NET = """net (float[2, 2, 3, 3] x) => (float[2, 2, 3, 3] y)
<float[2] g = {-1, 0.5}, float[2] b = {0, 1}, float[2] m = {3, 4}, float[2] v = {1, 2}, float[1] wide = {1}>
{ y = BatchNormalization <epsilon = 0.001, momentum = 0.9> (x, g, b, m, v) }"""


def test_epsilon_alone_is_written() -> None:
    model = l0(NET)
    assert run(model, NormaliseBatchNorm) == []
    assert kinds(model) == ["BatchNormalization"]
    (node,) = model.graph
    assert list(node.attributes) == ["epsilon"]
    assert [value.name for value in node.inputs if value is not None] == ["x", "g", "b", "m", "v"]


@pytest.mark.parametrize(
    ("name", "values", "text"),
    [
        ("g", [float("nan"), 1], "gamma holds NaN"),
        ("b", [float("inf"), 1], "beta holds NaN or Inf"),
        ("m", [float("-inf"), 1], "mean holds NaN or Inf"),
        ("v", [1, float("nan")], "variance holds NaN"),
        ("v", [1, -1e-9], "negative variance"),
    ],
)
def test_damage(name: str, values: list[float], text: str) -> None:
    model = l0(NET)
    import numpy as np

    model.graph.initializers[name].const_value = ir.tensor(np.array(values, np.float32), name=name)
    (finding,) = run(model, NormaliseBatchNorm)
    assert (finding.code, finding.where) == ("QD0304", "layer0 (net.py:0 in forward)")
    assert text in finding.message


def test_division_by_zero() -> None:
    (finding,) = run(l0(NET.replace("0.001", "0.0").replace("v = {1, 2}", "v = {0, 2}")), NormaliseBatchNorm)
    assert (finding.code, "variance of 0" in finding.message) == ("QD0304", True)


@pytest.mark.parametrize("change", [("momentum = 0.9", "training_mode = 1"), ("b, m, v)", "b, wide, x)")])
def test_statistics_of_the_batch(change: tuple[str, str]) -> None:
    (finding,) = run(l0(NET.replace(*change)), NormaliseBatchNorm)
    assert (finding.code, "eval()" in finding.help) == ("QD0301", True)
