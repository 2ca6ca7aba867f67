"""The targets: rows of ``targets.toml``, found by name or alias."""

from __future__ import annotations

import dataclasses
import functools
import platform
import tomllib
from pathlib import Path
from typing import Any

from qnn_deploy.errors import UserError, nearest

_MACHINES = {"amd64": "x86_64", "arm64": "aarch64", "armv7l": "arm", "armv8l": "arm"}


@dataclasses.dataclass(frozen=True)
class Target:
    """Where a network is to run.

    Attributes:
        name, aliases, summary: what a user types and reads.
        triple, mcpu: as the compiler takes them; empty for the machine's own compiler default.
        kernels: kernel families that this target has, the reference first.
        runner: the emulator for machines of another kind.
    """

    name: str
    summary: str
    triple: str
    aliases: tuple[str, ...] = ()
    mcpu: str = ""
    kernels: tuple[str, ...] = ("ref",)
    runner: str = ""

    @property
    def machine(self) -> str:
        """Instruction set, as ``platform.machine()`` names it on Linux."""
        machine = self.triple.partition("-")[0]
        return "arm" if machine == "thumb" else machine

    @property
    def bare(self) -> bool:
        """True where there is no operating system: the library is linked into a firmware, and there are no programs."""
        return "-freestanding" in self.triple

    @property
    def native(self) -> bool:
        """True where this machine executes the target's code itself."""
        return not self.bare and self.machine == host_machine()


def host_machine() -> str:
    """``x86_64``, ``aarch64`` or what the operating system calls another machine."""
    return _MACHINES.get(platform.machine().lower(), platform.machine().lower())


@functools.cache
def all_targets() -> tuple[Target, ...]:
    """Every row of the table, in its order; ``host`` takes the values of the row of this machine's kind."""
    table = tomllib.loads((Path(__file__).parent / "targets.toml").read_text())["target"]
    rows = [_row(row) for row in table]
    twin = next((row for row in rows if row.triple and row.native), None)
    return tuple(row if row.triple else _host(row, twin) for row in rows)


def _row(table: dict[str, Any]) -> Target:
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    return Target(**values)


def _host(row: Target, twin: Target | None) -> Target:
    if twin is None or platform.system() != "Linux":
        # The compiler's own default triple; the portable kernels run everywhere.
        return dataclasses.replace(row, triple=f"{host_machine()}-native", kernels=twin.kernels if twin else ("ref",))
    return dataclasses.replace(row, triple=twin.triple, mcpu=twin.mcpu, kernels=twin.kernels, runner=twin.runner)


def find_target(name: str) -> Target:
    """The target called ``name`` (or with that alias).

    Raises:
        UserError: QD0110 with the closest known name.
    """
    known = {alias: target for target in all_targets() for alias in (target.name, *target.aliases)}
    if name in known:
        return known[name]
    raise UserError("QD0110", f"unknown target {name!r}", help=f"{nearest(name.lower(), known)}`qnn-deploy targets` lists them")
