"""Checks of a torch.export archive (.pt2) before torch reads it. No torch here.

``torch.export.load`` is meant for trusted files: it unpickles where the archive says so, evaluates symbolic sizes as Python
expressions and writes names into Python source. This module admits only archives that leave it nothing of that to do: raw tensors,
plain example inputs, sizes and names from a short alphabet. (Guards, Python source too, are not built: `torch_export.load_archive`.)
This closes the ways that are known. A .pt2 file still deserves the care that a program deserves; a checkpoint of ours, read with
``weights_only=True``, does not need it.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from qnn_deploy.errors import UserError, as_damage

_QUOTED = re.compile(r"'[A-Za-z_]\w*'")
_NUMBER = re.compile(r"(?<!\w)\d+(?!\w)")
_WORD = re.compile(r"[A-Za-z_]\w*")
_FUNCTIONS = {"Symbol", "Integer", "Add", "Mul", "Pow", "Max", "Min", "Mod", "FloorDiv", "CeilDiv"}
_WORDS = _FUNCTIONS | {"True", "False", "positive", "integer", "nonnegative"}
_NAME = re.compile(r"[\w.$]*")


def read_archive(path: Path) -> tuple[bytes, bytes]:
    """The bytes of a .pt2 archive that passed the checks, and of its example inputs (a ``torch.save`` file).

    Raises:
        UserError: QD0101 where the file cannot be read, QD0102 where it is damaged or holds what is not admitted.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError("QD0101", f"cannot read the archive: {error.strerror}", where=str(path)) from error
    with as_damage("QD0102", "not a torch.export archive", where=str(path), help=_HELP), zipfile.ZipFile(io.BytesIO(data)) as archive:
        if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
            raise UserError("QD0102", "the archive is compressed, which torch.export.save never does", where=str(path), help=_HELP)
        damaged = archive.testzip()
        names = [name.partition("/")[2] for name in archive.namelist()]
        if damaged is not None or len(set(names)) != len(names):
            raise UserError("QD0102", "the archive is damaged", where=str(path))
        files = dict(zip(names, archive.namelist(), strict=True))
        return data, _check(path, archive, files)


_HELP = "write it with torch.export.save(torch.export.export(model.eval(), (example,)), 'model.pt2') in torch 2.9 or later"


def _check(path: Path, archive: zipfile.ZipFile, files: dict[str, str]) -> bytes:
    def refused(what: str) -> UserError:
        return UserError("QD0102", f"the archive is refused: {what}", where=str(path), help=_HELP)

    if "archive_version" not in files or "models/model.json" not in files:
        raise refused("it has no models/model.json, which torch.export.save writes")
    if any(name.startswith("data/aotinductor/") for name in files):
        raise refused("it holds compiled code (AOTInductor)")
    for kind in ("weights", "constants"):
        if f"data/{kind}/model.pt" in files:
            raise refused(f"its {kind} are pickled")
        config = json.loads(archive.read(files[f"data/{kind}/model_{kind}_config.json"]))["config"]
        for name, entry in config.items():
            raw = str(entry["path_name"]).startswith(("weight_", "tensor_")) and entry.get("tensor_meta") is not None
            if entry.get("use_pickle") or not raw:
                raise refused(f"{name} is pickled, or no tensor")
    graph = json.loads(archive.read(files["models/model.json"]))
    for key, value in _strings(graph):
        if key == "expr_str" and not _is_size(value):
            raise refused(f"a size is {value!r}")
        if key == "name" and not _NAME.fullmatch(value):
            raise refused(f"a name is {value!r}")
    return archive.read(files["data/sample_inputs/model.pt"])


def _strings(tree: Any) -> Iterator[tuple[str, str]]:
    """Every (key, string) of a JSON tree, depth first."""
    work = [tree]
    while work:
        node = work.pop()
        if isinstance(node, dict):
            for key, value in node.items():
                if isinstance(value, str):
                    yield key, value
                else:
                    work.append(value)
        elif isinstance(node, list):
            work.extend(node)


def _is_size(text: str) -> bool:
    """True for an expression in symbols and integers, made of known words."""
    rest = _QUOTED.sub("", text)
    if not set(_WORD.findall(_NUMBER.sub("", rest))) <= _WORDS | set(re.findall(r"\b[su]\d+\b", rest)):
        return False
    return bool(re.fullmatch(r"[\w\s(),=+\-*/]*", rest))
