"""Nothing gets its name before it is on the disk: every write of the package, watched at os.fsync and os.replace."""

from __future__ import annotations

import csv
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qnn_deploy import api, cli, data, files
from qnn_deploy.emit import folder, manifest
from qnn_deploy.errors import UserError
from qnn_deploy.targets import find_target
from qnn_deploy.toolchain import compiler


class Disk:
    """What the disk surely holds of each file (its bytes) and folder (its names), which is what it held at its last fsync.

    ``lost`` names what a power cut could have taken away from something that was renamed.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.flushed: dict[int, object] = {}
        self.places: list[tuple[str, Path]] = []
        self.lost: list[str] = []
        real_sync, real_replace = os.fsync, os.replace

        def sync(handle: int) -> None:
            real_sync(handle)
            path = Path(os.readlink(f"/proc/self/fd/{handle}"))
            self.flushed[path.stat().st_ino] = self.state(path)

        def replace(source: Path, target: Path) -> None:
            everything = [Path(source), *(Path(source).rglob("*") if Path(source).is_dir() else ())]
            self.lost += [f"content of {path.name}" for path in everything if not self.safe(path)]
            real_replace(source, target)
            self.places.append((f"name {Path(target).name}", Path(target).parent))

        monkeypatch.setattr(files.os, "fsync", sync)
        monkeypatch.setattr(files.os, "replace", replace)

    @staticmethod
    def state(path: Path) -> object:
        return {each.name: each.stat().st_ino for each in path.iterdir()} if path.is_dir() else path.read_bytes()

    def safe(self, path: Path) -> bool:
        return self.flushed.get(path.stat().st_ino) == self.state(path)

    def check(self) -> list[str]:
        """Everything lost; a folder's flush must come behind the last rename into it, whatever vanished from it since."""
        for what, parent in self.places:
            names = self.flushed.get(parent.stat().st_ino) if parent.exists() else {}
            if names is None or (parent.exists() and not self.state(parent).items() <= names.items()):  # type: ignore[attr-defined]
                self.lost.append(what)
        return self.lost


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def write_file(path: Path) -> None:
    (path / "a").write_bytes(b"old")
    files.write_whole(path / "a", b"new")


def write_folder(path: Path) -> None:
    for _ in range(2):  # the second takes the place of the first
        with folder.replacing(path / "deep" / "out") as fresh:
            (fresh / "host").mkdir()
            (fresh / "host" / "program").write_bytes(b"code")
            (fresh / manifest.FILE).write_bytes(manifest.write_json({"schema_version": 1}))


@pytest.mark.parametrize("write", [write_file, write_folder])
def test_flushed_then_renamed(write: Callable[[Path], None], tmp_path: Path, disk: Disk) -> None:
    write(tmp_path)
    assert disk.places and disk.check() == []


@pytest.mark.parametrize("write", [write_file, write_folder])
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_planted_rename_without_a_flush_is_seen(kind: str, write: Callable[[Path], None], tmp_path: Path, disk: Disk) -> None:
    real = files._flush
    planted = {"file": Path.is_file, "folder": Path.is_dir}[kind]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "_flush", lambda path: None if planted(path) else real(path))
        write(tmp_path)
    expected = {("file", "write_file"): "content of .a.", ("file", "write_folder"): "content of program"}
    assert any(lost.startswith(expected.get((kind, write.__name__), "name ")) for lost in disk.check()), disk.lost


def test_a_new_folder_is_flushed_too(tmp_path: Path, disk: Disk) -> None:
    files.make_folder(tmp_path / "a" / "b")
    assert disk.safe(tmp_path) and disk.safe(tmp_path / "a")


def test_a_build_and_a_run(small_checkpoint: Path, tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    api.build(str(small_checkpoint), ("host",), ("qdm", "onnx", "exe"), tmp_path / "out")
    np.save(tmp_path / "in.npy", np.zeros((1, 1, 8, 8), np.uint8))
    files_in = ["run", str(tmp_path / "out"), "--in", str(tmp_path / "in.npy"), "--out", str(tmp_path / "logits.npy")]
    assert cli.invoke(files_in) == 0 and np.load(tmp_path / "logits.npy").shape == (1, 10)
    assert {"name out", "name logits.npy"} <= {what for what, _ in disk.places} and disk.check() == []


def test_a_training_run(tmp_path: Path, disk: Disk) -> None:
    pytest.importorskip("lightning_fabric")
    from qnn_deploy.train.run import run_recipe
    from tests.train._runs import recipe

    run_recipe(recipe(epochs=1), "test", "test", tmp_path / "deep" / "run", resume=False, report=lambda row: None)
    names = {what for what, _ in disk.places}
    assert names == {f"name {name}" for name in ("recipe.toml", "last.pt", "metrics.csv", "model.pt", "trained.json")}
    assert disk.check() == []
    with (tmp_path / "deep" / "run" / "metrics.csv").open() as stream:
        assert len(list(csv.DictReader(stream))) == 1


def test_the_caches(tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(compiler, "_compile", lambda root, program, target, found, made: made.write_bytes(b"\x7fELF"))
    compiler.build_program("qd_run", find_target("host"), compiler.Compiler(("cc",), "1", cross=False))
    data.load(f"cifar10:{archive_of_images(tmp_path)}")
    assert len(disk.places) == 2 and disk.check() == []


def archive_of_images(path: Path) -> Path:
    """A tar of class folders with one picture in each split."""
    image = pytest.importorskip("PIL.Image")
    with tarfile.open(path / "images.tar", "w") as archive:
        for split in ("train", "test"):
            image.new("RGB", (32, 32)).save(path / "one.png")
            archive.add(path / "one.png", f"{split}/cat/one.png")
    return path / "images.tar"


def test_a_damaged_cache_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    archive = archive_of_images(tmp_path)
    assert len(data.load(f"cifar10:{archive}").images) == 1
    (cache,) = (tmp_path / "cache" / "qnn-deploy" / "data").iterdir()
    whole = cache.read_bytes()
    for damaged in (b"", whole[:100], whole.replace(b"\x00" * 64, b"\x01" * 64, 1)):
        cache.write_bytes(damaged)
        assert int(data.load(f"cifar10:{archive}").images.sum()) == 0


@pytest.mark.parametrize("name", ["missing/model.pt", "file/model.pt"])
def test_a_place_that_cannot_be(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError) as caught:
        files.write_whole(tmp_path / name, b"")
    assert caught.value.code == "QD0105"


def test_a_link_is_followed_and_a_device_stays_one(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    files.write_whole(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "file").read_bytes() == b"new"
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    files.write_whole(tmp_path / "pipe", b"through")
    assert os.read(reader, 10) == b"through" and (tmp_path / "pipe").is_fifo()
    os.close(reader)


def test_equal_contents_give_equal_checkpoints(tmp_path: Path) -> None:
    """torch.save writes the stem of the path that it is given into the file, a process id among it."""
    pytest.importorskip("torch")
    from qnn_deploy.nn import checkpoint
    from tests.nn._networks import SMALL, network

    arguments: Any = ("digits-cnn", SMALL["digits-cnn"], {})
    for name in ("a.pt", "b.pt"):
        checkpoint.save(tmp_path / name, network("digits-cnn", 0), *arguments)
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "b.pt").read_bytes()
