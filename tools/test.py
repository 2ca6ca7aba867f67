#!/usr/bin/env python3
"""Run every test of the project: `python3 tools/test.py [--fast] [pytest arguments]`.

Linter, types, the Python suites, and the C runtime's suites with every compiler found, sanitisers, and for every target under emulation.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from environment import ROOT, enter

_COUNTS = re.compile(r"(\d+) (passed|failed|error|errors|skipped)\b")
_ZIG = f"{shlex.quote(sys.executable)} -m ziglang cc"
# (name, triple, CPU, emulator) of what no target stands for: a big-endian machine.
_BIG_ENDIAN = ("s390x", "s390x-linux-musl", "baseline", "qemu-s390x")
PYTHON_STEPS = 3  # ruff, mypy, pytest
_SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g1")


def c_suites() -> Iterator[tuple[str, list[str], dict[str, str], str]]:
    """(name, compiler and flags, environment, why it cannot run or nothing) of each build of the C suites."""
    found = [name for name in ("gcc", "clang") if shutil.which(name)]
    for name in found[:1]:  # clang has sanitised builds, and zig's is another
        yield f"C, {name}", [name], {}, ""
    yield "C, zig", [_ZIG], {"QD_FREESTANDING": "0"}, ""
    sanitised = next((name for name in ("clang", "gcc") if name in found), "")
    why = "" if sanitised else "neither clang nor gcc found"
    yield "C, ASan + UBSan", [sanitised, *_SANITIZE], {"QD_FREESTANDING": "0"}, why
    threads = [sanitised, "-fsanitize=thread", "-g1"]
    yield "C, TSan", threads, {"QD_FREESTANDING": "0", "QD_TESTS": "threads"}, why
    why_memory = "" if "clang" in found else "clang not found"
    yield "C, MSan", ["clang", "-fsanitize=memory", "-g1"], {"QD_FREESTANDING": "0"}, why_memory
    # What a big-endian machine does with constants, on this one.
    yield "C, converted constants", [sanitised, *_SANITIZE, "-DQD_CONSTANTS_IN_PLACE=0"], {"QD_FREESTANDING": "0"}, why
    for row, triple, cpu, name in (*foreign_targets(), _BIG_ENDIAN):
        emulator = shutil.which(name) or shutil.which(f"{name}-static")
        why = "" if emulator else f"{name} not found (apt install qemu-user)"
        flags = ["-target", triple, f"-mcpu={cpu}", "-static"]
        environment = {"QD_RUNNER": emulator or "", "QD_FREESTANDING": "0"}
        if row == "riscv64":  # its verifier is arm64's: 64 bits, little end first; damaged files take half a minute
            environment["QD_TESTS"] = "kernels ops math conv verify planes move island threads"
        yield f"C, {row} under qemu", [_ZIG, *flags], environment, why


def foreign_targets() -> Iterator[tuple[str, str, str, str]]:
    """(name, triple, CPU, emulator) of the targets that this machine does not execute itself."""
    from qnn_deploy.targets import all_targets

    for target in all_targets():
        if target.runner and not target.native:
            yield target.name, target.triple, target.mcpu, target.runner


def show_now(line: str) -> None:
    """Print a line of a step's output."""
    print(line, end="", flush=True)


def run(
    name: str, command: list[str], environment: dict[str, str] | None = None, show: Callable[[str], None] = show_now
) -> tuple[int, int, str]:
    """Run one step, its output line by line to ``show``; (passed, failed, one line of summary)."""
    show(f"\n=== {name}: {shlex.join(command)}\n")
    start = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    assert process.stdout is not None
    counts = {"passed": 0, "failed": 0}
    for line in process.stdout:
        show(line)
        words = _COUNTS.findall(line)
        if {word for _, word in words} & {"passed", "failed"}:
            # The last such line is the closing one.
            counts = {"passed": 0, "failed": 0}
            for number, word in words:
                if word in ("failed", "error", "errors"):
                    counts["failed"] += int(number)
                elif word == "passed":
                    counts["passed"] += int(number)
    status = process.wait()
    passed, failed = counts["passed"], counts["failed"]
    if status != 0:
        failed = max(failed, 1)
    elif passed == 0:
        passed = 1
    verdict = "ok" if failed == 0 else f"FAILED (exit status {status})"
    return passed, failed, f"{name:<22} {verdict:<26} {passed:>9,} passed, {failed:,} failed, {time.monotonic() - start:.0f} s"


def main() -> int:
    fast = "--fast" in sys.argv
    rest = [argument for argument in sys.argv[1:] if argument != "--fast"]
    python = sys.executable
    steps: list[tuple[str, list[str], dict[str, str] | None]] = [
        ("ruff", [python, "-m", "ruff", "check", "."], None),
        ("mypy", [python, "-m", "mypy"], None),
        ("pytest", [python, "-m", "pytest", *rest], None),
    ]
    skipped = []
    for name, compiler, environment, why in c_suites():
        if why:
            skipped.append(f"{name:<22} not run: {why}")
        elif not (fast and ("qemu" in name or "-fsanitize" in " ".join(compiler))):
            steps.append((name, ["sh", "runtime/tests/run.sh", *compiler], environment))
    if not fast:
        steps.append(("fuzz", [python, "tools/fuzz.py", "--seconds", "10"], None))
        # Short forms of what docs/reliability.md reports.
        if shutil.which("clang"):
            steps.append(("mutants", [python, "tools/mutants.py"], None))
        if all(shutil.which(name) for name in ("clang", "llvm-cov", "llvm-profdata")):
            steps.append(("coverage", [python, "tools/coverage.py"], None))
        else:
            skipped.append(f"{'coverage':<22} not run: llvm-cov not found (apt install clang llvm)")
        analysers = [name for name in ("clang-tidy", "cppcheck") if shutil.which(name)]
        if analysers:
            steps.append(("analysers", [python, "tools/analyse.py"], None))
        skipped += [f"{name:<22} not run: not found (apt install {name})" for name in ("clang-tidy", "cppcheck") if name not in analysers]
        steps.append(("edits, soak, race", [python, "tools/stress.py"], None))
        steps.append(("determinism", [python, "tools/determinism.py", "--short"], None))
        for what in (("build", "--kills", "5"), ("train", "--kills", "6"), ("shortage", "--short")):
            steps.append((f"faults, {what[0]}", [python, "tools/faults.py", *what], None))
    passed = failed = 0
    lines = []
    # Two lanes: Python's suites in order, their output as it comes; the next of the other steps in whichever lane is free, its output kept
    # until all are done.
    kept: list[list[str]] = [[] for _ in steps]
    with ThreadPoolExecutor(2) as pool:
        suites = pool.submit(lambda: [run(*step) for step in steps[:PYTHON_STEPS]])
        others = [pool.submit(run, *step, output.append) for step, output in zip(steps[PYTHON_STEPS:], kept[PYTHON_STEPS:], strict=True)]
        results = [*suites.result(), *(other.result() for other in others)]
    print("".join(line for output in kept for line in output))
    for (name, _, _), (ok, bad, line) in zip(steps, results, strict=True):
        # A build of the C suites makes millions of checks; it counts as one test.
        passed, failed = (passed + (bad == 0), failed + (bad > 0)) if name.startswith("C,") else (passed + ok, failed + bad)
        lines.append(line)
    print("\n" + "\n".join([*lines, *skipped]))
    print(f"\n{passed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    enter("all")
    sys.exit(main())
