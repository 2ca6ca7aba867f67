#!/usr/bin/env python3
"""Fuzz the runtime: `python3 tools/fuzz.py [--seconds N] [--replay | --memory] [TARGET ...]`.

Builds the targets of ``runtime/fuzz`` with AddressSanitizer and UndefinedBehaviorSanitizer, with ``--memory`` with MemorySanitizer. The
corpus of a run is kept and read by the next one. With ``--replay``, or where clang's libFuzzer is missing, each file of the corpus is run
once. A finding is kept under ``build/fuzz`` and its path is printed.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FUZZ = ROOT / "runtime" / "fuzz"
BUILD = ROOT / "build" / "fuzz"
_STRICT = ["-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wcast-align", "-Wvla", "-Werror"]
_BUILD = [*_STRICT, "-O1", "-g1", "-ffp-contract=off"]
_ADDRESS, _MEMORY = ("address,undefined", "-fno-sanitize-recover=all"), ("memory", "-DQD_FUZZ_MEMORY")
# Noting the operands of every comparison takes three quarters of the time; the mutator finds its numbers in the file.
_EDGES_ONLY = "-fno-sanitize-coverage=trace-cmp"
# Freed blocks are kept for 16 MB, not 256: fresh pages for every execution took as long as the rest of it.
_ENVIRONMENT = {"ASAN_OPTIONS": "quarantine_size_mb=16"}
# Sources of the library below runtime/src. Loading needs few of them, and a counter of every edge is read after each execution.
LOADER, _ALL = ("qd_cpu.c", "qd_crc_x86.c", "qd_load.c", "qd_model.c", "qd_verify*.c"), ("*.c", "kernels/*.c")
# Target: (folder of its corpus, its mutator, sources of the library, further files, further flags).
TARGETS = {
    "load": ("qdm", "mutate.c", LOADER, (), (_EDGES_ONLY,)),
    # The library's own limit keeps a run short.
    "run": ("qdm", "mutate.c", _ALL, (), (_EDGES_ONLY, "-DQD_MAX_WORK=20000000")),
    "image": ("image", "", LOADER, ("../port/posix.c",), ("-Wno-unused-function",)),
}


def sources_of(patterns: tuple[str, ...]) -> list[Path]:
    """The files of the library that `LOADER` or another such row names."""
    return [path for pattern in patterns for path in sorted((ROOT / "runtime" / "src").glob(pattern))]


def compile_target(target: str, *, fuzzer: bool, compiler: str, folder: Path, sanitizer: tuple[str, str] = _ADDRESS) -> Path:
    """The executable of ``target``, for libFuzzer or for replaying files.

    Raises:
        subprocess.CalledProcessError: where the compiler fails; its message has been printed.
    """
    _, mutator, library, more, flags = TARGETS[target]
    sources = [FUZZ / f"fuzz_{target}.c", *(FUZZ / name for name in more)]
    sources += sources_of(library)
    includes = [f"-I{ROOT / 'runtime' / name}" for name in ("include", "src")]
    folder.mkdir(parents=True, exist_ok=True)
    if not fuzzer:
        sanitize = [f"-fsanitize={sanitizer[0]}", sanitizer[1]]
        flags = tuple(flag for flag in flags if flag != _EDGES_ONLY)
        sources.append(FUZZ / "replay.c")
    else:
        sanitize = [f"-fsanitize=fuzzer,{sanitizer[0]}", sanitizer[1]]
        if mutator:  # of no interest itself: fast, and without instruments
            subprocess.run([compiler, *_BUILD, "-O2", *includes, "-c", str(FUZZ / mutator), "-o", str(folder / "mutate.o")], check=True)
            sources.append(folder / "mutate.o")
    result = folder / (f"fuzz_{target}" if fuzzer else f"replay_{target}")
    subprocess.run([compiler, *_BUILD, *sanitize, *flags, *includes, *map(str, sources), "-o", str(result)], check=True)
    return result


def libfuzzer_found() -> bool:
    """True where clang links a program with its fuzzer runtime."""
    if shutil.which("clang") is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "empty.c"
        source.write_text("int LLVMFuzzerTestOneInput(const unsigned char *d, unsigned long n) { (void)d; (void)n; return 0; }\n")
        command = ["clang", "-fsanitize=fuzzer,address", str(source), "-o", str(Path(folder) / "empty")]
        return subprocess.run(command, capture_output=True).returncode == 0


def replay(target: str, compiler: str) -> bool:
    """Run every file of the corpus once; true if nothing was found."""
    program = compile_target(target, fuzzer=False, compiler=compiler, folder=BUILD)
    files = sorted(path for path in (FUZZ / "corpus" / TARGETS[target][0]).iterdir())
    run = subprocess.run([str(program), *map(str, files)], capture_output=True, text=True, errors="replace")
    print(f"{target}: {len(files)} files replayed: {'nothing found' if run.returncode == 0 else 'FOUND'}", flush=True)
    if run.returncode != 0:
        print(run.stderr[-4000:], file=sys.stderr)
    return run.returncode == 0


def fuzz(target: str, seconds: int, sanitizer: tuple[str, str]) -> bool:
    """Let libFuzzer work for ``seconds``; true if nothing was found."""
    program = compile_target(target, fuzzer=True, compiler="clang", folder=BUILD, sanitizer=sanitizer)
    corpus = BUILD / f"corpus_{target}"
    corpus.mkdir(exist_ok=True)
    options = [f"-max_total_time={seconds}", "-print_final_stats=1", "-max_len=16384", "-timeout=20", f"-artifact_prefix={BUILD}/{target}-"]
    seeds = FUZZ / "corpus" / TARGETS[target][0]
    command, environment = [str(program), *options, str(corpus), str(seeds)], {**os.environ, **_ENVIRONMENT}
    run = subprocess.run(command, capture_output=True, text=True, errors="replace", env=environment)
    print(f"{target}: {summary(run.stderr)}", flush=True)
    if run.returncode != 0:
        print(run.stderr[-4000:], file=sys.stderr)
    return run.returncode == 0


def summary(log: str) -> str:
    """Executions, coverage and findings of a run of libFuzzer, in one line."""
    executions = re.findall(r"stat::number_of_executed_units:\s*(\d+)", log)
    coverage = re.findall(r"cov: (\d+) ft: (\d+)", log)
    found = re.findall(r"Test unit written to (\S+)", log)
    edges, features = coverage[-1] if coverage else ("0", "0")
    count = int(executions[-1]) if executions else 0
    return f"{count:,} executions, {edges} edges, {features} features, {', '.join(found) or 'nothing found'}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []], help="default: all")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (60)")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--replay", action="store_true", help="only run the corpus once; any compiler")
    only.add_argument("--memory", action="store_true", help="with MemorySanitizer: nothing depends on what nothing has written")
    arguments = parser.parse_args()
    compiler = shutil.which("clang") or shutil.which("gcc")
    if compiler is None:
        sys.exit("neither clang nor gcc found")
    with_fuzzer = not arguments.replay and libfuzzer_found()
    if not arguments.replay and not with_fuzzer:
        print("fuzzing not run: clang has no libFuzzer here (apt install clang libclang-rt-14-dev); the corpus is replayed")
    found = 0
    for target in arguments.targets or TARGETS:
        # libFuzzer begins with every file of the corpus as it is.
        sanitizer = _MEMORY if arguments.memory else _ADDRESS
        found += not (fuzz(target, arguments.seconds, sanitizer) if with_fuzzer else replay(target, compiler))
    print(f"{len(arguments.targets or TARGETS) - found} passed, {found} failed")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
