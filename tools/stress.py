#!/usr/bin/env python3
"""Byte edits and soak of the runtime: `python3 tools/stress.py {edits,soak,race} [--long]`.

- edits: every truncation and every single-byte change of five small models under AddressSanitizer (``runtime/tests/edits.c``); three
  values a byte, or with ``--long`` all 255;
- soak: inferences of one model by eight threads that share it (``runtime/tests/soak.c``) under AddressSanitizer, which also finds leaks;
- race: the same under ThreadSanitizer.

With ``--long``, ``soak`` makes 1,000,000 inferences of the first of FILES (the digits network) and 10,000 of the second (ResNet-20), at
full speed, without a sanitizer.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

RUNTIME = Path(__file__).resolve().parents[1] / "runtime"
SEED = RUNTIME / "fuzz" / "corpus" / "qdm" / "every_operator_1_1.qdm"
_STRICT = ["-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wcast-align", "-Wvla", "-Werror", "-ffp-contract=off", "-g"]
_ADDRESS = ["-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
_THREAD = ["-O1", "-fsanitize=thread"]
_THREADS = "8"


def build(program: str, flags: list[str], folder: Path) -> Path:
    """Compile ``runtime/tests/PROGRAM.c`` and the library; its executable."""
    compiler = shutil.which("clang") or shutil.which("gcc")
    if compiler is None:
        sys.exit("neither clang nor gcc found")
    library = [*sorted((RUNTIME / "src").glob("*.c")), *sorted((RUNTIME / "src" / "kernels").glob("*.c"))]
    sources = [RUNTIME / "tests" / f"{program}.c", *library]
    includes = [f"-I{RUNTIME / 'include'}", f"-I{RUNTIME / 'src'}"]
    subprocess.run([compiler, *_STRICT, *flags, *includes, *map(str, sources), "-o", str(folder / program), "-lpthread"], check=True)
    return folder / program


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["edits", "soak", "race"])
    parser.add_argument("files", nargs="*", type=Path, help="packed models (default: a small one with every operator)")
    parser.add_argument("--long", action="store_true", help="what docs/reliability.md reports")
    arguments = parser.parse_intermixed_args()
    files = arguments.files or [SEED]
    with tempfile.TemporaryDirectory() as folder:
        if arguments.what == "edits":
            program = build("edits", _ADDRESS, Path(folder))
            commands = [[program, "255" if arguments.long else "3", *arguments.files]]
        elif arguments.what == "race":
            program = build("soak", _THREAD, Path(folder))
            commands = [[program, file, _THREADS, "20000" if arguments.long else "400"] for file in files]
        else:
            program = build("soak", ["-O2"] if arguments.long else _ADDRESS, Path(folder))
            counts = ["1000000", "10000"] if arguments.long else ["2000"] * len(files)
            commands = [[program, file, _THREADS, count] for file, count in zip(files, counts, strict=False)]
        status = [subprocess.run(command).returncode for command in commands]
    return 1 if any(status) else 0


if __name__ == "__main__":
    sys.exit(main())
