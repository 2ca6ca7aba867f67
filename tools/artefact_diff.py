#!/usr/bin/env python3
"""Compare what two commits make of every shipped model: `python3 tools/artefact_diff.py COMMIT [COMMIT]` (default: this working tree).

Each side lowers the checkpoints of the second one to a packed model and an ONNX file. Of a packed model that differs the first operator and
field, or the first constant and element, is named; of an ONNX file the first node or initializer. Exit status 1 where any differs.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from environment import ROOT, enter

_BUILD = """
import sys
from pathlib import Path
from qnn_deploy.emit import onnx_model, qdm
from qnn_deploy.frontend import load_model
from qnn_deploy.passes.pipeline import lower
from qnn_deploy.plan import plan
out, *models = map(Path, sys.argv[1:])
for path in models:
    lowered = lower(load_model(str(path)).model)
    (out / f"{path.parent.name}.qdm").write_bytes(qdm.encode(plan(lowered.model)))
    (out / f"{path.parent.name}.onnx").write_bytes(onnx_model.encode(lowered.model))
"""


def build(project: Path, models: list[Path], out: Path) -> dict[str, bytes]:
    """Name and bytes of every artefact that the source in ``project`` makes of ``models``."""
    out.mkdir()
    command = [sys.executable, "-c", _BUILD, str(out), *map(str, models)]
    subprocess.run(command, cwd=project, env={**os.environ, "PYTHONPATH": str(project)}, check=True)
    return {path.name: path.read_bytes() for path in sorted(out.iterdir())}


def difference(name: str, before: bytes, after: bytes) -> str:
    """The first difference of two artefacts, in words; empty where there is none."""
    if before == after:
        return ""
    try:
        found = packed_difference(before, after) if name.endswith(".qdm") else onnx_difference(before, after)
    except Exception as error:  # a format that one of the two versions does not read
        found = f"not read: {error}"
    return found or f"the same contents in other bytes ({len(before):,} and {len(after):,})"


def packed_difference(before: bytes, after: bytes) -> str:
    """The first operator, constant or buffer that differs."""
    import numpy as np

    from qnn_deploy.emit.qdm_reader import decode

    one, two = decode(before), decode(after)
    if len(one.ops) != len(two.ops):
        return f"{len(one.ops)} operators became {len(two.ops)}"
    for index, (old, new) in enumerate(zip(one.ops, two.ops, strict=True)):
        fields = {field.name for field in dataclasses.fields(old)} - {"constants"}
        for field in sorted(name for name in fields if getattr(old, name) != getattr(new, name)):
            return f"operator {index} ({old.name}): {field} {getattr(old, field)!r} became {getattr(new, field)!r}"
        for (slot, first), (other, second) in zip(old.constants, new.constants, strict=False):
            a, b = one.constants[first], two.constants[second]
            if slot != other or a.dtype != b.dtype or a.shape != b.shape:
                return f"operator {index} ({old.name}): {slot.name} {a.dtype}{list(a.shape)} became {other.name} {b.dtype}{list(b.shape)}"
            if a.tobytes() != b.tobytes():
                at = int(np.flatnonzero(a.view(np.uint8) != b.view(np.uint8))[0]) // a.itemsize
                return f"operator {index} ({old.name}): {slot.name}[{at}] {a[at]!r} became {b[at]!r}"
        if len(old.constants) != len(new.constants):
            return f"operator {index} ({old.name}): {len(old.constants)} constants became {len(new.constants)}"
    for index, (source, target) in enumerate(zip(one.buffers, two.buffers, strict=False)):
        if source != target:
            return f"buffer {index}: {source} became {target}"
    return f"arena {one.arena:,} became {two.arena:,}" if one.arena != two.arena else ""


def onnx_difference(before: bytes, after: bytes) -> str:
    """The first node or initializer that differs."""
    import onnx

    one, two = (onnx.load_from_string(content).graph for content in (before, after))
    for kind in ("node", "initializer", "input", "output"):
        old, new = getattr(one, kind), getattr(two, kind)
        for a, b in zip(old, new, strict=False):
            if a != b:
                return f"{kind} {a.name} became {b.name}" if a.name != b.name else f"{kind} {a.name}"
        if len(old) != len(new):
            return f"{len(old)} {kind}s became {len(new)}"
    return ""


def compare(before: dict[str, bytes], after: dict[str, bytes]) -> list[str]:
    """A line for each artefact that differs."""
    lines = [f"{name}: only on one side" for name in sorted({*before} ^ {*after})]
    both = ((name, difference(name, before[name], after[name])) for name in sorted({*before} & {*after}))
    return lines + [f"{name}: {what}" for name, what in both if what]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commits", nargs="+", metavar="COMMIT", help="one (against the working tree) or two")
    parser.add_argument("--model", action="append", metavar="NAME", help="only this one of models/; may be given several times")
    arguments = parser.parse_args()
    if len(arguments.commits) > 2:
        parser.error("two commits at most")
    with tempfile.TemporaryDirectory(prefix="qnn-deploy-diff-") as name:
        folder = Path(name)
        sides: list[Any] = []
        try:
            for index, commit in enumerate(arguments.commits):
                git("worktree", "add", "--detach", "--quiet", str(folder / f"tree{index}"), commit)
                sides.append(folder / f"tree{index}")
            sides += [ROOT] * (2 - len(sides))
            wanted = sorted((sides[1] / "models").glob("*/expected.json"))
            models = [path.parent / "model.pt" for path in wanted if not arguments.model or path.parent.name in arguments.model]
            before, after = (build(side, models, folder / f"out{index}") for index, side in enumerate(sides))
        finally:
            for index in range(len(arguments.commits)):
                subprocess.run(["git", "worktree", "remove", "--force", str(folder / f"tree{index}")], cwd=ROOT, capture_output=True)
    lines = compare(before, after)
    print("\n".join(lines))
    print(f"{len(after)} artefacts of {len(models)} models, {len(lines)} differ")
    return 1 if lines else 0


def git(*arguments: str) -> None:
    """Run git in the project; its own message and exit status 2 where it fails."""
    if subprocess.run(["git", *arguments], cwd=ROOT).returncode:
        sys.exit(2)


if __name__ == "__main__":
    enter("all")
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
