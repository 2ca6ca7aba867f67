#!/usr/bin/env python3
"""Byte edits, soak and races of the runtime: `python3 tools/stress.py [{edits,soak,race} [FILE ...] [--long]]`.

- edits: every truncation and every single-byte change of seven small models under AddressSanitizer (``runtime/tests/edits.c``); three
  values a byte, or with ``--long`` all 255;
- soak: inferences of one model by eight threads that share it (``runtime/tests/soak.c``) under AddressSanitizer, which also finds leaks;
- race: the same under ThreadSanitizer.

Without a word: the short form of each, the library compiled once for the first two. With ``--long``, ``soak`` makes 1,000,000 inferences
of the first FILE (the digits network) and 10,000 of the second (ResNet-20), at full speed, without a sanitizer.
"""

from __future__ import annotations

import argparse
import functools
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

RUNTIME = Path(__file__).resolve().parents[1] / "runtime"
SEED = RUNTIME / "fuzz" / "corpus" / "qdm" / "every_operator_1_1.qdm"
_STRICT = ["-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wcast-align", "-Wvla", "-Werror", "-ffp-contract=off", "-g1"]
_ADDRESS = ("-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
_THREAD = ("-O1", "-fsanitize=thread")
_THREADS = "8"
WHAT = ("edits", "soak", "race")


@functools.cache
def library(flags: tuple[str, ...], folder: Path) -> tuple[str, ...]:
    """Objects of the library, compiled with ``flags``."""
    objects = folder / f"objects{len([*folder.iterdir()])}"
    objects.mkdir()
    sources = [*sorted((RUNTIME / "src").glob("*.c")), *sorted((RUNTIME / "src" / "kernels").glob("*.c"))]
    subprocess.run([*compiler(flags), "-c", *map(str, sources)], check=True, cwd=objects)
    return tuple(str(path) for path in sorted(objects.iterdir()))


def build(program: str, flags: tuple[str, ...], folder: Path) -> Path:
    """Compile ``runtime/tests/PROGRAM.c`` with the library; its executable."""
    source, result = RUNTIME / "tests" / f"{program}.c", folder / f"{program}{len([*folder.iterdir()])}"
    subprocess.run([*compiler(flags), str(source), *library(flags, folder), "-o", str(result), "-lpthread"], check=True)
    return result


def compiler(flags: tuple[str, ...]) -> list[str]:
    """clang or gcc with every flag."""
    found = shutil.which("clang") or shutil.which("gcc")
    if found is None:
        sys.exit("neither clang nor gcc found")
    return [found, *_STRICT, *flags, f"-I{RUNTIME / 'include'}", f"-I{RUNTIME / 'src'}"]


def commands(what: str, files: list[Path], long: bool, folder: Path) -> list[list[str | Path]]:
    """What to run for ``what``."""
    if what == "edits":
        return [[build("edits", _ADDRESS, folder), "255" if long else "3", *files]]
    if what == "race":
        program = build("soak", _THREAD, folder)
        return [[program, file, _THREADS, "20000" if long else "400"] for file in files or [SEED]]
    program = build("soak", ("-O2",) if long else _ADDRESS, folder)
    counts = ["1000000", "10000"] if long else ["2000"] * len(files or [SEED])
    return [[program, file, _THREADS, count] for file, count in zip(files or [SEED], counts, strict=False)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=WHAT)
    parser.add_argument("files", nargs="*", type=Path, help="packed models (default: a small one with every operator)")
    parser.add_argument("--long", action="store_true", help="what docs/reliability.md reports")
    arguments = parser.parse_intermixed_args()
    with tempfile.TemporaryDirectory() as folder:
        status = [
            subprocess.run(command).returncode
            for what in ([arguments.what] if arguments.what else WHAT)
            for command in commands(what, arguments.files, arguments.long, Path(folder))
        ]
    print(f"{status.count(0)} passed, {len(status) - status.count(0)} failed")
    return 1 if any(status) else 0


if __name__ == "__main__":
    sys.exit(main())
