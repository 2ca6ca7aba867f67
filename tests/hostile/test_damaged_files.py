"""Damaged checkpoints, recipes and packed models: always an error of ours, never another exception, never a hang.

``HYPOTHESIS_PROFILE=long`` makes 200 times as many examples.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")

import contextlib

from qnn_deploy.emit.qdm_reader import decode
from qnn_deploy.errors import UserError
from qnn_deploy.nn import checkpoint
from qnn_deploy.train.recipe import read_recipe

ROOT = Path(__file__).resolve().parents[2]
RECIPE = (ROOT / "models" / "digits-cnn-w1a1" / "recipe.toml").read_bytes()
PACKED = (ROOT / "runtime" / "fuzz" / "corpus" / "qdm" / "every_operator_1_1.qdm").read_bytes()
EXAMPLES = 5000 if os.environ.get("HYPOTHESIS_PROFILE") == "long" else 25
FEW = settings(max_examples=EXAMPLES, deadline=None, derandomize=EXAMPLES == 25, database=None, suppress_health_check=list(HealthCheck))

# (where, as a share of the file; what the bytes there become), and where the file is cut off.
EDITS = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=4)), max_size=4)
CUTS = st.none() | st.floats(0, 1, exclude_max=True)


def damaged(data: bytes, edits: list[tuple[float, bytes]], cut: float | None) -> bytes:
    """``data`` with bytes overwritten, then cut off."""
    result = bytearray(data)
    for where, value in edits:
        at = int(where * len(data))
        result[at : at + len(value)] = value
    return bytes(result if cut is None else result[: int(cut * len(result))])


@FEW
@given(edits=EDITS, cut=CUTS)
def test_checkpoint(edits: list[tuple[float, bytes]], cut: float | None, small_checkpoint: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(damaged(small_checkpoint.read_bytes(), edits, cut))
    with contextlib.suppress(UserError):
        checkpoint.load(path)


@FEW
@given(edits=EDITS, cut=CUTS)
def test_recipe(edits: list[tuple[float, bytes]], cut: float | None, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_bytes(damaged(RECIPE, edits, cut))
    with contextlib.suppress(UserError):
        read_recipe(path)


@FEW
@given(data=st.binary(max_size=200))
def test_any_bytes_are_no_recipe_and_no_packed_model(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(data)
    for read in (lambda: read_recipe(path), lambda: decode(data)):
        with pytest.raises(UserError):
            read()


def sealed(data: bytes) -> bytes:
    """``data`` with the size and the checksum of a .qdm file made right."""
    result = bytearray(data)
    result[8:12] = len(data).to_bytes(4, "little")
    result[12:16] = zlib.crc32(result[16:]).to_bytes(4, "little")
    return bytes(result)


@FEW
@given(edits=EDITS, cut=CUTS, seal=st.booleans())
def test_packed_model(edits: list[tuple[float, bytes]], cut: float | None, seal: bool) -> None:
    data = damaged(PACKED, edits, cut)
    with contextlib.suppress(UserError):
        decode(sealed(data) if seal else data)
