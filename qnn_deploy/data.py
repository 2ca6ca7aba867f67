"""Data sets by specification: ``digits``, ``cifar10[:PATH]``, ``folder:PATH``, ``npy:FILE`` or an import path: ``package.module:function``
or ``package.module:Class[:ROOT]`` with (image, label) items.

Every data set is uint8 images [N, C, H, W] and int64 labels [N], for the split "train" or "test".
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import inspect
import operator
import os
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qnn_deploy import plain_pickle
from qnn_deploy.cache import cache_folder
from qnn_deploy.errors import QnnDeployError, UserError, as_damage
from qnn_deploy.files import move
from qnn_deploy.images import decode_image, read_npy

CIFAR10_HELP = (
    "get cifar-10-python.tar.gz (MD5 c58f30108f718f92721af3b95e74349a) from the CIFAR-10 page of its author, Alex Krizhevsky,"
    " and name it with --data cifar10:PATH or put it into the folder that QNN_DEPLOY_DATA names"
)
_CIFAR10_MD5 = {"c58f30108f718f92721af3b95e74349a": "python", "c32a1d4ab5d03f1284b67883e8d87530": "binary"}
_CIFAR10_FILES = ("cifar-10-python.tar.gz", "cifar-10-binary.tar.gz", "cifar-10-batches-py", "cifar-10-batches-bin", "cifar10-jpeg.tar.xz")
_MOST_BYTES, _MOST_MEMBERS = 2**32, 10**6
_IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp")


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Images uint8 [N, C, H, W], labels int64 [N] (all -1 where unknown), and a name for reports."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    name: str

    def take(self, count: int | None) -> Dataset:
        """The first ``count`` samples (all for None)."""
        return self if count is None else Dataset(self.images[:count], self.labels[:count], self.name)


def load(spec: str, split: str = "test") -> Dataset:
    """The data set that ``spec`` names.

    Raises:
        UserError: QD0203 where it is unknown, missing or damaged; QD0111 where a needed package is missing.
    """
    kind, _, argument = spec.partition(":")
    if kind == "digits" and not argument:
        return _digits(split)
    if kind == "cifar10":
        path = Path(argument) if argument else find_cifar10()
        if path is None:
            raise UserError("QD0203", "CIFAR-10 was not found", help=CIFAR10_HELP)
        return _cifar10(path, split)
    if kind == "folder" and argument:
        root = Path(argument)
        if not root.is_dir():
            raise UserError("QD0203", "no such folder", where=argument)
        return _class_folders(root / split if (root / split).is_dir() else root, f"folder {root.name}")
    if kind == "npy" and argument:
        return _npy(Path(argument))
    if argument:
        return _imported(kind, argument, split)
    raise UserError("QD0203", f"unknown data {spec!r}", help="digits, cifar10[:PATH], folder:PATH, npy:FILE or package.module:function")


def find_cifar10() -> Path | None:
    """CIFAR-10 in ``$QNN_DEPLOY_DATA`` (a file or a folder) or in ``../shared/data`` beside the project; None where neither is there."""
    places = [Path(__file__).resolve().parents[2] / "shared" / "data"]
    if "QNN_DEPLOY_DATA" in os.environ:
        places.insert(0, Path(os.environ["QNN_DEPLOY_DATA"]))
    for place in places:
        if place.is_file():
            return place
        for name in _CIFAR10_FILES:
            if (place / name).exists():
                return place / name
    return None


def _digits(split: str) -> Dataset:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise UserError("QD0111", "the digits data come with scikit-learn", help='pip install "qnn-deploy[torch]"') from error
    data = load_digits()
    images = data.images.astype(np.uint8)[:, None]
    chosen = (np.arange(len(images)) % 4 == 3) == (split == "test")
    return Dataset(np.ascontiguousarray(images[chosen]), data.target[chosen].astype(np.int64), "digits")


def _npy(path: Path) -> Dataset:
    try:
        stream = path.open("rb")
    except OSError as error:
        raise UserError("QD0203", f"cannot read: {error.strerror or error}", where=str(path)) from error
    with stream, as_damage("QD0203", "not a .npy file of numbers", where=str(path)):
        images = read_npy(stream)
    if images.dtype != np.uint8 or images.ndim != 4:
        raise UserError("QD0203", f"takes uint8 [N, C, H, W], found {images.dtype} {list(images.shape)}", where=str(path))
    return Dataset(images, np.full(len(images), -1, np.int64), path.name)


def _imported(module: str, target: str, split: str) -> Dataset:
    """``module:function`` or ``module:Class[:ROOT]``: both arrays at once, or a data set of (image, label) items, as torchvision's."""
    name, _, root = target.partition(":")
    where = f"{module}:{name}"
    here = str(Path.cwd())
    sys.path.insert(0, here)  # as `python -m` does
    try:
        found = getattr(importlib.import_module(module), name)
        made = found(**_class_arguments(found, split, root, where)) if inspect.isclass(found) else found(split)
        if not isinstance(made, tuple):
            return _items(made, where)
        images, labels = made
    except (ImportError, AttributeError) as error:
        raise UserError("QD0203", f"cannot import {where}: {error}") from error
    except QnnDeployError:
        raise
    except Exception as error:  # the user's own code
        raise UserError("QD0203", f"{where}({split!r}) failed: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(here)
    images, labels = np.asarray(images), np.asarray(labels)
    if images.dtype != np.uint8 or images.ndim != 4 or labels.shape != (len(images),):
        found = f"{images.dtype} {list(images.shape)} and labels {list(labels.shape)}"
        raise UserError("QD0203", f"the function returns uint8 [N, C, H, W] and labels [N], not {found}", where=where)
    return Dataset(images, labels.astype(np.int64), where)


def _class_arguments(found: type, split: str, root: str, where: str) -> dict[str, object]:
    """What torchvision's data sets are called with: ``root``, and ``split`` or ``train``, as far as the class takes them."""
    known = inspect.signature(found).parameters
    values: dict[str, object] = {"split": split} if "split" in known else {"train": split == "train"} if "train" in known else {}
    if not values:
        raise UserError("QD0203", "the class takes neither split nor train: training and test images would be the same", where=where)
    if root:
        return values | {"root": root}
    if "root" in known and known["root"].default is inspect.Parameter.empty:
        raise UserError("QD0203", "the class wants a root folder", where=where, help=f"--data {where}:FOLDER")
    return values


def _items(items: Any, where: str) -> Dataset:
    """Every (image, label) of ``items``: PIL images, or uint8 arrays [H, W] or [C, H, W], all of one size."""
    try:
        count = len(items)
    except TypeError as error:
        raise UserError(
            "QD0203", f"neither (images, labels) nor a data set with a length, but {type(items).__name__}", where=where
        ) from error
    images: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    for index in range(count):
        item = items[index]
        if not isinstance(item, (tuple, list)) or len(item) != 2:
            raise UserError("QD0203", f"item {index} is no pair (image, label)", where=where)
        image = np.asarray(item[0])
        if image.ndim == 3 and hasattr(item[0], "getbands"):  # PIL has the channels last
            image = image.transpose(2, 0, 1)
        image = image[None] if image.ndim == 2 else image
        if image.dtype != np.uint8 or image.ndim != 3:
            what = f"item {index} is {image.dtype} {list(image.shape)}; images are PIL's, or uint8 [H, W] or [C, H, W]"
            raise UserError("QD0203", what, where=where, help="leave out transforms that give floats; the recipe augments")
        if images and image.shape != images[0].shape:
            raise UserError("QD0203", f"item {index} is {list(image.shape)}, item 0 is {list(images[0].shape)}", where=where)
        images.append(image)
        try:
            labels.append(operator.index(item[1]))
        except TypeError as error:
            raise UserError("QD0203", f"the label of item {index} is {item[1]!r}, no whole number", where=where) from error
    if not images:
        raise UserError("QD0203", "the data set is empty", where=where)
    return Dataset(np.stack(images), np.array(labels, np.int64), where)


def _cache(path: Path) -> Path:
    stat = path.stat()
    key = hashlib.sha256(f"{path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}|1".encode()).hexdigest()[:16]
    return cache_folder("data") / f"{key}.npz"


def _cifar10(path: Path, split: str) -> Dataset:
    if not path.exists():
        raise UserError("QD0203", "no such file or folder", where=str(path), help=CIFAR10_HELP)
    if path.is_dir():
        if (path / "test_batch").exists() or (path / "test_batch.bin").exists():
            names = {p.name: p.read_bytes for p in path.iterdir()}
            return _cifar10_batches(lambda name: names[name](), "test_batch" in names, split, path)
        return _class_folders(path / split, "CIFAR-10 (class folders)")
    cache = _cache(path)
    found = _read_cache(cache, split)
    if found is None:
        with as_damage("QD0203", "the archive is damaged", where=str(path), help=CIFAR10_HELP), tarfile.open(path) as archive:
            arrays: dict[str, NDArray[Any]] = _cifar10_archive(archive, path)
        temporary = cache.with_name(f".{cache.stem}.{os.getpid()}.npz")
        try:
            np.savez(temporary, **arrays)  # type: ignore[arg-type]
            move(temporary, cache)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            help = "make room, or set XDG_CACHE_HOME to a folder that can be written"
            raise UserError("QD0105", f"cannot write the cache: {error.strerror}", where=str(cache), help=help) from error
        found = arrays["lossy"], arrays[f"{split}_images"], arrays[f"{split}_labels"]
    lossy, images, labels = found
    return Dataset(images, labels, "CIFAR-10 (JPEG copy)" if bool(lossy) else "CIFAR-10")


def _read_cache(cache: Path, split: str) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]] | None:
    """``lossy``, images and labels that were kept in ``cache``; None where there is no such file, or a damaged one."""
    try:
        with np.load(cache) as arrays:
            return arrays["lossy"], arrays[f"{split}_images"], arrays[f"{split}_labels"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None


def _cifar10_archive(archive: tarfile.TarFile, path: Path) -> dict[str, NDArray[Any]]:
    members = {member.name.removeprefix("./"): member for member in _members(archive, path)}
    batches = {Path(name).name: member for name, member in members.items() if "batch" in Path(name).name}

    def read(member: tarfile.TarInfo) -> bytes:
        stream = archive.extractfile(member)
        assert stream is not None
        return stream.read()

    result: dict[str, NDArray[Any]] = {"lossy": np.array(not batches)}
    for split in ("train", "test"):
        if batches:
            with_pickle = "test_batch" in batches
            if with_pickle and hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() not in _CIFAR10_MD5:
                raise UserError("QD0203", "the archive's MD5 is not the official one, and its batches are pickles", where=str(path))
            data = _cifar10_batches(lambda name: read(batches[name]), with_pickle, split, path)
        else:
            # Read in the archive's order (a compressed tar cannot seek back cheaply), then sorted by name.
            contents = [(name, read(member)) for name, member in members.items() if f"/{split}/" in f"/{name}"]
            data = _decode(iter(sorted(contents)), f"{path.name}:{split}")
        result[f"{split}_images"], result[f"{split}_labels"] = data.images, data.labels
    return result


def _members(archive: tarfile.TarFile, path: Path) -> Iterator[tarfile.TarInfo]:
    """The plain files of ``archive``, which are read where they are: nothing is unpacked, links lead nowhere.

    Raises:
        UserError: QD0203 for more or larger ones than a data set of small images has, before they are decompressed.
    """
    total = 0
    for count, member in enumerate(archive):
        total += member.size
        if total > _MOST_BYTES or count >= _MOST_MEMBERS:
            what = f"the archive holds more than {_MOST_BYTES:,} bytes or {_MOST_MEMBERS:,} members"
            raise UserError("QD0203", what, where=str(path), help="unpack it, and name the folder with folder:PATH")
        if member.isreg() and not member.issparse():
            yield member


def _cifar10_batches(read, with_pickle: bool, split: str, path: Path) -> Dataset:  # type: ignore[no-untyped-def]
    names = [f"data_batch_{i}" for i in range(1, 6)] if split == "train" else ["test_batch"]
    images, labels = [], []
    for name in names:
        with as_damage("QD0203", f"batch {name} is missing or damaged", where=str(path), help=CIFAR10_HELP):
            if with_pickle:
                batch = plain_pickle.loads(read(name))
                found, classes = batch[b"data"].array, batch[b"labels"]
                if not all(type(label) is int for label in classes):
                    raise ValueError("labels are whole numbers")
            else:
                rows = np.frombuffer(read(f"{name}.bin"), np.uint8).reshape(-1, 3073)
                found, classes = rows[:, 1:], rows[:, 0]
            images.append(found.reshape(len(classes), 3, 32, 32))
            labels.append(np.asarray(classes, np.int64))
    return Dataset(np.concatenate(images), np.concatenate(labels), "CIFAR-10")


def _class_folders(root: Path, name: str) -> Dataset:
    if not root.is_dir():
        raise UserError("QD0203", "no such folder", where=str(root))
    files = sorted(p for p in root.glob("*/*") if p.suffix.lower() in _IMAGE_SUFFIXES)
    try:
        data = _decode(((f"{p.parent.name}/{p.name}", p.read_bytes()) for p in files), str(root))
    except OSError as error:
        raise UserError("QD0203", f"cannot read: {error.strerror}", where=str(error.filename)) from error
    return Dataset(data.images, data.labels, name)


def _decode(files: Iterator[tuple[str, bytes]], where: str) -> Dataset:
    """Images of one size; the label is the rank of the parent folder's name in alphabetical order."""
    images, classes = [], []
    for name, content in files:
        if not name.lower().endswith(_IMAGE_SUFFIXES):
            continue
        images.append(decode_image(content, code="QD0203", what=f"image {name} cannot be decoded", where=where))
        classes.append(name.split("/")[-2])
    if not images:
        raise UserError("QD0203", "no images found", where=where, help="class folders: CLASS/NAME.jpg")
    if len({image.shape for image in images}) > 1:
        raise UserError("QD0203", "images differ in size", where=where)
    ranks = {name: rank for rank, name in enumerate(sorted(set(classes)))}
    return Dataset(np.stack(images), np.array([ranks[c] for c in classes], np.int64), where)
