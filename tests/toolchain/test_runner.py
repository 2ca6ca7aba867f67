"""Runners: which one is chosen, what is said where it is missing, and the ssh runner against a stand-in for ssh."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from qnn_deploy.errors import QnnDeployError, ToolchainError
from qnn_deploy.targets import find_target
from qnn_deploy.toolchain import runner
from qnn_deploy.toolchain.runner import LocalRunner, SshRunner, find_runner


def program(folder: Path, text: str = 'echo "got $1"; cat input > output') -> None:
    path = folder / "prog"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    (folder / "input").write_text("data")


def foreign() -> str:
    return "arm64" if find_target("host").machine == "x86_64" else "x86-64"


def test_host_runs_in_the_folder(tmp_path: Path) -> None:
    program(tmp_path)
    result = find_runner(None, find_target("host")).execute(tmp_path, ["prog", "this"])
    assert (result.returncode, result.stdout.strip()) == (0, "got this")
    assert (tmp_path / "output").read_text() == "data"


def test_a_program_that_cannot_start(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError) as caught:
        LocalRunner("host").execute(tmp_path, ["missing"])
    assert caught.value.code == "QD0403"


def test_host_does_not_run_foreign_code() -> None:
    with pytest.raises(ToolchainError) as caught:
        find_runner("host", find_target(foreign()))
    assert caught.value.code == "QD0403"


def test_missing_emulator_has_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "find_emulator", lambda name: None)
    with pytest.raises(ToolchainError) as caught:
        find_runner(None, find_target(foreign()))
    assert caught.value.code == "QD0403" and "apt install qemu-user" in caught.value.help


@pytest.mark.parametrize("spec", ["pigeon", "ssh:", "ssh:-oProxyCommand=x", ""])
def test_unknown_runner(spec: str) -> None:
    if spec:
        with pytest.raises(QnnDeployError) as caught:
            find_runner(spec, find_target("host"))
        assert caught.value.code == "QD0106"
    else:
        assert find_runner(spec, find_target("host")).name == "host"


@pytest.fixture
def fake_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """ssh and scp that work on this machine: the host's name is dropped, the command runs here."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "ssh").write_text('#!/bin/sh\nshift 2\nexec sh -c "$*"\n')
    (tools / "scp").write_text(
        "#!/bin/sh\nshift 2\nset -- $(printf '%s\\n' \"$@\" | sed 's/^board://')\nfor last; do :; done\n"
        'while [ $# -gt 1 ]; do cp -r "$1" "$last"; shift; done\n'
    )
    for name in ("ssh", "scp"):
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tools


def test_ssh_copies_runs_and_fetches(tmp_path: Path, fake_ssh: Path) -> None:
    folder = tmp_path / "job"
    folder.mkdir()
    program(folder)
    before = set(tmp_path.iterdir())
    found = find_runner("ssh:board", find_target("arm64"))
    result = found.execute(folder, ["prog", "a b"])
    assert (found.name, result.stdout.strip()) == ("ssh:board", "got a b")
    assert (folder / "output").read_text() == "data"
    assert set(tmp_path.iterdir()) == before, "the board's temporary folder is removed"


def test_ssh_that_does_not_connect(tmp_path: Path, fake_ssh: Path) -> None:
    (fake_ssh / "ssh").write_text("#!/bin/sh\necho 'Permission denied (publickey).' >&2\nexit 255\n")
    with pytest.raises(ToolchainError) as caught:
        SshRunner("board").execute(tmp_path, ["prog"])
    assert caught.value.code == "QD0403" and "Permission denied" in caught.value.message
