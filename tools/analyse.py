#!/usr/bin/env python3
"""clang-tidy and cppcheck over the C sources: `python3 tools/analyse.py [--long]`.

Library, tools and port; with ``--long`` the kernels too, those for NEON as for arm64 (minutes). Checks and the reasons for those left out:
``runtime/.clang-tidy`` and SUPPRESSED. Any finding is printed and the exit status is 1; a program that is not there is named.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import os
import shutil
import subprocess
import sys
from pathlib import Path

RUNTIME = Path(__file__).resolve().parents[1] / "runtime"
_INCLUDES = [f"-I{RUNTIME / 'include'}", f"-I{RUNTIME / 'src'}"]
# Id of a message of cppcheck: why it is not a finding.
SUPPRESSED = {
    "variableScope": "variables at the head of a function, as some of the code has them",
    "knownConditionTrueFalse": "cppcheck 2.10 takes n - i below i < n to be 0; the compilers look for the same",
    "missingIncludeSystem": "cppcheck knows the C library by itself",
}


def tidy(path: Path) -> list[str]:
    """clang-tidy for one file."""
    arch = {"neon": "armv8-a", "dotprod": "armv8.2-a+dotprod"}.get(path.stem.split("_")[-1])
    target = ["--target=aarch64-linux-gnu", f"-march={arch}"] if arch else []
    return ["clang-tidy", "--quiet", str(path), "--", "-std=c11", *_INCLUDES, *target]


def cppcheck(path: Path) -> list[str]:
    """cppcheck for one file, with every combination of its macros."""
    options = ["--enable=warning,style,performance,portability", "--std=c11", "--quiet", "--error-exitcode=1", "--inline-suppr"]
    return ["cppcheck", *options, *(f"--suppress={name}" for name in SUPPRESSED), *_INCLUDES, str(path)]


def clean(command: list[str]) -> tuple[bool, str]:
    run = subprocess.run(command, capture_output=True, text=True, errors="replace")
    return run.returncode == 0, f"{run.stdout}\n{run.stderr}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--long", action="store_true", help="the kernels too")
    arguments = parser.parse_args()
    files = sorted(path for name in ("src", "tools", "port") for path in (RUNTIME / name).glob("*.c"))
    if arguments.long:
        files += sorted((RUNTIME / "src" / "kernels").glob("*.c"))
    wrong = passed = 0
    for name, command in (("clang-tidy", tidy), ("cppcheck", cppcheck)):
        if shutil.which(name) is None:
            print(f"{name}: not run: not found (apt install {name})")
            continue
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            results = list(pool.map(lambda path, command=command: clean(command(path)), files))
        bad = [text for fine, text in results if not fine]
        print("\n".join([*bad, f"{name}: {len(files)} files, {len(bad)} with findings"]), flush=True)
        wrong, passed = wrong + len(bad), passed + len(files) - len(bad)
    print(f"{passed} passed, {wrong} failed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
