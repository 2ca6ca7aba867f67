"""The runtime on every processor that an emulator is found for: small whole networks give the host's logits, bit for bit."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from qnn_deploy.emit.qdm import encode  # noqa: E402
from qnn_deploy.evaluate.backends import predict_qdm  # noqa: E402
from qnn_deploy.frontend.load import load_model  # noqa: E402
from qnn_deploy.nn import checkpoint  # noqa: E402
from qnn_deploy.nn.layers import fold  # noqa: E402
from qnn_deploy.passes.pipeline import lower  # noqa: E402
from qnn_deploy.plan import plan  # noqa: E402
from qnn_deploy.targets import Target, all_targets, find_target  # noqa: E402
from qnn_deploy.toolchain.compiler import build_program, find_compiler  # noqa: E402
from qnn_deploy.toolchain.runner import LocalRunner, available_kernels, find_emulator  # noqa: E402
from tests.nn._networks import PRELU, SMALL, network, pixels  # noqa: E402

# No row of the table, for nobody deploys there: it is here because its bytes are the other way round.
BIG_ENDIAN = Target("s390x", "big-endian", "s390x-linux-musl", mcpu="baseline", runner="qemu-s390x")
FOREIGN = [*(target for target in all_targets() if target.runner and not target.native), BIG_ENDIAN]
CNV: dict[str, object] = {"channels": [9, 24], "dense": [40], "size": 16, "padding": 1}
# Architecture and arguments: integers only, real-valued streams, ternary digits, and weights and activations of more bits.
NETWORKS: dict[str, tuple[str, dict[str, object]]] = {
    "binary": ("digits-cnn", SMALL["digits-cnn"]),
    "stream": ("binary-resnet", PRELU),
    "ternary": ("cnv", {**CNV, "weights": "fixed-threshold", "activations": "ternary"}),
    "2 and 4 bits": ("cnv", {**CNV, "weights": {"name": "int", "bits": 2}, "activations": {"name": "lsq", "bits": 4, "step": 0.37}}),
    "ternary, int16": ("cnv", {**CNV, "channels": [9, 12], "weights": "twn", "activations": "int16"}),
    "int8": ("resnet", {"blocks": 1, "channels": [8, 16], "weights": "int8", "activations": "int8"}),
}


# Most bytes of qd_run, static and stripped, for boards: kernels grow unseen. Both Arm programs have NEON's, armv7 the words of arm32 too.
MOST_BYTES = {"arm64": 152_000, "armv7": 138_000, "riscv64": 90_000}


@functools.cache
def packed(name: str) -> tuple[bytes, np.ndarray, np.ndarray]:
    """(the file, images, torch's logits) of a small network."""
    architecture, arguments = NETWORKS[name]
    latent = network(architecture, 0, arguments)
    images = pixels(latent, 6, 0)
    with torch.no_grad():
        logits = latent(images).numpy().astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint.save(Path(folder) / "model.pt", fold(latent), architecture, arguments, {})
        return encode(plan(lower(load_model(f"{folder}/model.pt").model).model)), images.numpy(), logits


@pytest.mark.parametrize("name", list(NETWORKS))
@pytest.mark.parametrize("target", FOREIGN, ids=lambda target: target.name)
def test_same_bits_on(target: Target, name: str) -> None:
    emulator = find_emulator(target.runner)
    if emulator is None:
        pytest.skip(f"{target.runner} not found")
    model, images, expected = packed(name)
    host = predict_qdm(LocalRunner("host"), build_program("qd_run", find_target("host")), model, "ref")(images)
    assert host.tobytes() == expected.tobytes()
    program = build_program("qd_run", target)
    runner = LocalRunner("qemu", (emulator,))
    assert available_kernels(runner, program) == target.kernels
    for kernels in target.kernels:
        assert predict_qdm(runner, program, model, kernels)(images).tobytes() == expected.tobytes(), kernels


def test_armv7_does_without_neon() -> None:
    emulator = find_emulator("qemu-arm")
    if emulator is None or not find_compiler().cross:
        pytest.skip("no qemu-arm, or no cross compiler")
    model, images, expected = packed("binary")
    program, runner = build_program("qd_run", find_target("armv7")), LocalRunner("qemu", (emulator, "-cpu", "cortex-a9,neon=off"))
    assert available_kernels(runner, program) == ("ref", "arm32")
    assert predict_qdm(runner, program, model, "auto")(images).tobytes() == expected.tobytes()


@pytest.mark.parametrize("target", MOST_BYTES)
def test_the_program_is_small(target: str) -> None:
    if find_compiler().cross:  # else another compiler's sizes, and one machine's programs only
        assert build_program("qd_run", find_target(target)).stat().st_size <= MOST_BYTES[target]
