"""What the C library promises to those who build it in: all of it is C++ too, and takes little stack."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

RUNTIME = Path(__file__).resolve().parents[2] / "runtime"
SOURCES = sorted([*(RUNTIME / "src").glob("*.c"), *(RUNTIME / "src" / "kernels").glob("*.c")])
LIMIT = 2048
# The only one above the limit: four bytes for each of QD_MAX_BUFFERS, as qd.h says, while qd_open runs.
LIFETIMES, LIFETIMES_LIMIT = "qd_verify_memory", 4 * 4096 + LIMIT
# Where a kernel has no use without wide vectors: accumulators of some rows, patches of some pixels, weights of some channels reordered.
PATCHES = (
    "planes_avx2",
    "qd_map",
    *(f"conv_{kind}_{isa}" for kind in ("map", "trit_map", "planes", "pixels", "bytes") for isa in ("avx", "neon")),
)
PATCHES_LIMIT = 40 * 1024 + LIMIT


USE = '#include "qd/qd.h"\nqd_status f(qd_model *m, const void *d) { return qd_open(m, d, 64, nullptr); }\n'
# Kernels of one compiler are enough: they take most of the time.
AS_CPP = {"gcc": [path for path in SOURCES if path.parent.name != "kernels"], "clang": SOURCES}


@pytest.mark.parametrize("compiler", [name for name in AS_CPP if shutil.which(name)])
def test_the_library_is_cpp(compiler: str, tmp_path: Path) -> None:
    use = tmp_path / "use.cpp"
    use.write_text(USE)
    strict = ["-std=c++11", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wcast-align", "-Wvla", "-Werror", "-fsyntax-only"]
    includes = [f"-I{RUNTIME / 'include'}", f"-I{RUNTIME / 'src'}"]
    sources = [use, *AS_CPP[compiler], *sorted((RUNTIME / "tools").glob("*.c"))]
    run = subprocess.run([compiler, "-x", "c++", *strict, *includes, *map(str, sources)], capture_output=True, text=True)
    if "cc1plus" in run.stderr:
        pytest.skip(f"{compiler} has no C++ here")
    assert run.returncode == 0, run.stderr


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc not found")
def test_stack_is_bounded(tmp_path: Path) -> None:
    flags = ["-std=c11", "-O2", "-ffp-contract=off", "-fstack-usage", f"-I{RUNTIME / 'include'}", f"-I{RUNTIME / 'src'}", "-c"]
    subprocess.run(["gcc", *flags, *map(str, SOURCES)], cwd=tmp_path, check=True)
    rows = [line.split("\t") for path in tmp_path.glob("*.su") for line in path.read_text().splitlines()]
    by_file = {place.rsplit(":", 1)[1]: Path(place.split(":")[0]).name for place, _, _ in rows}
    used = {place.rsplit(":", 1)[1]: (int(size), kind) for place, size, kind in rows}
    assert len(used) > 40
    unbounded = [name for name, (_, kind) in used.items() if kind not in ("static", "dynamic,bounded")]
    assert not unbounded, unbounded
    patches = {name for name in used if by_file[name].startswith(PATCHES)}
    small = {name: size for name, (size, _) in used.items() if not name.startswith(LIFETIMES) and name not in patches}
    largest = max(small, key=lambda name: small[name])
    assert small[largest] <= LIMIT, f"{largest} takes {small[largest]} bytes"
    assert max(size for name, (size, _) in used.items() if name.startswith(LIFETIMES)) <= LIFETIMES_LIMIT
    assert max((used[name][0] for name in patches), default=0) <= PATCHES_LIMIT
