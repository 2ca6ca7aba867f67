#!/usr/bin/env python3
"""Branch coverage of reader, loader and verifier by their test: `python3 tools/coverage.py`.

`runtime/tests/test_verify.c` is built with clang's coverage and run. A branch is one way that a condition can go, each operand of
``||`` and ``&&`` and each case of a switch apart. Prints the covered branches of each file; a branch that was never taken is named, and
the exit status is 1, unless a row of UNREACHABLE says why it cannot be.
"""

from __future__ import annotations

import collections
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from fuzz import LOADER, sources_of

RUNTIME = Path(__file__).resolve().parents[1] / "runtime"
SOURCE = RUNTIME / "src"
# (file, function, text of the condition, the way it never goes): why. A row that names no such branch is an error.
UNREACHABLE: dict[tuple[str, str, str, str], str] = {
    ("qd_model.c", "opcode_name", "default", "true"): "only an accepted model has operators that can be asked about",
    (
        "qd_verify_conv.c",
        "qd_check_conv",
        "!qd_only_fields(s, QD_F_CONV | QD_F_WINDOW | QD_F_PADDING | QD_F_STEPS | QD_F_REALS | QD_F_RANGE)",
        "true",
    ): "a convolution has a use for every field there is",
}
# What they do follows from the processor, not from the file.
_PROCESSOR = ("qd_cpu.c", "qd_crc_x86.c")
Branch = tuple[str, int, int, int, int, int]
"""Function, number of the macro's use or inclusion within it, first line and column, last line and column."""


def measured() -> list[Path]:
    """Everything between the bytes of a file and the executor."""
    headers = [*(SOURCE / name for name in ("qd_read.h", "qd_crc.h", "qd_program.h")), *sorted(SOURCE.glob("qd_verify*.h"))]
    return [*headers, *(path for path in sources_of(LOADER) if path.name not in _PROCESSOR)]


def profile(folder: Path) -> dict:
    """Build and run the test in ``folder``; what `llvm-cov export` says.

    Raises:
        subprocess.CalledProcessError: where the compiler or the test fails; its message has been printed.
    """
    sources = [RUNTIME / "tests" / "test_verify.c", *sources_of(LOADER)]
    includes = [f"-I{RUNTIME / name}" for name in ("include", "src", "tests")]
    flags = ["-std=c11", "-O1", "-w", "-fprofile-instr-generate", "-fcoverage-mapping"]
    program, raw, data = (str(folder / name) for name in ("test", "raw", "data"))
    subprocess.run(["clang", *flags, *includes, *map(str, sources), "-o", program], check=True)
    subprocess.run([program], check=True, env={**os.environ, "LLVM_PROFILE_FILE": raw})
    subprocess.run([tool("llvm-profdata"), "merge", raw, "-o", data], check=True)
    export = [tool("llvm-cov"), "export", program, f"-instr-profile={data}"]
    return json.loads(subprocess.run(export, check=True, capture_output=True, text=True).stdout)["data"][0]


def tool(name: str) -> str:
    """A program of LLVM beside this clang, or from the search path."""
    beside = subprocess.run(["clang", f"-print-prog-name={name}"], capture_output=True, text=True).stdout.strip()
    return shutil.which(beside) or shutil.which(name) or ""


def counts(exported: dict) -> dict[str, dict[Branch, list[int]]]:
    """File to branch to [times true, times false]; the copies of an inline function in several sources are one."""
    result: dict[str, dict[Branch, list[int]]] = {path.name: collections.defaultdict(lambda: [0, 0]) for path in measured()}
    for function in exported["functions"]:
        file = Path(function["filenames"][0]).name
        if file not in result:
            continue
        name = function["name"].rsplit(":", 1)[-1]
        # A function without a condition counts as one that must go one way.
        result[file][name, -1, *function["regions"][0][:4]][0] += function["count"]
        for line, column, last_line, last_column, true, false, number, *_ in function["branches"]:
            sums = result[file][name, number, line, column, last_line, last_column]
            sums[0] += true
            sums[1] += false
    return result


def text_of(file: str, branch: Branch) -> str:
    """The source of a condition, in one line."""
    _, _, line, column, last_line, last_column = branch
    lines = (SOURCE / file).read_text().splitlines()[line - 1 : last_line]
    lines[-1] = lines[-1][: last_column - 1]
    lines[0] = lines[0][column - 1 :]
    return " ".join(" ".join(lines).split())


def main() -> int:
    for name in ("clang", "llvm-cov", "llvm-profdata"):
        if not (tool(name) if name != "clang" else shutil.which(name)):
            sys.exit(f"{name} not found (apt install clang llvm)")
    with tempfile.TemporaryDirectory() as folder:
        by_file = counts(profile(Path(folder)))
    wrong, all_covered, all_total, excused = [], 0, 0, set()
    for file, branches in by_file.items():
        covered = total = 0
        for branch, (true, false) in sorted(branches.items(), key=lambda item: item[0][2:]):
            entry = branch[1] == -1
            for way, times in (("called", true),) if entry else (("true", true), ("false", false)):
                key = (file, branch[0], "" if entry else text_of(file, branch), way)
                if times == 0 and key in UNREACHABLE:
                    excused.add(key)
                    continue
                total += 1
                covered += times > 0
                if times == 0:
                    wrong.append(f"{file}:{branch[2]}: {branch[0]}: {key[2]}: never {way}")
        print(f"{file:<22} {covered:>4} of {total:>4} branches")
        all_covered, all_total = all_covered + covered, all_total + total
    wrong += [f"no such branch: {key}" for key in UNREACHABLE.keys() - excused]
    print("\n".join(wrong))
    print(f"{all_covered} of {all_total} branches covered, {len(excused)} unreachable with a reason")
    print(f"{all_covered} passed, {len(wrong)} failed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
