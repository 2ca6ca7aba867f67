"""What a .pt2 archive may not bring along: pickles, expressions, source text."""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from qnn_deploy.errors import UserError  # noqa: E402
from qnn_deploy.frontend.archive import read_archive  # noqa: E402
from qnn_deploy.frontend.torch_export import load_archive  # noqa: E402

WEIGHTS = "data/weights/model_weights_config.json"
CONSTANTS = "data/constants/model_constants_config.json"
GRAPH = "models/model.json"


class _Linear(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(2, 3))

    def forward(self, x: Any) -> Any:
        return torch.nn.functional.linear(x, self.weight)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pt2") / "net.pt2"
    program = torch.export.export(_Linear(), (torch.zeros(3, 3),), dynamic_shapes=({0: torch.export.Dim("n")},))
    torch.export.save(program, path)
    return path


def _repacked(
    source: Path, target: Path, changes: dict[str, Callable[[bytes], bytes] | None], extra: dict[str, bytes] | None = None
) -> Path:
    """The archive with some members changed, dropped (None) or added."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            change = changes.get(name.partition("/")[2], lambda data: data)
            if change is not None:
                new.writestr(name, change(old.read(name)))
        for name, data in (extra or {}).items():
            new.writestr(f"net/{name}", data)
    return target


def _edit(change: Callable[[Any], None]) -> Callable[[bytes], bytes]:
    def apply(data: bytes) -> bytes:
        tree = json.loads(data)
        change(tree)
        return json.dumps(tree).encode()

    return apply


def test_good(good: Path, tmp_path: Path) -> None:
    archive = load_archive(good)
    assert (archive.shape, archive.dtype) == ((3,), "float32")
    with torch.no_grad():
        assert archive.module(torch.ones(5, 3)).tolist() == [[3, 3]] * 5
    copied = _repacked(good, tmp_path / "net.pt2", {})
    assert load_archive(copied).shape == (3,)


def _pickled(tree: Any) -> None:
    tree["config"]["weight"]["use_pickle"] = True


def _named(tree: Any) -> None:
    tree["graph_module"]["graph"]["nodes"][0]["outputs"][0]["as_tensor"]["name"] = "x); print(1); (y"


def _sized(tree: Any) -> None:
    value = tree["graph_module"]["graph"]["tensor_values"]["x"]["sizes"][0]
    assert "expr_str" in value["as_expr"]
    value["as_expr"]["expr_str"] = "__import__('os').getpid()"


BOMB = pickle.dumps(print)


@pytest.mark.parametrize(
    ("changes", "extra", "text"),
    [
        ({WEIGHTS: _edit(_pickled)}, {}, "weight is pickled"),
        ({WEIGHTS: _edit(lambda tree: tree["config"]["weight"].update(tensor_meta=None))}, {}, "weight is pickled"),
        ({CONSTANTS: _edit(lambda tree: tree["config"].update(c={"path_name": "opaque_obj_0", "use_pickle": True}))}, {}, "c is pickled"),
        ({CONSTANTS: _edit(lambda tree: tree["config"].update(c={"path_name": "custom_obj_0", "tensor_meta": {}}))}, {}, "c is pickled"),
        ({}, {"data/weights/model.pt": BOMB}, "weights are pickled"),
        ({}, {"data/constants/model.pt": BOMB}, "constants are pickled"),
        ({}, {"data/aotinductor/model/a.so": b"\x7fELF"}, "compiled code"),
        ({GRAPH: _edit(_named)}, {}, "a name is"),
        ({GRAPH: _edit(_sized)}, {}, "a size is"),
        ({GRAPH: None}, {}, "models/model.json"),
        ({WEIGHTS: None}, {}, "not a torch.export archive"),
        ({GRAPH: lambda data: data[:-1]}, {}, "not a torch.export archive"),
        ({"data/sample_inputs/model.pt": None}, {}, "not a torch.export archive"),
    ],
)
def test_refused(good: Path, tmp_path: Path, changes: dict[str, Any], extra: dict[str, bytes], text: str) -> None:
    path = _repacked(good, tmp_path / "bad.pt2", changes, extra)
    with pytest.raises(UserError) as caught:
        read_archive(path)
    assert caught.value.code == "QD0102"
    assert text in caught.value.message
    assert "torch.export.save" in caught.value.help


def test_pickled_example_inputs_are_not_run(good: Path, tmp_path: Path) -> None:
    path = _repacked(good, tmp_path / "bad.pt2", {"data/sample_inputs/model.pt": lambda data: BOMB})
    with pytest.raises(UserError) as caught:
        load_archive(path)
    assert caught.value.code == "QD0102"


def test_one_member_twice(good: Path, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        path = _repacked(good, tmp_path / "bad.pt2", {}, {GRAPH: b"{}"})
    with pytest.raises(UserError, match="damaged"):
        read_archive(path)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"no archive" * 50])
def test_foreign_files(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "f.pt2").write_bytes(data)
    with pytest.raises(UserError) as caught:
        read_archive(tmp_path / "f.pt2")
    assert caught.value.code == "QD0102"


def test_flipped_byte(good: Path, tmp_path: Path) -> None:
    data = bytearray(good.read_bytes())
    with zipfile.ZipFile(good) as archive:
        at = archive.getinfo(next(name for name in archive.namelist() if name.endswith("weight_0"))).header_offset
        at = data.index(b"\x00\x00\x80\x3f", at)  # the first 1.0 of the weights
    data[at + 3] ^= 0x80
    (tmp_path / "f.pt2").write_bytes(bytes(data))
    with pytest.raises(UserError, match="damaged"):
        read_archive(tmp_path / "f.pt2")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        read_archive(tmp_path / "none.pt2")
    assert caught.value.code == "QD0101"
