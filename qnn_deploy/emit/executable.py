"""The programs of a target: the C runtime, compiled. They read any ``.qdm``; a build copies them beside it. A firmware gets the library."""

from __future__ import annotations

from pathlib import Path

from qnn_deploy.targets import Target
from qnn_deploy.toolchain.compiler import OBJECT, PROGRAMS, build_program, find_compiler, runtime_folder


def executables(target: Target, cc: str | None = None) -> dict[str, Path]:
    """Compiled programs by name, in the cache; for a firmware the library and its headers.

    Raises:
        ToolchainError: no compiler, or it failed.
    """
    compiler = find_compiler(cc)
    if target.bare:
        headers = runtime_folder() / "include" / "qd"
        return {OBJECT: build_program(OBJECT, target, compiler), **{name: headers / name for name in ("qd.h", "qd_config.h")}}
    return {program: build_program(program, target, compiler) for program in PROGRAMS}
