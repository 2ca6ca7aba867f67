"""x + (q(x) - x) is named for what it is."""

from __future__ import annotations

import pytest

from qnn_deploy.passes.report_straight_through import ReportStraightThrough
from tests.passes._l0 import l0, refusals, run


@pytest.mark.parametrize("add", ["Add (x, d)", "Add (d, x)"])
def test_named_with_layer_line_and_help(add: str) -> None:
    model = l0(f"net (float[2, 3] x) => (y) {{ q = Sign (x) d = Sub (q, x) y = {add} }}")
    (finding,) = run(model, ReportStraightThrough)
    assert finding.code == "QD0301"
    assert "straight-through" in finding.message
    assert finding.where == "layer2 (net.py:2 in forward)"
    assert "functional.sign" in finding.help


def test_reported_once_and_nothing_else_of_it() -> None:
    text = "{ f = Cast <to = 1> (x) q = Relu (f) d = Sub (q, f) y = Add (f, d) }"
    (finding,) = refusals(l0(f"net (uint8[2, 3] x) => (float[2, 3] y) {text}"))
    assert "straight-through" in finding.message


def test_other_sums_pass() -> None:
    assert run(l0("net (float[2, 3] x, float[2, 3] z) => (y) { d = Sub (x, z) y = Add (x, d) }"), ReportStraightThrough) == []
