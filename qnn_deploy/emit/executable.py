"""The programs of a target: the C runtime, compiled. They read any ``.qdm``; a build copies them beside its own."""

from __future__ import annotations

from pathlib import Path

from qnn_deploy.targets import Target
from qnn_deploy.toolchain.compiler import PROGRAMS, build_program, find_compiler


def executables(target: Target, cc: str | None = None) -> dict[str, Path]:
    """Compiled programs by name, in the cache.

    Raises:
        ToolchainError: no compiler, or it failed.
    """
    compiler = find_compiler(cc)
    return {program: build_program(program, target, compiler) for program in PROGRAMS}
