"""Damaged and made-up files: always an error of ours, never another exception, never a hang.

``HYPOTHESIS_PROFILE=long`` makes 200 times as many examples; `tools/fuzz_python.py` goes further, guided by coverage.
"""

from __future__ import annotations

import contextlib
import copy
import os
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")
pytest.importorskip("PIL")
pytest.importorskip("lightning_fabric")

from qnn_deploy.emit import manifest
from qnn_deploy.errors import UserError
from qnn_deploy.train import toml_writer
from qnn_deploy.train.recipe import Recipe
from tests.hostile.readers import READERS, good_manifest, read_build

EXAMPLES = 2000 if os.environ.get("HYPOTHESIS_PROFILE") == "long" else 10
SLOW = {"archive": 50}  # torch.export takes its time
ALWAYS = {"deadline": None, "derandomize": EXAMPLES == 10, "database": None, "suppress_health_check": list(HealthCheck)}

# (where, as a share of the file; what the bytes there become), and where the file is cut off.
EDITS = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=4)), max_size=4)
CUTS = st.none() | st.floats(0, 1, exclude_max=True)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def few(name: str = "") -> settings:
    return settings(max_examples=max(3, EXAMPLES // SLOW.get(name, 1)), **ALWAYS)  # type: ignore[arg-type]


def damaged(data: bytes, edits: list[tuple[float, bytes]], cut: float | None) -> bytes:
    """``data`` with bytes overwritten, then cut off."""
    result = bytearray(data)
    for where, value in edits:
        at = int(where * len(data))
        result[at : at + len(value)] = value
    return bytes(result if cut is None else result[: int(cut * len(result))])


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize("name", READERS)
def test_damaged(name: str, tmp_path: Path) -> None:
    read, seed = READERS[name]
    good = seed()
    with contextlib.suppress(UserError):
        read(tmp_path, good)

    @few(name)
    @given(edits=EDITS, cut=CUTS)
    def check(edits: list[tuple[float, bytes]], cut: float | None) -> None:
        with contextlib.suppress(UserError):
            read(tmp_path, damaged(good, edits, cut))

    @few(name)
    @given(content=st.binary(max_size=200))
    def any_bytes(content: bytes) -> None:
        with contextlib.suppress(UserError):
            read(tmp_path, content)

    check()
    any_bytes()


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(
    "content", [b"[" * 100_000, b"a = " + b"[" * 100_000, b'{"a":' * 50_000, b"\xff" * 100], ids=["json", "toml", "deep", "ff"]
)
def test_nested_too_deeply(name: str, content: bytes, tmp_path: Path) -> None:
    with contextlib.suppress(UserError):
        READERS[name][0](tmp_path, content)


def places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to every value in a tree of dictionaries and lists."""
    children = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [path, *(place for key, child in children for place in places(child, (*path, key)))]


def replaced(tree: Any, place: tuple[Any, ...], value: Any) -> Any:
    """A copy of ``tree`` with another value at ``place``."""
    if not place:
        return value
    result = copy.copy(tree)
    result[place[0]] = replaced(tree[place[0]], place[1:], value)
    return result


GOOD = good_manifest()


@few()
@given(place=st.sampled_from(places(GOOD)), value=PLAIN | st.sampled_from(["../x", "/etc/passwd", "\0", "model.qdm", "\x1b[2J", "\ud800"]))
def test_manifest_with_another_value(place: tuple[Any, ...], value: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    with contextlib.suppress(UserError):
        read_build(tmp_path_factory.getbasetemp(), manifest.write_json(replaced(GOOD, place, value)))


TOML = st.recursive(
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["adam", "sgd", "cosine", "cnv", "unit"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abcnmeo.", min_size=1, max_size=6), inner, max_size=3),
    max_leaves=6,
)
TABLES = st.dictionaries(st.sampled_from(sorted(get_type_hints(Recipe))), TOML, max_size=6)
BASE = {"architecture": "digits-cnn", "data": "digits", "epochs": 1}


@few()
@given(table=TABLES)
def test_recipe_with_other_values(table: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    with contextlib.suppress(UserError):
        READERS["recipe"][0](tmp_path_factory.getbasetemp(), toml_writer.dumps(BASE | table).encode())


@few()
@given(
    table=TABLES, grid=TABLES | TOML, seeds=TOML, more=st.dictionaries(st.sampled_from(["sort", "cpus", "retries", "trials", "set"]), TOML)
)
def test_sweep_with_other_values(table: Any, grid: Any, seeds: Any, more: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    sweep = {"recipe": BASE | table, "grid": grid, "seeds": seeds} | more
    with contextlib.suppress(UserError):
        READERS["sweep"][0](tmp_path_factory.getbasetemp(), toml_writer.dumps(sweep).encode())
