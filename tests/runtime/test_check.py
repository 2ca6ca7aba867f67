"""`qd_run --check`: the file that was built or not, by its manifest or by a hash; any manifest is safe to read."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from qnn_deploy.targets import find_target
from qnn_deploy.toolchain.compiler import build_program

SEED = Path(__file__).resolve().parents[2] / "tests" / "compat" / "format_1_2.qdm"


def row(path: str, digest: str) -> dict[str, object]:
    return {"kind": "qdm", "path": path, "target": None, "bytes": 1, "sha256": digest}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return Path(shutil.copy(SEED, tmp_path / "model.qdm"))


def check(model: Path, *hash: str) -> tuple[int, str]:
    run = subprocess.run([build_program("qd_run", find_target("host")), "--check", model, *hash], capture_output=True, text=True)
    return run.returncode, run.stdout + run.stderr


def manifest(model: Path, *rows: dict[str, object]) -> None:
    source = {"path": model.name, "sha256": "0" * 64, "weights": None}
    (model.parent / "manifest.json").write_text(json.dumps({"schema_version": 1, "source": source, "artefacts": rows}, indent=1))


@pytest.mark.parametrize("size", [0, 1, 55, 56, 63, 64, 65, 119, 120, 1000])
def test_every_length_has_the_hash_that_hashlib_gives(size: int, tmp_path: Path) -> None:
    path = tmp_path / "any"
    path.write_bytes(bytes(i * 7 % 256 for i in range(size)))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    status, text = check(path, digest)
    # The hash is right, and the bytes are no model; or there is nothing to read.
    assert status == 2 and ("too short" in text or "not a .qdm" in text or size == 0), text
    status, text = check(path, "0" * 64)
    assert (status == 1 and digest in text) or size == 0


def test_a_built_model(model: Path) -> None:
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    manifest(model, row("other.qdm", "1" * 64), row(model.name, digest), row("qd_run", "2" * 64))
    assert check(model) == (0, f"{model}: the file that was built, SHA-256 {digest}\n")
    assert check(model, digest.upper())[0] == 0
    assert check(model, digest[:-1])[0] == 2
    content = bytearray(model.read_bytes())
    content[-1] ^= 1
    model.write_bytes(content)
    status, text = check(model)
    assert status == 1 and "not the file that was built" in text


def test_what_cannot_be_told(model: Path, tmp_path: Path) -> None:
    assert check(model)[0] == 2
    manifest(model, row("other.qdm", "1" * 64))
    status, text = check(model)
    assert status == 2 and "no hash of model.qdm" in text
    manifest(model, row(model.name, "short"))
    assert check(model)[0] == 2
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    whole = json.dumps({"artefacts": [row(model.name, digest)]}).encode()
    for end in range(0, len(whole), 3):
        (tmp_path / "manifest.json").write_bytes(whole[:end])
        assert check(model)[0] == (0 if whole[:end].count(b"}") else 2), whole[:end]
    for text in (
        b"",
        b'"',
        b"\\",
        b'"artefacts":[{"path":"model.qdm\\"',
        b'{"path":"model.qdm","sha256":"' + b"0" * 64 + b'"}',
        b"\x00" * 100,
    ):
        (tmp_path / "manifest.json").write_bytes(text)
        assert check(model)[0] == 2, text
