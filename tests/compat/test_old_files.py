"""One packed model of every format version, kept for ever: its logits never change, and a later major version is refused by name.

A new version adds a file and its row in ``expected.json``; no row is ever changed or taken away.
"""

from __future__ import annotations

import json
import re
import zlib
from pathlib import Path

import numpy as np
import pytest

from qnn_deploy.emit.qdm_reader import decode
from qnn_deploy.errors import UserError
from qnn_deploy.evaluate.backends import predict_qdm
from qnn_deploy.targets import find_target
from qnn_deploy.toolchain.compiler import build_program
from qnn_deploy.toolchain.runner import LocalRunner

HERE = Path(__file__).resolve().parent
EXPECTED = json.loads((HERE / "expected.json").read_text())
HEADER = (HERE.parents[1] / "runtime" / "include" / "qd" / "qd.h").read_text()


def logits(model: bytes, shape: list[int], dtype: str, kernels: str) -> list[list[float]]:
    """Of four inputs that the same generator gives everywhere."""
    images = np.arange(4 * np.prod(shape), dtype=np.uint32) * np.uint32(2654435761) >> np.uint32(24)
    program = build_program("qd_run", find_target("host"))
    samples = images.astype(np.uint8).view(dtype).reshape(4, *shape)
    return predict_qdm(LocalRunner("host"), program, model, kernels)(samples).reshape(4, -1).tolist()


def test_every_version_is_kept() -> None:
    minor = int(re.search(r"QD_FORMAT_MINOR (\d+)", HEADER)[1])
    assert {path.name for path in HERE.glob("*.qdm")} == set(EXPECTED) >= {f"format_1_{i}.qdm" for i in range(minor + 1)}


@pytest.mark.parametrize("kernels", ["ref", "auto"])
@pytest.mark.parametrize("name", EXPECTED)
def test_old_files_give_the_same_logits(name: str, kernels: str) -> None:
    content, row = (HERE / name).read_bytes(), EXPECTED[name]
    major, minor = name.removesuffix(".qdm").split("_")[1:]
    assert content[4:8] == bytes([int(major), 0, int(minor), 0])
    assert logits(content, row["shape"], row["dtype"], kernels) == row["logits"]


@pytest.mark.parametrize(("at", "named"), [(4, "2"), (6, "1.99")])
def test_later_versions_are_refused_by_name(at: int, named: str) -> None:
    content = bytearray((HERE / "format_1_0.qdm").read_bytes())
    content[at] = 2 if at == 4 else 99
    content[12:16] = zlib.crc32(content[16:]).to_bytes(4, "little")
    with pytest.raises(UserError, match="version") as refused:
        decode(bytes(content))
    assert named in str(refused.value)
    with pytest.raises(UserError, match="newer or other format version"):
        logits(bytes(content), EXPECTED["format_1_0.qdm"]["shape"], "uint8", "ref")
