"""Find a C compiler and make the runtime's programs with it, once per (sources, flags, compiler)."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.metadata
import importlib.util
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Literal

from qnn_deploy.cache import cache_folder
from qnn_deploy.errors import ToolchainError, UserError
from qnn_deploy.files import make_folder, move
from qnn_deploy.targets import Target

PROGRAMS = ("qd_run", "qd_bench")
# The library alone, for a firmware: its tables of buffers are small, because checking a model takes four bytes of stack for each.
OBJECT = "qd.o"
BARE: tuple[str, ...] = ("-r", "-nostdlib", "-fno-math-errno", "-Iport/bare")
BARE += ("-DQD_MAX_BUFFERS=256", "-DQD_MAX_OPERATORS=256", "-DQD_MAX_CONSTANTS=2048")
# No contraction to fma: exactness (design section 2). zig adds UBSan traps and frame pointers unless told not to.
FLAGS: tuple[str, ...] = ("-std=c11", "-O2", "-ffp-contract=off", "-fno-sanitize=undefined", "-fomit-frame-pointer")
# A tenth of the program: tables for exceptions, which C has not, and functions that nothing calls.
FLAGS += ("-fno-unwind-tables", "-fno-asynchronous-unwind-tables", "-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections")
_ELF_MACHINES = {22: "s390x", 40: "arm", 62: "x86_64", 183: "aarch64", 243: "riscv64"}
_NO_COMPILER = 'pip install "qnn-deploy[zig]", or name a compiler with --cc'


@dataclasses.dataclass(frozen=True)
class Compiler:
    """A command that compiles C, and its version (part of the cache key)."""

    command: tuple[str, ...]
    version: str
    cross: bool

    def flags(self, target: Target) -> tuple[str, ...]:
        """The compiler's flags for ``target``, linking included."""
        if target.bare:
            flags = tuple(flag for flag in FLAGS if not flag.startswith("-Wl,"))
            return (*flags, *BARE, "-g0", *(("-target", target.triple, f"-mcpu={target.mcpu}") if self.cross else ()))
        if not self.cross or target.triple.endswith("-native"):
            static = ("-static",) if sys.platform == "linux" else ()
            return (*FLAGS, *static, "-s")
        return (*FLAGS, "-target", target.triple, f"-mcpu={target.mcpu}", "-static", "-s")


def runtime_folder() -> Path:
    """The C sources: beside the package in a checkout, inside it in an installed wheel."""
    package = Path(__file__).resolve().parents[1]
    checkout = package.parent / "runtime"
    return checkout if (checkout / "include" / "qd").is_dir() else package / "_runtime"


def find_compiler(cc: str | None = None) -> Compiler:
    """The compiler ``cc`` (a command line), else zig from the ``ziglang`` package, else zig, cc, gcc or clang on the path.

    Raises:
        ToolchainError: QD0401 where there is none; QD0402 where it does not tell its version.
    """
    if cc:
        command = tuple(shlex.split(cc))
        if not command or shutil.which(command[0]) is None:
            raise ToolchainError("QD0401", f"the compiler {cc!r} was not found", help=_NO_COMPILER)
        return Compiler(command, _version(command), cross="zig" in Path(command[0]).name)
    if importlib.util.find_spec("ziglang") is not None:
        return Compiler((sys.executable, "-m", "ziglang", "cc"), f"ziglang {importlib.metadata.version('ziglang')}", cross=True)
    for name in ("zig", "cc", "gcc", "clang"):
        if path := shutil.which(name):
            command = (path, "cc") if name == "zig" else (path,)
            return Compiler(command, _version(command), cross=name == "zig")
    raise ToolchainError("QD0401", "no C compiler was found", help=_NO_COMPILER)


def _version(command: tuple[str, ...]) -> str:
    try:
        result = subprocess.run([*command, "--version"], capture_output=True, text=True, errors="replace", check=True, timeout=120)
    except (OSError, subprocess.SubprocessError) as error:
        raise ToolchainError("QD0402", f"`{shlex.join(command)} --version` failed") from error
    return result.stdout.strip()


def sources(root: Path, program: str) -> list[str]:
    """C files of ``program`` (or `OBJECT`), relative to the runtime's folder ``root``, in a fixed order."""
    library = sorted(path.relative_to(root).as_posix() for pattern in ("src/*.c", "src/kernels/*.c") for path in root.glob(pattern))
    if program == OBJECT:
        return library
    pool = ["port/posix_pool.c"] if program == "qd_bench" else []
    return [*library, "port/posix.c", *pool, f"tools/{program}.c"]


@functools.cache
def sources_key(root: Path) -> str:
    """Digest of all C sources under ``root``, for caches of what is compiled from them."""
    digest = hashlib.sha256()
    folders = ("include", "src", "port", "tools")
    files = sorted(p for folder in folders for p in (root / folder).rglob("*") if p.suffix in (".c", ".h", ".def"))
    for path in files:
        digest.update(f"{path.relative_to(root).as_posix()}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def build_program(program: str, target: Target, compiler: Compiler | None = None) -> Path:
    """The static executable ``program`` (or `OBJECT`) for ``target``, from the cache where the same sources were compiled before.

    Raises:
        ToolchainError: QD0401 where no compiler is found; QD0402 with the compiler's first lines where it fails,
            or where it makes code for another kind of machine. UserError: QD0105 where the cache cannot be written.
    """
    compiler = compiler or find_compiler()
    root = runtime_folder()
    flags = compiler.flags(target)
    key = hashlib.sha256("\0".join([sources_key(root), program, compiler.version, *compiler.command[-2:], *flags]).encode()).hexdigest()[
        :24
    ]
    result = cache_folder("bin") / key / program
    if not result.exists():
        try:
            with tempfile.TemporaryDirectory(dir=result.parents[1], prefix=".tmp-") as scratch:
                made = Path(scratch) / program
                _compile(root, program, target, compiler, made)
                make_folder(result.parent)
                move(made, result)
        except OSError as error:
            help = "make room, or set XDG_CACHE_HOME to a folder that can be written"
            raise UserError("QD0105", f"cannot write the cache: {error.strerror}", where=str(result), help=help) from error
    return result


def _compile(root: Path, program: str, target: Target, compiler: Compiler, made: Path) -> None:
    """Compile ``program`` from the runtime's folder ``root``, by relative paths: the code does not depend on where the project lies."""
    flags = compiler.flags(target)
    libraries = [] if program == OBJECT else ["-lm", "-pthread"]
    command = [*compiler.command, *flags, "-Iinclude", "-Isrc", "-o", str(made), *sources(root, program), *libraries]
    try:
        run = subprocess.run(command, cwd=root, capture_output=True, text=True, errors="replace", timeout=1800)
    except (OSError, subprocess.SubprocessError) as error:
        raise ToolchainError("QD0402", f"the compiler did not run: {error}", where=shlex.join(compiler.command)) from error
    if run.returncode != 0:
        lines = [line for line in run.stderr.splitlines() if line.strip()]
        text = "\n".join(lines[:6]) or f"exit status {run.returncode}"
        raise ToolchainError("QD0402", f"{program} for {target.name} does not compile:\n{text}", where=shlex.join(compiler.command))
    _check_machine(made, target, compiler)


def _check_machine(path: Path, target: Target, compiler: Compiler) -> None:
    head = path.read_bytes()[:20]
    if head[:4] != b"\x7fELF":
        return
    byte_order: Literal["big", "little"] = "big" if head[5] == 2 else "little"
    machine = _ELF_MACHINES.get(int.from_bytes(head[18:20], byte_order), "another machine")
    if machine != target.machine:
        raise ToolchainError(
            "QD0402",
            f"the compiler makes code for {machine}, target {target.name} is {target.machine}",
            where=shlex.join(compiler.command),
            help='leave --cc away (`pip install "qnn-deploy[zig]"` brings a cross compiler), or name a cross compiler',
        )
