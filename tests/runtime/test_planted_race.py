"""Data races planted in a copy of the library and of the thread pool: the threads' test under ThreadSanitizer must see each.

That it sees none where none is planted is the row `C, TSan` of `tools/test.py`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

RUNTIME = Path(__file__).resolve().parents[2] / "runtime"
COMPILER = shutil.which("clang") or shutil.which("gcc")
FLAGS = ["-std=c11", "-O1", "-w", "-g", "-fsanitize=thread", "-ffp-contract=off"]

# (file, what is there and what is there instead): the race.
PLANTED = {
    "scratch shared by all threads": ("src/qd_conv.c", {"if (part > 0) set_scratch(": "if (0) set_scratch("}),
    "threads counted without an atomic": (
        "port/posix_pool.c",
        {
            "atomic_size_t next, done;": "atomic_size_t next; volatile size_t done;",
            "atomic_fetch_add(&pool->done, 1)": "pool->done++",
            "atomic_store(&pool->done, 0)": "pool->done = 0",
            "atomic_load(&pool->done)": "pool->done",
        },
    ),
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runtime with its portable kernels only, which compile in seconds, and an object of each source."""
    folder = tmp_path_factory.mktemp("race")
    for name in ("include", "src", "port", "tests"):
        shutil.copytree(RUNTIME / name, folder / name)
    table = folder / "src" / "qd_kernels.def"
    table.write_text(table.read_text().split("#if ")[0])
    library = [*(folder / "src").glob("*.c"), *(folder / "src" / "kernels").glob("*_ref.c")]
    compile_to(folder, folder, [*library, folder / "port" / "posix_pool.c", folder / "tests" / "test_threads.c"])
    return folder


def compile_to(folder: Path, copy: Path, sources: list[Path]) -> None:
    includes = [f"-I{copy / name}" for name in ("include", "src", "tests")]
    subprocess.run([str(COMPILER), *FLAGS, *includes, "-c", *map(str, sources)], cwd=folder, check=True)


@pytest.mark.skipif(COMPILER is None, reason="neither clang nor gcc found")
@pytest.mark.parametrize("name", PLANTED)
def test_a_race_is_seen(name: str, copy: Path, tmp_path: Path) -> None:
    file, edits = PLANTED[name]
    text = (copy / file).read_text()
    for there, instead in edits.items():
        assert text.count(there) == 1, there
        text = text.replace(there, instead)
    changed = tmp_path / Path(file).name
    changed.write_text(text.replace('#include "port.h"', f'#include "{copy / "port" / "port.h"}"'))
    compile_to(tmp_path, copy, [changed])
    objects = [path for path in copy.glob("*.o") if path.stem != changed.stem]
    program = tmp_path / "threads"
    subprocess.run([str(COMPILER), *FLAGS, *map(str, [*objects, *tmp_path.glob("*.o")]), "-o", str(program), "-lm", "-pthread"], check=True)
    environment = {**os.environ, "TSAN_OPTIONS": "halt_on_error=1"}
    run = subprocess.run([program], capture_output=True, text=True, errors="replace", timeout=120, env=environment)
    assert run.returncode != 0 and "ThreadSanitizer: data race" in run.stderr, run.stdout + run.stderr[-2000:]
