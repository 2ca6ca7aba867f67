#!/usr/bin/env python3
"""Fuzz the readers of `tests/hostile/readers.py`: `python3 tools/fuzz_python.py [--seconds N] [READER ...]`.

With atheris (`pip install atheris`), guided by coverage of this package's code, N seconds for each reader (default 30) from its good file
on; an exception that is none of ours ends it, and the file that caused it stays in ``--crashes``. Without atheris: the property tests'
long form.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from environment import ROOT, enter

_FLAGS = ("-print_final_stats=1", "-max_len=65536", "-timeout=60", "-rss_limit_mb=4096")


def child(name: str, folder: Path, flags: list[str]) -> None:
    """Fuzz one reader in this process, until libFuzzer ends it."""
    import atheris

    with atheris.instrument_imports(include=["qnn_deploy"]):
        from qnn_deploy.errors import UserError
        from tests.hostile.readers import READERS
    read, seed = READERS[name]
    (folder / "corpus").mkdir()
    (folder / "corpus" / "seed").write_bytes(seed())

    def one(content: bytes) -> None:
        with contextlib.suppress(UserError):
            read(folder, content)

    atheris.Setup([sys.argv[0], *flags, str(folder / "corpus")], one)
    atheris.Fuzz()


def fuzz(name: str, seconds: int, crashes: Path) -> tuple[str, bool]:
    """A row of the table, and whether nothing was found."""
    with tempfile.TemporaryDirectory(prefix="qnn-deploy-fuzz-") as folder:
        flags = [*_FLAGS, f"-max_total_time={seconds}", f"-artifact_prefix={crashes}/{name.replace(' ', '-')}-"]
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        environment = {**os.environ, "XDG_CACHE_HOME": folder, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, __file__, "--child", name, folder, *flags]
        run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, errors="replace")
    units = re.search(r"number_of_executed_units: (\d+)", run.stderr)
    edges = re.findall(r"cov: (\d+)", run.stderr)
    good = run.returncode == 0 and units is not None
    verdict = "nothing" if good else run.stderr[max(run.stderr.find(" ==="), 0) :][:2000]
    return f"{name:22} {int(units[1]) if units else 0:>10,} {edges[-1] if edges else '-':>6}  {verdict}", good


def main() -> int:
    from tests.hostile.readers import READERS

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("readers", nargs="*", metavar="READER", help="default: all")
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--crashes", type=Path, default=Path("."))
    arguments = parser.parse_args()
    if foreign := sorted({*arguments.readers} - {*READERS}):
        parser.error(f"unknown: {', '.join(foreign)}; there are: {', '.join(READERS)}")
    if importlib.util.find_spec("atheris") is None:
        print("atheris is not installed; the property tests in their long form instead", flush=True)
        environment = {**os.environ, "HYPOTHESIS_PROFILE": "long"}
        return subprocess.run([sys.executable, "-m", "pytest", "-q", "tests/hostile"], cwd=ROOT, env=environment).returncode
    print(f"{'reader':22} {'executions':>10} {'edges':>6}  found")
    rows = []
    for name in arguments.readers or READERS:
        rows.append(fuzz(name, arguments.seconds, arguments.crashes))
        print(rows[-1][0], flush=True)
    found = sum(not good for _, good in rows)
    print(f"{len(rows) - found} passed, {found} failed")
    return 1 if found else 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], Path(sys.argv[3]), sys.argv[4:])
    enter("all")
    sys.exit(main())
