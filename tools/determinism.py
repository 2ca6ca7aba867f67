#!/usr/bin/env python3
"""Same input and version, same bytes: `python3 tools/determinism.py [--short] [MODEL ...]`.

Each shipped model (or those named) is built with every format and the programs of this machine, four times: with another hash seed, out of
two copies of the project in two folders, with an empty cache, another umask, and 1 or 2 threads. Every file must have the same bytes, and
the permissions that the umask leaves. ``--short`` builds the digits network twice.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from environment import ROOT, enter


@dataclasses.dataclass(frozen=True)
class Setting:
    """How a build is made: what its result must not depend on."""

    seed: int
    folder: str
    umask: int
    threads: int


SETTINGS = (
    Setting(0, "a", 0o022, 1),
    Setting(1, "b/in another folder", 0o077, 2),
    Setting(2, "a", 0o002, 2),
    Setting(3, "b/in another folder", 0o027, 1),
)
_BUILD = """
import json, os, sys, torch
from qnn_deploy import api
out, umask, threads, *models = json.loads(sys.argv[1])
os.umask(umask)
torch.set_num_threads(threads)
for name in models:
    api.build(f"models/{name}/model.pt", ("host",), ("qdm", "onnx", "exe"), f"{out}/{name}")
"""


def build(models: list[str], setting: Setting, folder: Path) -> Path:
    """Build ``models`` as ``setting`` says, out of a copy of the project; the folder of the builds."""
    project = folder / setting.folder
    if not project.exists():
        for part in ("qnn_deploy", "runtime", "models"):
            shutil.copytree(ROOT / part, project / part, ignore=shutil.ignore_patterns("__pycache__", "corpus"))
    threads = str(setting.threads)
    # zig's own libraries, minutes to make, may come from its usual cache.
    zig = os.environ.get("ZIG_GLOBAL_CACHE_DIR") or str(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "zig")
    environment = {
        **os.environ,
        "ZIG_GLOBAL_CACHE_DIR": zig,
        "PYTHONPATH": str(project),
        "PYTHONHASHSEED": str(setting.seed),
        "XDG_CACHE_HOME": str(project / f"cache{setting.seed}"),
        "OMP_NUM_THREADS": threads,
    }
    out = f"out{setting.seed}"
    argument = json.dumps([out, setting.umask, setting.threads, *models])
    subprocess.run([sys.executable, "-c", _BUILD, argument], cwd=project, env=environment, check=True)
    return project / out


def differences(first: Path, other: Path, umask: int) -> list[str]:
    """What of ``other``, built under ``umask``, is not as in ``first``."""
    names = [sorted(path.relative_to(root).as_posix() for path in root.rglob("*")) for root in (first, other)]
    if names[0] != names[1]:
        return [f"{other.name}: other files: {sorted({*names[0]} ^ {*names[1]})}"]
    found = []
    for name in names[0]:
        path = other / name
        if path.is_file() and path.read_bytes() != (first / name).read_bytes():
            found.append(f"{other.name}/{name}: other bytes than in {first.name}")
        most = 0o777 if path.is_dir() or path.name.startswith("qd_") else 0o666
        if path.stat().st_mode & 0o777 != most & ~umask:
            found.append(f"{other.name}/{name}: mode {path.stat().st_mode & 0o777:o} under umask {umask:03o}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL", help="folders of models/; default: all that are deployed")
    parser.add_argument("--short", action="store_true", help="the digits network, two settings")
    arguments = parser.parse_args()
    shipped = sorted(path.parent.name for path in (ROOT / "models").glob("*/expected.json"))
    models = arguments.models or (["digits-cnn-w1a1"] if arguments.short else shipped)
    settings = SETTINGS[:2] if arguments.short else SETTINGS
    with tempfile.TemporaryDirectory(prefix="qnn-deploy-determinism-") as name:
        outs = [build(models, setting, Path(name)) for setting in settings]
        found = [line for out, setting in zip(outs, settings, strict=True) for line in differences(outs[0], out, setting.umask)]
        count = sum(path.is_file() for path in outs[0].rglob("*"))
    print("\n".join(found))
    print(f"{len(models)} models, {count} files, {len(settings)} settings: {len(found)} differences")
    print(f"{0 if found else 1} passed, {len(found)} failed")
    return 1 if found else 0


if __name__ == "__main__":
    enter("all")
    sys.exit(main())
