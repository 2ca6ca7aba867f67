"""An argmax at the very end, and those that are refused."""

from __future__ import annotations

import pytest

from qnn_deploy.ir.edit import shape_of
from qnn_deploy.passes.normalise_arg_max import NormaliseArgMax
from tests.passes._l0 import kinds, l0, run


@pytest.mark.parametrize(
    ("shape", "axis", "result"), [("2, 5", 1, "2"), ("2, 5", -1, "2"), ("2, 5, 4", 1, "2, 4"), ("2, 5, 4, 3", -3, "2, 4, 3")]
)
@pytest.mark.parametrize("cast", ["int64", "int32"])
def test_of_classes_at_the_end(shape: str, axis: int, result: str, cast: str) -> None:
    end = (
        "m = ArgMax <axis = {0}, keepdims = 0> (x) y = Cast <to = 6> (m)"
        if cast == "int32"
        else "y = ArgMax <axis = {0}, keepdims = 0> (x)"
    )
    model = l0(f"net (float[{shape}] x) => ({cast}[{result}] y) {{ {end.format(axis)} }}")
    assert run(model, NormaliseArgMax) == []
    assert kinds(model) == ["q.ArgMax"]
    batch, *rest = (int(size) for size in result.split(","))
    assert shape_of(model.graph.outputs[0]) == (batch, 1, *rest)


@pytest.mark.parametrize(
    "body",
    [
        "y = ArgMax <axis = 1> (x)",  # keeps the axis
        "y = ArgMax <axis = 0, keepdims = 0> (x)",
        "y = ArgMax <axis = 2, keepdims = 0> (x)",
        "y = ArgMax <axis = 1, keepdims = 0, select_last_index = 1> (x)",
        "m = ArgMax <axis = 1, keepdims = 0> (x) y = Add (m, m)",
        "m = ArgMax <axis = 1, keepdims = 0> (x) y = Cast <to = 1> (m)",
    ],
)
def test_others_are_refused(body: str) -> None:
    (finding,) = run(l0(f"net (float[2, 5, 4] x) => (int64[2, 4] y) {{ {body} }}"), NormaliseArgMax)
    assert finding.code == "QD0301" and "argmax over the classes" in finding.message and "argmax(dim=1)" in finding.help
