"""tools/coverage.py: a branch that no test takes is named and fails; a reason that fits nothing fails too."""

from __future__ import annotations

from types import ModuleType

import pytest

from tests.test_tools import load


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    script = load("coverage", monkeypatch)
    monkeypatch.setattr(script, "tool", lambda name: name)
    monkeypatch.setattr(script.shutil, "which", lambda name: name)
    monkeypatch.setattr(script, "UNREACHABLE", {})
    return script


def taken(true: int, false: int, called: int = 1) -> dict:
    """As llvm-cov exports it: qd_take of qd_read.h, its first condition gone so many times each way, once per source that includes it."""
    function = {"name": "qd_load.c:qd_take", "filenames": ["qd_read.h"], "count": called, "regions": [[14, 63, 22, 2, called, 0, 0, 0]]}
    return {"functions": [{**function, "branches": [[16, 9, 16, 19, true, false, 0, 0, 4]]}]}


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ((1, 1), ""),
        ((0, 1), "qd_read.h:16: qd_take: in->failed: never true"),
        ((1, 0), "in->failed: never false"),
        ((1, 1, 0), "never called"),
    ],
)
def test_what_is_missed_is_named(counts: tuple[int, ...], message: str, script: ModuleType, monkeypatch, capsys) -> None:
    monkeypatch.setattr(script, "profile", lambda folder: taken(*counts))
    assert script.main() == (message != "")
    assert message in capsys.readouterr().out


def test_copies_of_an_inline_function_are_one(script: ModuleType, monkeypatch) -> None:
    both = {"functions": [*taken(0, 1)["functions"], *taken(1, 0)["functions"]]}
    monkeypatch.setattr(script, "profile", lambda folder: both)
    assert script.main() == 0


def test_reasons_are_checked(script: ModuleType, monkeypatch, capsys) -> None:
    monkeypatch.setattr(script, "UNREACHABLE", {("qd_read.h", "qd_take", "in->failed", "true"): "why"})
    monkeypatch.setattr(script, "profile", lambda folder: taken(0, 1))
    assert script.main() == 0
    monkeypatch.setattr(script, "profile", lambda folder: taken(1, 1))
    assert script.main() == 1 and "no such branch" in capsys.readouterr().out
