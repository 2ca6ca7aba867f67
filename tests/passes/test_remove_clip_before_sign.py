"""A clamp in front of a sign goes exactly where it cannot change the sign."""

from __future__ import annotations

import pytest

from qnn_deploy.passes.remove_clip_before_sign import RemoveClipBeforeSign
from qnn_deploy.passes.remove_unread import RemoveUnread
from tests.passes._l0 import kinds, l0, run


@pytest.mark.parametrize(
    ("sign", "low", "high", "removed"),
    [
        ("qnn_deploy.Sign <to = 1>", -1, 1, True),
        ("qnn_deploy.Sign <to = 1>", -1, 0, True),
        ("qnn_deploy.Sign <to = 1>", 0, 1, False),
        ("qnn_deploy.Sign <to = 1>", -2, -1, False),
        ("Sign", -1, 1, True),
        ("Sign", -1, 0, False),
        ("Sign", 0, 1, False),
    ],
)
def test_limits(sign: str, low: int, high: int, removed: bool) -> None:
    text = f"<float l = {{{low}}}, float h = {{{high}}}> {{ c = Clip (x, l, h) y = {sign} (c) }}"
    model = l0(f"net (float[2, 3] x) => (float[2, 3] y) {text}")
    run(model, RemoveClipBeforeSign, RemoveUnread)
    assert (len(kinds(model)) == 1) == removed


def test_the_clamp_stays_for_others() -> None:
    text = "<float l = {-1}, float h = {1}> { c = Clip (x, l, h) s = Sign (c) y = Add (s, c) }"
    model = l0(f"net (float[2, 3] x) => (float[2, 3] y) {text}")
    run(model, RemoveClipBeforeSign, RemoveUnread)
    assert sorted(kinds(model)) == ["Add", "Clip", "Sign"]
