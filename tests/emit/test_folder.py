"""A build directory appears whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from qnn_deploy.emit import folder, manifest
from qnn_deploy.errors import UserError


def write(fresh: Path, text: str = "new") -> None:
    (fresh / "model.qdm").write_text(text)
    (fresh / manifest.FILE).write_bytes(manifest.write_json({"schema_version": 1, "artefacts": []}))


def test_a_new_directory(tmp_path: Path) -> None:
    with folder.replacing(tmp_path / "deep" / "out") as fresh:
        write(fresh)
    assert sorted(p.name for p in (tmp_path / "deep").iterdir()) == ["out"]


def test_an_earlier_build_is_replaced_whole(tmp_path: Path) -> None:
    with folder.replacing(tmp_path / "out") as fresh:
        write(fresh, "old")
        (fresh / "extra").write_text("x")
    with folder.replacing(tmp_path / "out") as fresh:
        write(fresh)
    assert (tmp_path / "out" / "model.qdm").read_text() == "new"
    assert not (tmp_path / "out" / "extra").exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_interrupted_build_leaves_what_was_there(tmp_path: Path, error: type[BaseException]) -> None:
    with folder.replacing(tmp_path / "out") as fresh:
        write(fresh, "old")
    with pytest.raises(error), folder.replacing(tmp_path / "out") as fresh:
        write(fresh)
        raise error
    assert (tmp_path / "out" / "model.qdm").read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]


def test_foreign_files_are_not_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError) as caught, folder.replacing(tmp_path) as fresh:
        write(fresh)
    assert caught.value.code == "QD0105" and (tmp_path / "thesis.tex").exists()


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("x")
    with pytest.raises(UserError) as caught:
        folder.check_replaceable(tmp_path / "out")
    assert caught.value.code == "QD0105"


def test_an_empty_directory_is_taken(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with folder.replacing(tmp_path / "out") as fresh:
        write(fresh)
    assert (tmp_path / "out" / "model.qdm").exists()


def test_a_full_disk_is_an_error_for_people(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught, folder.replacing(tmp_path / "out"):
        raise OSError(28, os.strerror(28), "model.qdm")
    assert caught.value.code == "QD0105" and "No space left" in caught.value.message
    assert list(tmp_path.iterdir()) == []
