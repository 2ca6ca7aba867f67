"""The rules of the layout (CONTRIBUTING.md): who may import whom, what the runtime may use, how long a file may be."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "qnn_deploy"
RUNTIME = ROOT / "runtime"
TORCH_ALLOWED = ("nn/", "train/", "frontend/torch_")
LONGEST = 400


def modules(folder: str = "") -> list[Path]:
    return sorted((PACKAGE / folder).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Full names of what ``path`` imports, at any depth, `TYPE_CHECKING` blocks included."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""
            yield from (f"{node.module}.{name.name}" for name in node.names)


def uncommented(path: Path) -> str:
    """C source without comments and string literals."""
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(\\.|[^"\\\n])*"', " ", path.read_text(), flags=re.S)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_torch_only_where_it_may_be(path: Path) -> None:
    if not str(path.relative_to(PACKAGE)).startswith(TORCH_ALLOWED):
        assert not [name for name in imports(path) if name.split(".")[0] in ("torch", "onnxscript")]


@pytest.mark.parametrize("path", modules("ops"), ids=lambda path: path.name)
def test_operators_know_numpy_and_the_graph_only(path: Path) -> None:
    allowed = ("numpy", "onnx_ir", "qnn_deploy.ops", "qnn_deploy.errors")
    for name in imports(path):
        standard = name.split(".")[0] in ("__future__", "collections", "dataclasses", "enum", "functools", "math", "typing")
        assert standard or name.startswith(allowed), name


@pytest.mark.parametrize("path", modules("emit"), ids=lambda path: path.name)
def test_emitters_import_no_pass_and_no_frontend(path: Path) -> None:
    banned = ("qnn_deploy.passes", "qnn_deploy.frontend", "qnn_deploy.nn", "qnn_deploy.train", "torch")
    assert not [name for name in imports(path) if name.startswith(banned)]


@pytest.mark.parametrize("path", modules("passes"), ids=lambda path: path.name)
def test_passes_import_no_output(path: Path) -> None:
    banned = ("qnn_deploy.emit", "qnn_deploy.targets", "qnn_deploy.toolchain", "qnn_deploy.evaluate", "qnn_deploy.cli")
    assert not [name for name in imports(path) if name.startswith(banned)]


def test_only_the_command_line_prints_or_exits() -> None:
    for path in modules():
        if path.is_relative_to(PACKAGE / "cli"):
            continue
        calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        assert not [call for call in calls if isinstance(call, ast.Name) and call.id in ("print", "exit")], path
        assert "sys.exit" not in path.read_text(), path


@pytest.mark.parametrize("path", [*modules(), *sorted((ROOT / "tools").glob("*.py"))], ids=lambda path: str(path.relative_to(ROOT)))
def test_renames_are_made_where_they_are_flushed(path: Path) -> None:
    if path == PACKAGE / "files.py":
        return
    for call in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)):
        if isinstance(call.func, ast.Attribute) and call.func.attr in ("rename", "renames", "replace"):
            text_or_record = len(call.args) == 2 or call.keywords  # str.replace, dataclasses.replace
            assert text_or_record and not ast.unparse(call.func).startswith(("os.", "shutil.")), f"line {call.lineno}: see files.move"


@pytest.mark.parametrize("path", sorted((RUNTIME / "src").rglob("*.[ch]")), ids=lambda path: path.name)
def test_the_library_neither_allocates_nor_prints(path: Path) -> None:
    assert not re.findall(r"\b(?:malloc|calloc|realloc|free|printf|fprintf|puts|abort|exit)\s*\(", uncommented(path))
    headers = set(re.findall(r"#\s*include\s*<([^>]+)>", path.read_text()))
    intrinsics = {"immintrin.h", "arm_acle.h", "arm_neon.h", "cpuid.h"} | ({"sys/auxv.h"} if path.name == "qd_cpu.c" else set())
    assert headers <= {"stddef.h", "stdint.h", "string.h", "limits.h", "float.h"} | intrinsics


@pytest.mark.parametrize("path", sorted((RUNTIME / "src" / "kernels").glob("*.[ch]")), ids=lambda path: path.name)
def test_kernels_never_see_the_format(path: Path) -> None:
    own = {Path(name).name for name in re.findall(r'#\s*include\s*"([^"]+)"', path.read_text())}
    assert not own & {"qd_format.h", "qd_read.h", "qd_program.h", "qd_load.h", "qd.h"}


SOURCES = [*modules(), *sorted((ROOT / "tests").rglob("*.py")), *sorted((ROOT / "tools").glob("*.py")), *sorted(RUNTIME.rglob("*.[ch]"))]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_is_too_long(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST, "two ideas live in one file: split it"
