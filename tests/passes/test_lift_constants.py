"""Constants in one form."""

from __future__ import annotations

import numpy as np
import pytest

from qnn_deploy.passes.lift_constants import LiftConstants
from tests.passes._l0 import kinds, l0, run


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [
        ("value_float = 2.5", np.array(2.5, np.float32)),
        ("value_floats = [1.0, 2.0]", np.array([1, 2], np.float32)),
        ("value_int = 3", np.array(3, np.int64)),
        ("value_ints = [3, -1]", np.array([3, -1], np.int64)),
        ("value = int8[2] {1, -1}", np.array([1, -1], np.int8)),
    ],
)
def test_constant_nodes_become_initializers(attribute: str, expected: np.ndarray) -> None:
    model = l0(f"net (float[2] x) => (float[2] y) {{ c = Constant <{attribute}> () y = Add (x, c) }}")
    assert run(model, LiftConstants) == []
    assert kinds(model) == ["Add"]
    value = model.graph.initializers["c"].const_value
    assert value is not None
    assert value.numpy().dtype == expected.dtype
    assert np.array_equal(value.numpy(), expected)


def test_cast_like_becomes_cast() -> None:
    model = l0("net (bool[2] x, float[2] z) => (float[2] y) { c = CastLike (x, z) y = Add (c, z) }")
    assert run(model, LiftConstants) == []
    assert kinds(model) == ["Cast", "Add"]
    assert next(iter(model.graph)).attributes["to"].as_int() == 1
