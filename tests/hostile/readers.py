"""Every reader of files of others, each with a good file to damage: for the property tests beside it and for `tools/fuzz_python.py`."""

from __future__ import annotations

import io
import json
import pickle
import struct
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx
import torch
from PIL import Image

from qnn_deploy import data
from qnn_deploy.cli.bench import _read_baseline
from qnn_deploy.cli.run import read_input
from qnn_deploy.emit import manifest
from qnn_deploy.emit.qdm_reader import decode
from qnn_deploy.evaluate.inspection import inspect
from qnn_deploy.evaluate.report import inspect_text
from qnn_deploy.evaluate.subjects import open_packed
from qnn_deploy.frontend.torch_export import load_archive, load_weights
from qnn_deploy.nn import checkpoint
from qnn_deploy.train import state
from qnn_deploy.train.metrics import COLUMNS
from qnn_deploy.train.recipe import read_recipe
from qnn_deploy.train.sweep.plan import read_sweep
from qnn_deploy.train.sweep.trial import finished

ROOT = Path(__file__).resolve().parents[2]
PACKED = (ROOT / "runtime" / "fuzz" / "corpus" / "qdm" / "every_operator_1_1.qdm").read_bytes()
Read = Callable[[Path, bytes], Any]
Seed = Callable[[], bytes]


def _file(name: str, read: Callable[[Path], Any]) -> Read:
    """A reader of the file ``name``."""

    def run(folder: Path, content: bytes) -> Any:
        (folder / name).write_bytes(content)
        return read(folder / name)

    return run


def sealed(content: bytes) -> bytes:
    """``content`` with the size and the checksum of a .qdm file made right."""
    result = bytearray(content.ljust(16, b"\0"))
    result[8:12] = len(result).to_bytes(4, "little")
    result[12:16] = zlib.crc32(result[16:]).to_bytes(4, "little")
    return bytes(result)


def _packed(folder: Path, content: bytes) -> str:
    return _file("model.qdm", lambda path: inspect_text(inspect(str(path)), 120))(folder, content)


def good_manifest() -> dict[str, Any]:
    """What a build of `PACKED` says."""
    artefact = {"kind": "qdm", "path": "model.qdm", "target": None, "bytes": len(PACKED), "sha256": manifest.sha256(PACKED)}
    source = {"spec": "a:b", "path": None, "sha256": None, "weights": None, "input_spec": None}
    proof = {"channels": 1, "accumulators": 1, "violations": 0}
    head = {"schema_version": 1, "qnn_deploy": "0", "targets": ["host"], "model_id": "0"}
    return {**head, **manifest.describe(decode(PACKED)), "proof": proof, "source": source, "departures": [], "artefacts": [artefact]}


def read_build(folder: Path, content: bytes) -> None:
    """A build of the manifest ``content``: as `inspect` shows it, and as everything else opens it."""
    (folder / "model.qdm").write_bytes(PACKED)
    (folder / manifest.FILE).write_bytes(content)
    inspect_text(inspect(str(folder)), 120)
    open_packed(str(folder))


def _onnx_model() -> bytes:
    text = '<ir_version: 10, opset_import: ["" : 20]> net (float[N, 3] x) => (float[N, 3] y) { y = Relu(x) }'
    return onnx.parser.parse_model(text).SerializeToString()


def _saved(value: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream)
    return stream.getvalue()


def _state() -> bytes:
    rng = [{name: value for name, value in state.rng_state().items() if name != "cuda"} | {"cuda": []}]
    snapshot = {"epoch": 0, "model": {"w": torch.ones(2)}, "optimizer": [], "scheduler": {}, "rng": rng, "rows": [{"epoch": 1}]}
    return _saved({"format": state.FORMAT, "version": state.VERSION, **snapshot, "recipe": {}, "data": {"train": "0"}})


def _archive() -> bytes:
    stream = io.BytesIO()
    torch.export.save(torch.export.export(torch.nn.Linear(3, 2).eval(), (torch.zeros(2, 3),)), stream)
    return stream.getvalue()


def _picture(kind: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)).save(stream, kind)
    return stream.getvalue()


def _array() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.zeros((2, 1, 4, 4), np.uint8))
    return stream.getvalue()


def _tar() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name in ("train/cat/0.png", "test/cat/0.png", "test/dog/0.png"):
            member = tarfile.TarInfo(name)
            member.size = len(_picture("PNG"))
            archive.addfile(member, io.BytesIO(_picture("PNG")))
    return stream.getvalue()


class _Python2(pickle._Pickler):  # type: ignore[name-defined, misc]
    """Writes byte strings as Python 2 did, who wrote the official batches."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)  # type: ignore[attr-defined]

    def save_bytes(self, value: bytes) -> None:
        self.write(pickle.BINSTRING + struct.pack("<i", len(value)) + value)
        self.memoize(value)

    dispatch[bytes] = save_bytes


def batch(content: Any = None) -> bytes:
    """An official batch of two images, or one with another content."""
    good = {b"data": np.zeros((2, 3072), np.uint8), b"labels": [1, 2], b"filenames": [b"a.png", b"b.png"], b"batch_label": b"1 of 1"}
    stream = io.BytesIO()
    _Python2(stream, 2).dump(good if content is None else content)
    return stream.getvalue().replace(b"cnumpy._core.", b"cnumpy.core.")


def _trial(folder: Path, content: bytes) -> bool:
    (folder / "trained.json").write_text("{}")
    return _file("metrics.csv", lambda path: finished(path.parent))(folder, content)


_METRICS = f"{','.join(COLUMNS)}\n1,1,8,1,1,1,1,1,,,,1\n".encode()

READERS: dict[str, tuple[Read, Seed]] = {
    "checkpoint": (_file("model.pt", checkpoint.load), (ROOT / "models" / "digits-cnn-w1a1" / "model.pt").read_bytes),
    "training state": (_file("last.pt", state.load), _state),
    "weights": (
        _file("weights.pt", lambda path: load_weights(torch.nn.Linear(3, 2), path)),
        lambda: _saved(torch.nn.Linear(3, 2).state_dict()),
    ),
    "archive": (_file("net.pt2", load_archive), _archive),
    "recipe": (_file("recipe.toml", read_recipe), (ROOT / "models" / "digits-cnn-w1a1" / "recipe.toml").read_bytes),
    "sweep": (
        _file("sweep.toml", read_sweep),
        lambda: b'[recipe]\narchitecture = "cnv"\ndata = "digits"\nepochs = 1\n[grid]\nbatch_size = [1, 2]\n',
    ),
    "packed model": (_packed, lambda: PACKED),
    "sealed packed model": (lambda folder, content: _packed(folder, sealed(content)), lambda: PACKED),
    "manifest": (read_build, lambda: manifest.write_json(good_manifest())),
    "ONNX": (_file("model.onnx", lambda path: inspect_text(inspect(str(path)), 120)), _onnx_model),
    "PNG": (_file("image.png", read_input), lambda: _picture("PNG")),
    "JPEG": (_file("image.jpg", read_input), lambda: _picture("JPEG")),
    "PNM": (_file("image.ppm", read_input), lambda: _picture("PPM")),
    "array": (_file("input.npy", read_input), _array),
    "array of data": (_file("data.npy", lambda path: data.load(f"npy:{path}")), _array),
    "tar of class folders": (_file("images.tar.gz", lambda path: data.load(f"cifar10:{path}")), _tar),
    "pickled batch": (_file("test_batch", lambda path: data.load(f"cifar10:{path.parent}")), batch),
    "trial": (_trial, lambda: _METRICS),
    "baseline": (_file("bench.json", _read_baseline), lambda: json.dumps({"rows": [{"name": "a", "median_ms": 1.0}]}).encode()),
}
