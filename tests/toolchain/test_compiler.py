"""Compiling the runtime: cache, flags, and what is said where there is no compiler or it fails."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

import pytest

from qnn_deploy.errors import ToolchainError
from qnn_deploy.targets import find_target
from qnn_deploy.toolchain import compiler
from qnn_deploy.toolchain.compiler import Compiler, build_program, find_compiler, runtime_folder, sources


def script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_sources_are_relative_and_complete() -> None:
    found = sources(runtime_folder(), "qd_run")
    assert found[-2:] == ["port/posix.c", "tools/qd_run.c"]
    assert "src/qd_exec.c" in found and "src/kernels/conv_bits_ref.c" in found
    assert found[:-2] == sorted(found[:-2])


@pytest.mark.parametrize("target", ["host", "arm64"])
def test_exactness_flags_are_always_there(target: str) -> None:
    for cross in (True, False):
        flags = Compiler(("cc",), "1", cross).flags(find_target(target))
        assert "-ffp-contract=off" in flags and "-fno-sanitize=undefined" in flags
        assert not any("fast" in flag for flag in flags)


def test_second_build_comes_from_the_cache(own_cache: Path, tmp_path: Path) -> None:
    real = shutil.which("gcc") or shutil.which("clang")
    if real is None:
        pytest.skip("needs gcc or clang; the default compiler is covered by the build's tests")
    log = tmp_path / "log"
    wrapped = find_compiler(script(tmp_path / "cc", f'echo run >> {log}\nexec {real} "$@"'))
    first = build_program("qd_run", find_target("host"), wrapped)
    assert first.stat().st_mode & stat.S_IXUSR and first.is_relative_to(own_cache)
    calls = log.read_text().count("run")
    assert build_program("qd_run", find_target("host"), wrapped) == first
    assert log.read_text().count("run") == calls
    # Nothing but the finished program is left behind.
    assert [path.name for path in first.parent.parent.iterdir()] == [first.parent.name]


def test_a_failing_compiler_is_quoted(own_cache: Path, tmp_path: Path) -> None:
    broken = script(tmp_path / "cc", '[ "$1" = --version ] && exit 0\necho "foo.c:1: error: no such thing" >&2; exit 1')
    with pytest.raises(ToolchainError) as caught:
        build_program("qd_run", find_target("host"), find_compiler(broken))
    assert caught.value.code == "QD0402" and "no such thing" in str(caught.value)
    assert list((own_cache / "qnn-deploy" / "bin").iterdir()) == []


def test_code_for_another_machine_is_refused(own_cache: Path, tmp_path: Path) -> None:
    # A "compiler" that always makes a RISC-V ELF header.
    header = "\\177ELF\\002\\001\\001\\000\\000\\000\\000\\000\\000\\000\\000\\000\\002\\000\\363\\000"
    text = f'[ "$1" = --version ] && exit 0\nwhile [ "$1" != -o ]; do shift; done\nprintf "{header}" > "$2"'
    with pytest.raises(ToolchainError, match="makes code for") as caught:
        build_program("qd_run", find_target("arm64"), find_compiler(script(tmp_path / "cc", text)))
    assert caught.value.code == "QD0402"
    assert list((own_cache / "qnn-deploy" / "bin").iterdir()) == []


def test_no_compiler_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(compiler.shutil, "which", lambda name: None)
    with pytest.raises(ToolchainError) as caught:
        find_compiler()
    assert caught.value.code == "QD0401" and "qnn-deploy[zig]" in caught.value.help


def test_named_compiler_that_is_missing() -> None:
    with pytest.raises(ToolchainError) as caught:
        find_compiler("no-such-cc -O3")
    assert caught.value.code == "QD0401"
