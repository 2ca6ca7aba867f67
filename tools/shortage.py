"""What the commands do where the disk is full, cannot be written or memory does not suffice: part of `faults.py`.

Each command must succeed, or refuse with exit status 2 and a message of ours, and leave the file or folder that it writes whole or absent.
A full disk is a small tmpfs where this runs as root, and everywhere a limit on the size of files; a read-only one is a tmpfs, or a folder
without the permission; too little memory is a limit on the address space.
"""

from __future__ import annotations

import contextlib
import errno
import faulthandler
import json
import os
import resource
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from environment import ROOT

MODEL = ROOT / "models" / "digits-cnn-w1a1" / "model.pt"
RECIPE = ("digits-cnn-w1a1", "--epochs", "1", "--set", "arguments.channels=8", "--set", "threads=1")
KIB, MIB = 2**10, 2**20
_LOST = ("torch.export cannot trace", "torch.onnx cannot translate")
_LONGEST = 60  # seconds; a command that takes longer hangs
FEW = ("--limit", "2", "--limit-reference", "1", "--runner", "host")
Prepare = Callable[[], None]
Disk = Callable[[Path, int], contextlib.AbstractContextManager[Prepare]]


def run(folder: Path, short: bool) -> tuple[str, list[str]]:
    """One line of summary and what went wrong."""
    import lightning_fabric  # noqa: F401
    import numpy as np
    import onnxruntime  # noqa: F401

    import qnn_deploy.evaluate.parity
    import qnn_deploy.nn.deploy
    import qnn_deploy.nn.truth
    import qnn_deploy.train.run  # noqa: F401

    checks = Checks(folder)
    invoke(("build", str(MODEL), "-o", str(checks.built)), lambda: None)
    np.save(folder / "image.npy", np.zeros((1, 8, 8), np.uint8))
    sizes, memory = ((64,), (0,)) if short else ((0, 4, 16, 48, 96, 128, 160, 200, 4096), (0, 1, 4, 16, 64, 256, 4096))
    checks.disk("read-only", read_only, 0)
    for size in sizes:
        checks.disk("limit on files", limited, size * KIB)
        checks.disk("full disk", full, size * KIB)
    for megabytes in memory:
        checks.memory(megabytes)
    counts = ", ".join(f"{name}: {refused} of {count} commands refused" for name, (refused, count) in checks.counts.items())
    return f"{counts}; the others had enough", checks.failures


class Checks:
    """Runs commands and keeps count.

    Attributes:
        built: a whole build.
        counts: (refusals, commands) for each shortage.
        failures: what was no refusal of ours, or left something half-written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.built = folder, folder / "built"
        self.counts: dict[str, tuple[int, int]] = {}
        self.failures: list[str] = []

    def disk(self, name: str, disk: Disk, size: int) -> None:
        """Every command that writes, onto a fresh disk of ``size`` bytes; ``TMPDIR`` lies there for what only needs room for a while."""
        source = str(self.built)
        for command, kept, whole in (
            (("build", str(MODEL), "--emit", "qdm,onnx", "-o"), "build", whole_build),
            (("train", *RECIPE, "-o"), "run", whole_run),
            (("run", source, "--in", str(self.folder / "image.npy"), "--out"), "logits.npy", whole_array),
            (("verify", source, *FEW), None, nothing),
            (("eval", source, "--data", "digits", "--limit", "2"), None, nothing),
        ):
            place = Path(tempfile.mkdtemp(dir=self.folder))
            with contextlib.suppress(PermissionError), disk(place, size) as prepare:
                if kept is not None:
                    self.check(name, (*command, f"{place}/{kept}"), prepare, place / kept, whole)
                else:
                    with environment(TMPDIR=str(place)):
                        self.check(name, command, prepare, place, whole)

    def memory(self, megabytes: int) -> None:
        """Every command, with so much more memory than the process has before it."""
        place = Path(tempfile.mkdtemp(dir=self.folder))
        for command, whole in (
            (("build", str(MODEL), "--emit", "qdm,onnx", "-o", f"{place}/build"), whole_build),
            (("train", *RECIPE, "-o", f"{place}/run"), whole_run),
            (("verify", str(self.built), *FEW), nothing),
            (("eval", str(MODEL), "--data", "digits"), nothing),
            (("inspect", str(self.built)), nothing),
        ):
            self.check("memory", command, lambda: limit_memory(megabytes * MIB), place / command[0].replace("train", "run"), whole)

    def check(self, name: str, command: tuple[str, ...], prepare: Prepare, kept: Path, whole: Callable[[Path], None]) -> None:
        """Run ``command`` in a process of its own, behind ``prepare``; then what it leaves at ``kept`` must be ``whole``."""
        status, text = invoke(command, prepare)
        refused, count = self.counts.get(name, (0, 0))
        self.counts[name] = (refused + bool(status), count + 1)
        # Where torch runs out of memory while it traces or translates, it can lose the reason: then it says that it cannot, exit status 3.
        lost = name == "memory" and status == 3 and any(f"{step} the model" in text for step in _LOST)
        shown = f"{name}: qnn-deploy {' '.join(command)}"
        if (status not in (0, 2) and not lost) or "Traceback" in text or bool(status) != ("error[QD" in text):
            self.failures.append(f"{shown}: exit status {status}\n{text[-1000:]}")
        try:
            whole(kept)
        except Exception as error:
            self.failures.append(f"{shown}: half-written: {error}")


def invoke(command: tuple[str, ...], prepare: Prepare) -> tuple[int, str]:
    """Exit status (negative: a signal) and output of ``command`` in a forked process."""
    from qnn_deploy import cli

    source, sink = os.pipe()
    child = os.fork()
    if not child:
        status = 70
        try:
            os.dup2(sink, 1)
            os.dup2(sink, 2)
            os.close(source)
            faulthandler.dump_traceback_later(_LONGEST, exit=True, file=sink)
            tempfile.tempdir = None
            prepare()
            status = cli.invoke(list(command))
        finally:
            os._exit(status)
    os.close(sink)
    with os.fdopen(source, errors="replace") as stream:
        text = stream.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), text


@contextlib.contextmanager
def environment(**variables: str) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def limited(place: Path, size: int) -> Iterator[Prepare]:
    """A disk on which no file gets larger than ``size`` bytes."""
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@contextlib.contextmanager
def full(place: Path, size: int) -> Iterator[Prepare]:
    """A disk of ``size`` bytes (at least a page, which the folder itself takes)."""
    with mounted(place, f"size={size + 4 * KIB}"):
        yield lambda: None


@contextlib.contextmanager
def read_only(place: Path, size: int) -> Iterator[Prepare]:
    """A disk that cannot be written, of any size."""
    if os.geteuid() == 0:
        with mounted(place, "ro"):
            yield lambda: None
    else:
        place.chmod(0o500)
        yield lambda: None
        place.chmod(0o700)


@contextlib.contextmanager
def mounted(place: Path, options: str) -> Iterator[None]:
    """A tmpfs at ``place``.

    Raises:
        PermissionError: where this may not mount.
    """
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], capture_output=True).returncode:
        raise PermissionError(errno.EPERM, "cannot mount a tmpfs")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def limit_memory(more: int) -> None:
    """Leave this process its present address space and ``more`` bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def nothing(place: Path) -> None:
    """Nothing is kept."""


def whole_build(out: Path) -> None:
    from qnn_deploy.emit import manifest

    if out.exists():
        manifest.read(out)


def whole_run(out: Path) -> None:
    from qnn_deploy.nn import checkpoint
    from qnn_deploy.train import state

    if (out / state.FILE).exists():
        state.load(out / state.FILE)
    if (out / "model.pt").exists():
        checkpoint.load(out / "model.pt")
    if (out / "trained.json").exists():
        json.loads((out / "trained.json").read_text())


def whole_array(out: Path) -> None:
    import numpy as np

    if out.exists():
        np.load(out)
