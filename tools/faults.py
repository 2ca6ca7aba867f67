#!/usr/bin/env python3
"""Kill builds at random moments: `python3 tools/faults.py [--kills N] [--model FILE]`.

Each build goes into a directory that holds an earlier one, in a process of its own that is killed (SIGKILL) at a moment drawn between its
start and its usual end. Afterwards the directory must be absent or whole: every SHA-256 of its manifest right, the bytes those of an
undisturbed build. The build after the last kill must succeed. Every tenth round two builds run into one directory at once.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from environment import ROOT, enter

MODEL = ROOT / "models" / "digits-cnn-w1a1" / "model.pt"


def build_in_child(model: Path, out: Path) -> int:
    """Start a build in a forked process: what takes long, the imports, is done before. Its process id."""
    from qnn_deploy import api
    from qnn_deploy.errors import UserError

    child = os.fork()
    if child:
        return child
    try:
        api.build(str(model), ("host",), ("qdm", "onnx"), out)
    except UserError as error:
        # What another build took away is a message, not a traceback.
        os._exit(2 if error.code == "QD0105" else 70)
    except BaseException:
        os._exit(70)
    os._exit(0)


def contents(out: Path) -> dict[str, bytes]:
    """Name and bytes of everything in a whole build; nothing for an absent one.

    Raises:
        UserError: where it is there but not whole.
    """
    from qnn_deploy.emit import manifest

    if not out.exists():
        return {}
    manifest.read(out)
    return {path.name: path.read_bytes() for path in out.iterdir()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--model", type=Path, default=MODEL)
    arguments = parser.parse_args()
    import qnn_deploy.api
    import qnn_deploy.emit
    import qnn_deploy.frontend.load
    import qnn_deploy.passes.pipeline
    import qnn_deploy.plan  # noqa: F401

    chance = random.Random(0)
    folder = Path(tempfile.mkdtemp(prefix="qnn-deploy-faults-"))
    out = folder / "out"
    start = time.monotonic()
    _, status = os.waitpid(build_in_child(arguments.model, out), 0)
    usual, whole = time.monotonic() - start, contents(out)
    failures = [] if status == 0 and whole else ["an undisturbed build fails"]
    killed = absent = pairs = 0
    for number in range(arguments.kills):
        if number % 10 == 9:
            children = [build_in_child(arguments.model, out) for _ in range(2)]
            ends = sorted(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children)
            pairs += 1
            if ends not in ([0, 0], [0, 2]) or contents(out) != whole:
                failures.append(f"two builds at once ended with {ends}")
        child = build_in_child(arguments.model, out)
        time.sleep(chance.uniform(0, usual))
        os.kill(child, signal.SIGKILL)
        killed += os.WIFSIGNALED(os.waitpid(child, 0)[1])
        found = contents(out)
        absent += not found
        if found not in ({}, whole):
            failures.append(f"kill {number}: the directory holds {sorted(found)}")
    _, status = os.waitpid(build_in_child(arguments.model, out), 0)
    if status != 0 or contents(out) != whole:
        failures.append("the build after the last kill fails")
    shutil.rmtree(folder)
    print("\n".join(failures))
    print(f"{killed} builds killed of {arguments.kills}, {absent} times absent afterwards, {pairs} pairs of builds into one directory")
    print(f"{arguments.kills + pairs - len(failures)} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    enter("all")
    sys.exit(main())
