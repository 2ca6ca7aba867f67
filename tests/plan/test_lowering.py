"""What the planner refuses, by name and before anything is written, and flattened maps."""

from __future__ import annotations

import numpy as np
import pytest

from qnn_deploy.emit.qdm import encode
from qnn_deploy.emit.qdm_reader import decode
from qnn_deploy.errors import CompileErrors
from qnn_deploy.evaluate.backends import predict_qdm
from qnn_deploy.evaluate.reference import run
from qnn_deploy.ir.program import Program
from qnn_deploy.passes.pipeline import EXACT
from qnn_deploy.plan import plan
from qnn_deploy.targets import find_target
from qnn_deploy.toolchain.compiler import build_program
from qnn_deploy.toolchain.runner import LocalRunner, available_kernels
from tests.passes._text import l1

RANDOM = np.random.default_rng(0)
WEIGHTS = {"w": RANDOM.choice([-1, 1], (3, 8)).astype(np.float32), "v": np.float32([[1, -1], [-1, -1]]).reshape(2, 2, 1, 1)}
WEIGHTS |= {"step": np.float32([0.5]), "u": RANDOM.choice([-1, 1], (2, 4, 1, 1)).astype(np.float32)}
WEIGHTS |= {"one": np.float32([-0.5]), "e": np.arange(8, dtype=np.float32) - 4.5}


def _check(body: str, dtype: str = "uint8", zero: int = 0) -> Program:
    """Lower, plan and run ``body`` (from z [N, 2, 2, 2] to y [N, 3]) in C."""
    text = f"net ({dtype}[N, 2, 2, 2] x) => (float[N, 3] y) {{\n z = qnn_deploy.SubtractZero<to = 1>(x, zero)\n {body}\n}}"
    used = {name: array for name, array in WEIGHTS.items() if f" {name})" in body}
    model = l1(text, {"zero": np.full(2, zero, np.int16), **used})
    x = RANDOM.integers(0, 128, (9, 2, 2, 2)).astype(dtype)
    expected = run(model, x)
    for make, _ in EXACT:
        make()(model)
    program = plan(model)
    runner, executable = LocalRunner("host"), build_program("qd_run", find_target("host"))
    for kernels in available_kernels(runner, executable):
        found = predict_qdm(runner, executable, encode(program), kernels)(x)
        assert found.tobytes() == expected.tobytes(), kernels
    return decode(encode(program))


def test_int8_features_with_a_zero_point_are_refused() -> None:
    """They were computed as if the zero point were 0 (found by the random graphs)."""
    body = "f = Flatten<axis = 1>(z)\n y = Gemm<transB = 1>(f, w)"
    _check(body, "int8")
    _check(body, "uint8", 5)
    with pytest.raises(CompileErrors) as caught:
        _check(body, "int8", 5)
    assert [finding.code for finding in caught.value.findings] == ["QD0308"] and caught.value.findings[0].help


CONV = "c = Conv<kernel_shape = [1, 1], strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1], group = 1>(z, v)"


@pytest.mark.parametrize("kept", [False, True])
def test_a_max_pool_of_int16_is_one_of_floats_before_them(kept: bool) -> None:
    """It was refused as a layer that reads accumulators (a U-Net's way down, found by the matrix)."""
    quantised = f"{CONV}\n q = qnn_deploy.Quantize<low = -32767, high = 32767, to = 1>(c, step)"
    pool = "p = MaxPool<kernel_shape = [2, 2], strides = [1, 1], pads = [0, 0, 1, 1], dilations = [1, 1], ceil_mode = 0>(q)"
    point = "kernel_shape = [1, 1], strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1], group = 1"
    behind = f"k = Concat<axis = 1>(p, q)\n d = Conv<{point}>(k, u)\n s = qnn_deploy.Sign<to = 1>(d)"
    head = f"f = Flatten<axis = 1>({'s' if kept else 'p'})\n y = Gemm<transB = 1>(f, w)"
    program = _check("\n ".join([quantised, pool, *([behind] if kept else []), head]))
    kinds = [op.opcode.name for op in program.ops]
    assert kinds.count("MAX_POOL") == 1 and kinds.count("QUANTIZE") == 1 + kept and "BIT_POOL" not in kinds


def test_elementwise_steps_of_a_flattened_map_keep_its_shape() -> None:
    """They had the vector's shape, which the verifier of the packed format refused."""
    body = f"{CONV}\n r = Relu(c)\n p = qnn_deploy.PRelu(r, one)\n f = Flatten<axis = 1>(p)\n b = qnn_deploy.Bias(f, one)\n"
    program = _check(f"{body} g = qnn_deploy.Sign<to = 1>(b)\n y = Gemm<transB = 1>(g, w)")
    assert {(buffer.height, buffer.width, buffer.channels) for buffer in program.buffers} == {(2, 2, 2), (1, 1, 3)}


def test_a_vector_over_a_flattened_map_is_refused() -> None:
    """Its elements stand in torch's order, the map's in memory order."""
    body = f"{CONV}\n r = Relu(c)\n f = Flatten<axis = 1>(r)\n b = qnn_deploy.Bias(f, e)\n"
    with pytest.raises(CompileErrors) as caught:
        _check(f"{body} g = qnn_deploy.Sign<to = 1>(b)\n y = Gemm<transB = 1>(g, w)")
    assert [finding.code for finding in caught.value.findings] == ["QD0301"]
    assert "flattened" in caught.value.findings[0].message and "before the flattening" in caught.value.findings[0].help
