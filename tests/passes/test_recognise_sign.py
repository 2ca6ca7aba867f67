"""Every way to write a sign with sign(0) = +1 is found, and nothing else is taken for one."""

from __future__ import annotations

import pytest

from qnn_deploy.passes.fold_constant_ops import FoldConstantOps
from qnn_deploy.passes.lift_constants import LiftConstants
from qnn_deploy.passes.recognise_sign import RecogniseSign
from qnn_deploy.passes.remove_identities import RemoveIdentities
from qnn_deploy.passes.remove_unread import RemoveUnread
from tests.passes._l0 import kinds, l0, refusals, run

CONSTANTS = """<float zero = {0}, float one = {1}, float two = {2}, float minus = {-1}, float half = {0.5}, float minuszero = {-0.0},
 float[2, 2] ones = {1, 1, 1, 1}, int64 izero = {0}, int64 ione = {1}, int64 itwo = {2}, int64[1] flat = {-1}, int64[1] many = {4}>"""

SIGNS = [
    "p = GreaterOrEqual (x, zero) y = Where (p, one, minus)",
    "p = GreaterOrEqual (x, minuszero) y = Where (p, ones, minus)",
    "p = Less (x, zero) y = Where (p, minus, one)",
    "n = Less (x, zero) p = Not (n) y = Where (p, one, minus)",
    "p = LessOrEqual (zero, x) y = Where (p, one, minus)",
    "p = Greater (zero, x) y = Where (p, minus, one)",
    "p = GreaterOrEqual (x, zero) f = Cast <to = 1> (p) d = Mul (f, two) y = Sub (d, one)",
    "p = GreaterOrEqual (x, zero) f = Cast <to = 1> (p) d = Mul (two, f) y = Add (minus, d)",
    "p = GreaterOrEqual (x, zero) i = Cast <to = 7> (p) d = Mul (itwo, i) e = Sub (d, ione) y = Cast <to = 1> (e)",
    "p = Less (x, zero) f = Cast <to = 1> (p) d = Mul (f, two) y = Sub (one, d)",
    "p = GreaterOrEqual (x, zero) f = Cast <to = 1> (p) n = Less (x, zero) g = Cast <to = 1> (n) y = Sub (f, g)",
    "s = Sign (x) z = Equal (s, zero) y = Where (z, one, s)",
    "s = Sign (x) z = Equal (x, zero) y = Where (z, one, s)",
    "s = Sign (x) z = Equal (s, zero) n = Not (z) y = Where (n, s, one)",
    "s = Sign (x) z = Equal (x, zero) f = Cast <to = 1> (z) y = Add (s, f)",
    "s = Sign (x) z = Equal (s, zero) i = NonZero (z) t = Transpose <perm = [1, 0]> (i) v = Expand (one, many) y = ScatterND (s, t, v)",
    "y = qnn_deploy.sign (x)",
]
PREPARE = (LiftConstants, RemoveIdentities, FoldConstantOps)


@pytest.mark.parametrize("steps", SIGNS)
def test_signs(steps: str) -> None:
    model = l0(f"net (float[2, 2] x) => (float[2, 2] y) {CONSTANTS} {{ {steps} }}")
    assert run(model, *PREPARE, RecogniseSign, RemoveUnread) == []
    assert kinds(model) == ["q.Sign"]
    (node,) = model.graph
    assert node.attributes["to"].as_int() == 1
    assert node.inputs[0] is model.graph.inputs[0]
    assert node.metadata_props["qnn_deploy.source"].startswith("net.py:")


@pytest.mark.parametrize("operator", ["GreaterOrEqual (x, half)", "LessOrEqual (half, x)"])
def test_a_threshold_becomes_a_difference(operator: str) -> None:
    model = l0(f"net (float[2, 2] x) => (float[2, 2] y) {CONSTANTS} {{ p = {operator} y = Where (p, one, minus) }}")
    run(model, *PREPARE, RecogniseSign, RemoveUnread)
    assert kinds(model) == ["Sub", "q.Sign"]


@pytest.mark.parametrize(
    "steps",
    [
        "p = Greater (x, zero) y = Where (p, one, minus)",  # sign(0) = -1
        "p = GreaterOrEqual (x, zero) y = Where (p, minus, one)",
        "p = GreaterOrEqual (x, zero) y = Where (p, two, minus)",
        "p = GreaterOrEqual (x, zero) y = Where (p, one, zero)",
        "p = GreaterOrEqual (x, zero) f = Cast <to = 1> (p) d = Mul (f, two) y = Sub (d, half)",
        "s = Sign (x) z = Equal (s, one) y = Where (z, one, s)",
        "s = Sign (x) z = Equal (s, zero) y = Where (z, minus, s)",
        "y = Sign (x)",
    ],
)
def test_others_are_left(steps: str) -> None:
    model = l0(f"net (float[2, 2] x) => (float[2, 2] y) {CONSTANTS} {{ {steps} }}")
    run(model, *PREPARE, RecogniseSign, RemoveUnread)
    assert "q.Sign" not in kinds(model)


def test_the_other_sign_of_zero_is_explained() -> None:
    text = "{ f = Cast <to = 1> (x) p = Greater (f, zero) y = Where (p, one, minus) }"
    findings = refusals(l0(f"net (uint8[2, 2] x) => (float[2, 2] y) {CONSTANTS} {text}"))
    assert {finding.code for finding in findings} == {"QD0301"}
    assert "sign(0) = +1" in findings[0].help
