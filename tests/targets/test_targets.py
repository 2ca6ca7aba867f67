"""Targets: names, aliases, and what a mistyped one is answered."""

from __future__ import annotations

import pytest

from qnn_deploy import targets
from qnn_deploy.errors import UserError
from qnn_deploy.targets import all_targets, find_target, host_machine


@pytest.mark.parametrize("name", ["arm64", "aarch64", "rpi3", "rpi4", "rpi5"])
def test_boards_are_aliases_of_one_target(name: str) -> None:
    assert find_target(name) is find_target("arm64")
    assert find_target(name).triple == "aarch64-linux-musl"


def test_portable_targets() -> None:
    rows = {name: find_target(name) for name in ("armv7", "riscv64")}
    assert {name: (row.machine, row.kernels, row.runner) for name, row in rows.items()} == {
        "armv7": ("arm", ("ref", "neon", "arm32"), "qemu-arm"),
        "riscv64": ("riscv64", ("ref",), "qemu-riscv64"),
    }
    assert find_target("rpi2") is rows["armv7"]


def test_names_are_unique() -> None:
    names = [name for target in all_targets() for name in (target.name, *target.aliases)]
    assert len(names) == len(set(names))


def test_every_target_tests_the_reference_kernels_first() -> None:
    assert all(target.kernels[0] == "ref" for target in all_targets())


def test_host_is_this_machine() -> None:
    assert find_target("host").machine == host_machine()
    assert find_target("host").native


HOSTS = [("x86_64", ("ref", "avx2", "avx512")), ("aarch64", ("ref", "neon", "dotprod")), ("riscv64", ("ref",))]


@pytest.mark.parametrize("machine,kernels", HOSTS)
def test_host_on_other_machines(monkeypatch: pytest.MonkeyPatch, machine: str, kernels: tuple[str, ...]) -> None:
    monkeypatch.setattr(targets.platform, "machine", lambda: machine)
    all_targets.cache_clear()
    try:
        host = find_target("host")
        assert host.kernels == kernels and host.machine == machine
        assert find_target("arm64").native == (machine == "aarch64")
    finally:
        all_targets.cache_clear()


@pytest.mark.parametrize("typed,meant", [("amr64", "arm64"), ("rpi-4", "rpi4"), ("X86-64", "x86-64")])
def test_unknown_target_with_a_hint(typed: str, meant: str) -> None:
    with pytest.raises(UserError) as caught:
        find_target(typed)
    assert caught.value.code == "QD0110" and f"{meant!r}" in caught.value.help


def test_unknown_target_without_a_hint() -> None:
    with pytest.raises(UserError) as caught:
        find_target("toaster")
    assert "did you mean" not in caught.value.help
