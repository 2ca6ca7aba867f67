"""The two scripts that a newcomer starts: what they say where something is missing, and how they count."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from qnn_deploy.targets import all_targets

TOOLS = Path(__file__).resolve().parents[1] / "tools"


def load(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(TOOLS))
    spec = importlib.util.spec_from_file_location(f"script_{name}", TOOLS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_python_without_ensurepip_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = load("environment", monkeypatch)
    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match=r"apt install python3\.\d+-venv"):
        environment._create()


def test_a_finished_installation_is_not_repeated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment = load("environment", monkeypatch)
    installed: list[str] = []
    monkeypatch.setattr(environment, "VENV", tmp_path)
    monkeypatch.setattr(environment.sys, "prefix", str(tmp_path))
    monkeypatch.setattr(environment, "_install", lambda python, extras: installed.append(extras))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").touch()
    environment.enter("torch,zig")
    environment.enter("torch,zig")
    assert installed == ["torch,zig"]


@pytest.mark.parametrize(
    "code,expected",
    [
        ("print('12 passed in 1s')", (12, 0)),
        ("print('1 failed, 2 passed, 1 error in 1s'); exit(1)", (2, 2)),
        ("print('no counts')", (1, 0)),
        ("print('3 passed, 0 failed'); exit(3)", (3, 1)),
    ],
)
def test_counting(monkeypatch: pytest.MonkeyPatch, code: str, expected: tuple[int, int]) -> None:
    script = load("test", monkeypatch)
    assert script.run("x", [sys.executable, "-c", code])[:2] == expected


def test_what_cannot_run_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    script = load("test", monkeypatch)
    monkeypatch.setattr(script.shutil, "which", lambda name: None)
    reasons = {name: why for name, _, _, why in script.c_suites()}
    assert reasons["C, zig"] == "" and "clang" in reasons["C, ASan + UBSan"]
    natives = {target.name for target in all_targets() if target.native}
    for row, emulator in {"arm64": "qemu-aarch64", "armv7": "qemu-arm", "riscv64": "qemu-riscv64", "s390x": "qemu-s390x"}.items():
        if row not in natives:
            assert reasons[f"C, {row} under qemu"].startswith(f"{emulator} not found")
