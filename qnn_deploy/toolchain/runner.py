"""Run a target's executable: on this machine, under qemu's user emulation, or on a board by ssh.

A job is a folder: the program and its inputs lie in it, the program runs in it, its outputs appear in it.
"""

from __future__ import annotations

import abc
import dataclasses
import functools
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from qnn_deploy.errors import ToolchainError, UserError
from qnn_deploy.targets import Target

_TIMEOUT = 3600


class Runner(abc.ABC):
    """Something that executes a program in a folder."""

    name: str

    @abc.abstractmethod
    def execute(self, folder: Path, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run ``arguments`` (the program's name in ``folder`` first) there; what it writes is in ``folder`` afterwards.

        Raises:
            ToolchainError: QD0403 where it cannot be started at all. A non-zero exit status is the caller's to judge.
        """


@dataclasses.dataclass(frozen=True)
class LocalRunner(Runner):
    """This machine, ``prefix`` being an emulator's command or nothing."""

    name: str
    prefix: tuple[str, ...] = ()

    def execute(self, folder: Path, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return _run([*self.prefix, str(folder / arguments[0]), *arguments[1:]], folder)


@dataclasses.dataclass(frozen=True)
class SshRunner(Runner):
    """A board that ``ssh`` and ``scp`` reach without a password."""

    host: str

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"ssh:{self.host}"

    def execute(self, folder: Path, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
        remote = self._checked(["ssh", "-oBatchMode=yes", self.host, "mktemp -d"], folder).strip()
        before = {path.name for path in folder.iterdir()}
        try:
            self._checked(
                ["scp", "-qr", "-oBatchMode=yes", *(str(folder / name) for name in sorted(before)), f"{self.host}:{remote}/"], folder
            )
            command = f"cd {shlex.quote(remote)} && ./{shlex.join(arguments)}"
            result = _run(["ssh", "-oBatchMode=yes", self.host, command], folder)
            if result.returncode == 255:
                raise self._failed(result)
            listing = self._checked(["ssh", "-oBatchMode=yes", self.host, f"ls {shlex.quote(remote)}"], folder).split("\n")
            made = [name for name in listing if name and name not in before]
            if made:
                self._checked(["scp", "-qr", "-oBatchMode=yes", *(f"{self.host}:{remote}/{name}" for name in made), str(folder)], folder)
            return result
        finally:
            _run(["ssh", "-oBatchMode=yes", self.host, f"rm -rf {shlex.quote(remote)}"], folder)

    def _checked(self, command: list[str], folder: Path) -> str:
        result = _run(command, folder)
        if result.returncode != 0:
            raise self._failed(result)
        return result.stdout

    def _failed(self, result: subprocess.CompletedProcess[str]) -> ToolchainError:
        text = result.stderr.strip().splitlines()
        help = f"`ssh {self.host} true` must work without a password"
        return ToolchainError("QD0403", f"ssh to {self.host} failed: {text[-1] if text else 'no message'}", help=help)


@functools.cache
def available_kernels(runner: Runner, program: Path) -> tuple[str, ...]:
    """The kernel families of ``program`` (qd_run or qd_bench) that the machine behind ``runner`` has, the reference first.

    Raises:
        ToolchainError: QD0403 where the program does not run there.
    """
    with tempfile.TemporaryDirectory(prefix="qnn-deploy-") as folder:
        (Path(folder) / "program").symlink_to(program.resolve())
        result = runner.execute(Path(folder), ["program", "--version"])
    _, found, families = result.stdout.partition(", kernels ")
    if result.returncode != 0 or not found:
        raise ToolchainError("QD0403", f"the program failed on {runner.name}: {result.stderr.strip() or result.stdout.strip()}")
    return tuple(families.split())


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT)
    except FileNotFoundError as error:
        raise ToolchainError("QD0403", f"{command[0]} was not found") from error
    except (OSError, subprocess.SubprocessError) as error:
        raise ToolchainError("QD0403", f"{command[0]} could not be run: {error}") from error


@functools.cache
def find_emulator(name: str) -> str | None:
    """Path of the user emulator ``name`` (or of its static build); None where it is not installed."""
    return shutil.which(name) or shutil.which(f"{name}-static")


def find_runner(spec: str | None, target: Target) -> Runner:
    """The runner that ``spec`` names: ``host``, ``qemu``, ``ssh:HOST``; for None what fits ``target``.

    Raises:
        UserError: QD0106 for an unknown runner.
        ToolchainError: QD0403 where it is missing or does not fit.
    """
    if target.bare:
        help = "its kernels run on armv7 too: --target armv7"
        raise ToolchainError("QD0403", f"code for {target.name} runs in a firmware only", help=help)
    spec = spec or ("host" if target.native else "qemu")
    if spec == "host":
        if not target.native:
            raise ToolchainError("QD0403", f"this machine does not run code for {target.name}", help="--runner qemu or --runner ssh:HOST")
        return LocalRunner("host")
    if spec == "qemu" and target.runner:
        emulator = find_emulator(target.runner)
        if emulator is None:
            help = "apt install qemu-user (or qemu-user-static), or --runner ssh:HOST"
            raise ToolchainError("QD0403", f"{target.runner} not found", help=help)
        return LocalRunner(target.runner, (emulator,))
    if spec.startswith("ssh:") and len(spec) > 4 and not spec[4:].startswith("-"):
        return SshRunner(spec[4:])
    raise UserError("QD0106", f"unknown runner {spec!r}", help="host, qemu or ssh:HOST")
