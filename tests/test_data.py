"""Data sets by specification: the good ones load, every damaged one is refused with a reason."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

from qnn_deploy import data
from qnn_deploy.errors import UserError

Image = pytest.importorskip("PIL.Image")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def refused(spec: str, code: str = "QD0203") -> UserError:
    with pytest.raises(UserError) as caught:
        data.load(spec)
    assert caught.value.code == code
    return caught.value


def save_images(root: Path, counts: dict[str, int], size: tuple[int, int] = (8, 6)) -> None:
    random = np.random.default_rng(0)
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for index in range(count):
            Image.fromarray(random.integers(0, 256, (size[1], size[0], 3), np.uint8)).save(root / name / f"{index}.png")


def binary_batches() -> dict[str, bytes]:
    random = np.random.default_rng(0)

    def batch(count: int) -> bytes:
        return np.concatenate([random.integers(0, 10, (count, 1)), random.integers(0, 256, (count, 3072))], 1).astype(np.uint8).tobytes()

    return {f"data_batch_{i}.bin": batch(4) for i in range(1, 6)} | {"test_batch.bin": batch(3)}


def archive(path: Path, files: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as stream:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            stream.addfile(member, io.BytesIO(content))
    return path


def test_digits_are_split_without_overlap() -> None:
    train, test = data.load("digits", "train"), data.load("digits", "test")
    assert (len(train.images), len(test.images)) == (1348, 449)
    assert train.images.dtype == np.uint8 and train.images.shape[1:] == (1, 8, 8) and train.images.max() == 16
    assert len(data.load("digits").take(5).labels) == 5 and data.load("digits").take(None).name == "digits"


def test_folder_of_classes(tmp_path: Path) -> None:
    save_images(tmp_path, {"cat": 2, "ant": 1})
    found = data.load(f"folder:{tmp_path}")
    assert found.images.shape == (3, 3, 6, 8)
    assert found.labels.tolist() == [0, 1, 1]


def test_folder_with_splits(tmp_path: Path) -> None:
    save_images(tmp_path / "train", {"a": 3})
    save_images(tmp_path / "test", {"a": 1})
    assert len(data.load(f"folder:{tmp_path}", "train").images) == 3
    assert len(data.load(f"folder:{tmp_path}", "test").images) == 1


def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    refused(f"folder:{tmp_path / 'none'}")
    assert "no images" in refused(f"folder:{tmp_path}").message
    save_images(tmp_path, {"a": 1})
    save_images(tmp_path, {"b": 1}, size=(9, 9))
    assert "differ in size" in refused(f"folder:{tmp_path}").message
    (tmp_path / "b" / "0.png").write_bytes(b"no image")
    assert "cannot be decoded" in refused(f"folder:{tmp_path}").message


def test_arrays(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((2, 3, 4, 5), np.uint8))
    found = data.load(f"npy:{tmp_path / 'x.npy'}")
    assert found.images.shape == (2, 3, 4, 5) and found.labels.tolist() == [-1, -1]
    np.save(tmp_path / "f.npy", np.zeros((2, 3, 4, 5), np.float32))
    assert "uint8" in refused(f"npy:{tmp_path / 'f.npy'}").message
    (tmp_path / "bad.npy").write_bytes(b"\x93NUMPY\x01\x00")
    refused(f"npy:{tmp_path / 'bad.npy'}")
    refused(f"npy:{tmp_path / 'none.npy'}")
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object))
    refused(f"npy:{tmp_path / 'objects.npy'}")


def test_import_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_own_data.py").write_text(
        "import numpy as np\n"
        "def good(split): return np.zeros((2, 1, 4, 4), np.uint8), [1, 2]\n"
        "def bad(split): return np.zeros((2, 4), np.float32), [1]\n"
        "def broken(split): raise RuntimeError('disk on fire')\n"
    )
    monkeypatch.chdir(tmp_path)
    assert data.load("my_own_data:good").labels.tolist() == [1, 2]
    assert "float32" in refused("my_own_data:bad").message
    assert "disk on fire" in refused("my_own_data:broken").message
    refused("my_own_data:missing")
    refused("no_such_module_here:f")


def test_unknown_specifications() -> None:
    assert "digits" in refused("digitz").help
    refused("")


def test_cifar10_binary_archive_is_cached(tmp_path: Path) -> None:
    path = archive(tmp_path / "cifar-10-binary.tar.gz", {f"cifar-10-batches-bin/{n}": c for n, c in binary_batches().items()})
    first, again = data.load(f"cifar10:{path}"), data.load(f"cifar10:{path}")
    assert first.images.shape == (3, 3, 32, 32) and np.array_equal(first.images, again.images)
    assert len(data.load(f"cifar10:{path}", "train").images) == 20
    assert first.name == "CIFAR-10"


def test_cifar10_unpacked_folder(tmp_path: Path) -> None:
    for name, content in binary_batches().items():
        (tmp_path / name).write_bytes(content)
    assert len(data.load(f"cifar10:{tmp_path}", "train").images) == 20
    (tmp_path / "data_batch_3.bin").unlink()
    with pytest.raises(UserError, match="data_batch_3"):
        data.load(f"cifar10:{tmp_path}", "train")


def test_cifar10_as_archive_of_class_folders_is_named_lossy(tmp_path: Path) -> None:
    save_images(tmp_path / "x" / "test", {"cat": 1, "dog": 2}, (32, 32))
    save_images(tmp_path / "x" / "train", {"cat": 2}, (32, 32))
    files = {str(p.relative_to(tmp_path / "x")): p.read_bytes() for p in sorted((tmp_path / "x").rglob("*.png"))}
    found = data.load(f"cifar10:{archive(tmp_path / 'classes.tar.xz', files, 'w:xz')}")
    assert found.labels.tolist() == [0, 1, 1] and found.name == "CIFAR-10 (JPEG copy)"


def test_cifar10_pickles_that_are_not_the_official_ones_are_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "cifar-10-python.tar.gz", {"cifar-10-batches-py/test_batch": b"cos\nsystem\n(S'true'\ntR."})
    assert "MD5" in refused(f"cifar10:{path}").message


def test_a_pickle_that_runs_code_is_refused(tmp_path: Path) -> None:
    (tmp_path / "test_batch").write_bytes(b"cos\nsystem\n(S'touch ran'\ntR.")
    refused(f"cifar10:{tmp_path}")


@pytest.mark.parametrize("kept", [0, 10, 200])
def test_cut_archives(tmp_path: Path, kept: int) -> None:
    path = archive(tmp_path / "cifar-10-binary.tar.gz", {f"cifar-10-batches-bin/{n}": c for n, c in binary_batches().items()})
    path.write_bytes(path.read_bytes()[:kept])
    refused(f"cifar10:{path}")


def test_cifar10_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused(f"cifar10:{tmp_path / 'none.tar.gz'}")
    monkeypatch.setattr(data, "find_cifar10", lambda: None)
    assert "QNN_DEPLOY_DATA" in refused("cifar10").help


def test_found_by_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archive(tmp_path / "cifar-10-binary.tar.gz", {f"cifar-10-batches-bin/{n}": c for n, c in binary_batches().items()})
    monkeypatch.setenv("QNN_DEPLOY_DATA", str(tmp_path))
    assert data.find_cifar10() == path
    monkeypatch.setenv("QNN_DEPLOY_DATA", str(path))
    assert data.find_cifar10() == path


ITEMS = """
import numpy as np
from PIL import Image

class Set:
    def __init__(self, root, train=True):
        self.items = [(Image.new("RGB", (5, 4), (index, 0, 0)), index) for index in range(6 if train else 2)]
        self.root = root
    def __len__(self): return len(self.items)
    def __getitem__(self, index): return self.items[index]

class Grey(Set):
    def __init__(self, split):
        self.items = [(np.full((4, 5), 7, np.uint8), np.int64(1))] * (3 if split == "train" else 1)

class Sized(Set):
    def __init__(self, split): self.items = [(np.zeros((4, 5), np.uint8), 0), (np.zeros((4, 6), np.uint8), 0)]
class Floats(Set):
    def __init__(self, split): self.items = [(np.zeros((3, 4, 5), np.float32), 0)]
class Labels(Set):
    def __init__(self, split): self.items = [(np.zeros((4, 5), np.uint8), "cat")]
class Single(Set):
    def __init__(self, split): self.items = [np.zeros((4, 5), np.uint8)]
class Empty(Set):
    def __init__(self, split): self.items = []
class NoSplit(Set):
    def __init__(self): self.items = []
def stream(split): return iter([])
"""


def test_items_by_import_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_own_items.py").write_text(ITEMS)
    monkeypatch.chdir(tmp_path)
    found = [data.load("my_own_items:Set:/some/where", split) for split in ("train", "test")]
    assert [part.images.shape for part in found] == [(6, 3, 4, 5), (2, 3, 4, 5)]
    assert found[0].images[4, :, 0, 0].tolist() == [4, 0, 0] and found[0].labels.tolist() == list(range(6))
    assert data.load("my_own_items:Grey", "train").images.shape == (3, 1, 4, 5)


@pytest.mark.parametrize(
    "name,named",
    [
        ("Set", "root"),
        ("Sized", "item 1 is [1, 4, 6], item 0 is [1, 4, 5]"),
        ("Floats", "item 0 is float32 [3, 4, 5]"),
        ("Labels", "'cat'"),
        ("Single", "item 0"),
        ("Empty", "empty"),
        ("NoSplit", "neither split nor train"),
        ("stream", "list_iterator"),
    ],
)
def test_items_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, named: str) -> None:
    (tmp_path / "my_own_items.py").write_text(ITEMS)
    monkeypatch.chdir(tmp_path)
    error = refused(f"my_own_items:{name}")
    assert named in error.message and error.where == f"my_own_items:{name}"


def test_official_batches_are_read_without_calling_what_they_name(tmp_path: Path) -> None:
    from tests.hostile.readers import batch

    (tmp_path / "test_batch").write_bytes(batch())
    found = data.load(f"cifar10:{tmp_path}")
    assert found.labels.tolist() == [1, 2] and found.images.shape == (2, 3, 32, 32)


@pytest.mark.parametrize(
    "content",
    [
        {b"data": np.zeros((1, 3072), np.float32), b"labels": [1]},
        {b"data": np.zeros((1, 3072), np.uint8), b"labels": [1.5]},
        {b"data": np.zeros((1, 3072), np.uint8), b"labels": [[1]]},
        {b"data": np.zeros((2, 3072), np.uint8), b"labels": [1]},
        {b"data": [[0] * 3072], b"labels": [1]},
        [],
    ],
)
def test_batches_of_something_else(content: object, tmp_path: Path) -> None:
    from tests.hostile.readers import batch

    (tmp_path / "test_batch").write_bytes(batch(content))
    assert "test_batch" in refused(f"cifar10:{tmp_path}").message


def test_a_batch_that_names_numpys_constructors_gets_stand_ins(tmp_path: Path) -> None:
    """``numpy.ndarray((1 << 40,))`` would take a terabyte, ``numpy.dtype`` with a crafted state read outside its memory."""
    for content in (
        b"cnumpy\nndarray\n(I1099511627776\ntR.",
        b"cnumpy.testing\ndtype\n.",
        b"cnumpy\ndtype\n(S'O'\ntR.",
        b"cbuiltins\neval\n(S'1'\ntR.",
    ):
        (tmp_path / "test_batch").write_bytes(content)
        refused(f"cifar10:{tmp_path}")


@pytest.mark.parametrize("member", ["../../outside.png", "/outside.png", "test/cat/link.png", "test/cat/hard.png"])
def test_archives_are_read_where_they_are(member: str, tmp_path: Path) -> None:
    """No member gets a place on the disk: names that lead outside are names, links lead nowhere."""
    path, picture = tmp_path / "in" / "images.tar", io.BytesIO()
    path.parent.mkdir()
    pytest.importorskip("PIL.Image").new("RGB", (4, 4)).save(picture, "PNG")
    with tarfile.open(path, "w") as made:
        for name in ("train/cat/0.png", "test/cat/0.png", member):
            info = tarfile.TarInfo(name)
            if "link" in name or "hard" in name:
                info.type, info.linkname = (tarfile.SYMTYPE if "link" in name else tarfile.LNKTYPE), "/etc/passwd"
                made.addfile(info)
            else:
                info.size = len(picture.getvalue())
                made.addfile(info, io.BytesIO(picture.getvalue()))
    before = sorted(path.parent.rglob("*"))
    assert len(data.load(f"cifar10:{path}").images) == 1
    assert sorted(path.parent.rglob("*")) == before and {each.name for each in tmp_path.iterdir()} == {"in", "cache"}
    assert not (tmp_path.parent / "outside.png").exists() and not Path("/outside.png").exists()


def test_an_archive_larger_than_any_data_set_is_refused_unread(tmp_path: Path) -> None:
    info = tarfile.TarInfo("test/cat/0.png")
    info.size = 2**40
    (tmp_path / "bomb.tar").write_bytes(info.tobuf() + b"\0" * 512)
    assert "more than" in refused(f"cifar10:{tmp_path / 'bomb.tar'}").message
