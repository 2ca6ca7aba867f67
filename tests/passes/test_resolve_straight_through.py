"""x + (q(x) - x) is q(x): where in every bit, where up to rounding, and what is said then."""

from __future__ import annotations

import numpy as np
import pytest

from qnn_deploy.ir.edit import STRAIGHT
from qnn_deploy.passes.departures import departures_of
from qnn_deploy.passes.resolve_straight_through import ResolveStraightThrough
from tests.passes._l0 import kinds, l0, run

CONSTANTS = (
    "<float one = {1}, float low = {-1}, float high = {1}, float wide = {3}, float step = {0.5}, float[1] s = {1}, float[1] t = {0.3}>"
)


def _resolved(body: str) -> tuple[list[str], bool, int]:
    """(operators left that something reads, whether the quantiser owes a proof, departures)."""
    model = l0(f"net (float[2, 3] x) => (float[2, 3] y) {CONSTANTS} {{ {body} }}")
    assert run(model, ResolveStraightThrough) == []
    from qnn_deploy.ir.edit import remove_unused

    remove_unused(model.graph)
    owed = any(STRAIGHT in node.metadata_props for node in model.graph)
    return kinds(model), owed, len(departures_of(model.graph))


@pytest.mark.parametrize(
    "q", ["q = Sign (x)", "q = qnn_deploy.Sign <to = 1> (x)", "q = qnn_deploy.Quantize <low = -8, high = 7, to = 1> (x, s)"]
)
@pytest.mark.parametrize("add", ["Add (x, d)", "Add (d, x)"])
def test_exact_for_small_arguments(q: str, add: str) -> None:
    left, owed, departures = _resolved(f"{q} d = Sub (q, x) y = {add}")
    assert (len(left), owed, departures) == (1, True, 0)


@pytest.mark.parametrize(
    "carrier",
    [
        "c = Clip (x, low, high)",
        "c = Tanh (x)",
        "k = Mul (x, step) c = Tanh (k)",
    ],
)
def test_a_carrier_of_the_same_sign(carrier: str) -> None:
    assert _resolved(f"{carrier} q = Sign (x) d = Sub (q, c) y = Add (d, c)") == (["Sign"], True, 0)


@pytest.mark.parametrize(
    "body",
    [
        "c = Clip (x, step, high) q = Sign (x) d = Sub (q, c) y = Add (d, c)",  # positive where q is not
        "c = Sub (x, step) q = Sign (x) d = Sub (q, c) y = Add (d, c)",
        "q = Sign (x) a = Add (q, x) y = Sub (a, x)",  # the sum rounds
        "q = qnn_deploy.Quantize <low = -8, high = 7, to = 1> (x, t) d = Sub (q, x) y = Add (d, x)",  # q is no rounding of x itself
        "q = qnn_deploy.Quantize <low = 1, high = 7, to = 1> (x, s) d = Sub (q, x) y = Add (d, x)",
        "p = Sign (x) q = Mul (p, wide) d = Sub (q, x) y = Add (d, x)",
    ],
)
def test_others_depart(body: str) -> None:
    assert _resolved(body)[1:] == (False, 1)


def test_nothing_added() -> None:
    assert _resolved("q = Sign (x) z = Sub (x, x) y = Add (q, z)") == (["Sign"], False, 0)


@pytest.mark.parametrize("body", ["d = Sub (x, one) y = Add (x, d)", "q = Relu (x) d = Sub (q, x) y = Add (d, x)"])
def test_other_sums_stay(body: str) -> None:
    assert len(_resolved(body)[0]) == body.count("=")


def test_the_claims_of_the_module() -> None:
    """Each exact case at floats of every size, and each departing one is right to be called so."""
    rng = np.random.default_rng(0)
    y = np.exp2(rng.uniform(-40, 24, 1_000_000)).astype(np.float32) * rng.choice([-1, 1], 1_000_000).astype(np.float32)
    y = np.concatenate([y, np.arange(-(2**24), 2**24, 4093, dtype=np.float32), np.float32([0, -0.0, 0.5, 1.5, 2**-25, 0.49999997])])
    sign = np.where(y >= 0, np.float32(1), np.float32(-1))
    assert np.array_equal(y + (sign - y), sign)
    for low, high in ((-8, 7), (0, 15), (-1, 1), (-128, 127), (0, 0)):
        q = np.clip(np.rint(y), low, high).astype(np.float32)
        assert np.array_equal(y + (q - y), q)
    assert not np.array_equal((sign + y) - y, sign)
    far = np.float32([2**25 + 4])
    assert far + (1 - far) != 1
    scaled = np.clip(np.rint(y / np.float32(0.3)), -8, 7).astype(np.float32) * np.float32(0.3)
    assert not np.array_equal(y + (scaled - y), scaled)
