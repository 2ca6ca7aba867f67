"""Building for a firmware: the library asks for nothing but what compilers call, and its very code gives torch's bits in an emulator."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from qnn_deploy.emit import c_array  # noqa: E402
from qnn_deploy.emit.executable import executables  # noqa: E402
from qnn_deploy.emit.qdm_reader import decode  # noqa: E402
from qnn_deploy.errors import ToolchainError  # noqa: E402
from qnn_deploy.ir.program import DType  # noqa: E402
from qnn_deploy.targets import find_target  # noqa: E402
from qnn_deploy.toolchain.compiler import find_compiler, runtime_folder  # noqa: E402
from qnn_deploy.toolchain.runner import find_emulator, find_runner  # noqa: E402
from tests.runtime.test_processors import packed  # noqa: E402

# Integers only, and binary32 on the shortcuts.
NETWORKS = ("binary", "stream", "int8")
FIRMWARE = """
#include <stdio.h>
#include "qd.h"
extern const unsigned char qd_model_file[];
extern const unsigned long qd_model_file_size;
static _Alignas(64) unsigned char arena[1 << 20];
static unsigned char input[1 << 16], output[1 << 12];
int main(void) {
    qd_model model;
    qd_status status = qd_open(&model, qd_model_file, qd_model_file_size, NULL);
    while (status == QD_OK && fread(input, 1, qd_input(&model).bytes, stdin) > 0) {
        status = qd_run(&model, NULL, arena, sizeof arena, input, output);
        fwrite(output, 1, qd_output(&model).bytes, stdout);
    }
    return (int)status;
}
"""


def test_an_array_is_the_file() -> None:
    packed_model = packed("binary")[0]
    text = c_array.encode(packed_model).decode()
    numbers = text.rpartition("{")[2].partition("}")[0]
    assert bytes(map(int, re.findall(r"\d+", numbers))) == packed_model
    assert f"qd_model_file_size = {len(packed_model)};" in text and "_Alignas(64)" in text


def test_no_runner_has_a_firmware() -> None:
    with pytest.raises(ToolchainError, match="runs in a firmware only"):
        find_runner(None, find_target("cortex-m7"))


@pytest.fixture(scope="module")
def library() -> dict[str, Path]:
    if not find_compiler().cross:
        pytest.skip("no cross compiler")
    return executables(find_target("cortex-m4"))


def test_the_library_needs_a_compiler_only(library: dict[str, Path]) -> None:
    assert sorted(library) == ["qd.h", "qd.o", "qd_config.h"]
    if (nm := shutil.which("nm")) is None:
        pytest.skip("nm not found")
    rows = [line.split() for line in subprocess.run([nm, library["qd.o"]], capture_output=True, text=True, check=True).stdout.splitlines()]
    missing = {row[1] for row in rows if row[0] == "U"}
    assert not {name for name in missing if not name.startswith("__aeabi_")} - {"memcpy", "memset", "memcmp", "memmove"}
    assert not [row for row in rows if row[-2] in "BbDdCc" and not row[-1].startswith("$")]
    assert {"qd_open", "qd_run", *(f"qd_conv_{kind}_arm32" for kind in ("bits", "int8", "trits", "bytes"))} <= {row[-1] for row in rows}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_library_gives_the_bits(library: dict[str, Path], name: str, tmp_path: Path) -> None:
    emulator = find_emulator("qemu-arm")
    if emulator is None:
        pytest.skip("qemu-arm not found")
    model, images, expected = packed(name)
    (tmp_path / "main.c").write_text(FIRMWARE)
    (tmp_path / "model.c").write_bytes(c_array.encode(model))
    # A-profile processors execute M-profile code; all but the library comes from an ordinary C library.
    linux = find_target("armv7")
    compile = [*find_compiler().command, "-target", linux.triple, f"-mcpu={linux.mcpu}", "-static"]
    command = [*compile, f"-I{library['qd.h'].parent}", "-o", "firmware", "main.c", "model.c", str(library["qd.o"])]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    pixels = np.ascontiguousarray(images.transpose(0, 2, 3, 1)).tobytes()
    run = subprocess.run([emulator, tmp_path / "firmware"], input=pixels, capture_output=True, check=True)
    program = decode(model)
    dtype = np.float32 if program.buffers[program.output].dtype == DType.F32 else np.int32
    assert np.frombuffer(run.stdout, dtype).astype(np.float32).tobytes() == expected.tobytes()


def test_the_library_passes_the_kernels_suite(library: dict[str, Path], tmp_path: Path) -> None:
    emulator = find_emulator("qemu-arm")
    if emulator is None:
        pytest.skip("qemu-arm not found")
    runtime, linux = runtime_folder(), find_target("armv7")
    # Without Linux for what it includes: the table's rows are those of the library.
    compile = [*find_compiler().command, "-target", linux.triple, f"-mcpu={linux.mcpu}", "-static", "-U__linux__"]
    includes = [f"-I{runtime / folder}" for folder in ("include", "src", "tests")]
    command = [*compile, "-O1", *includes, "-o", "suite", str(runtime / "tests" / "test_kernels.c"), str(library["qd.o"])]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    run = subprocess.run([emulator, tmp_path / "suite"], capture_output=True, text=True)
    assert run.returncode == 0 and run.stdout.strip().endswith(", 0 failed"), run.stdout[-2000:]
