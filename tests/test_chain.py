"""The oracle chain: torch eval = deploy form = numpy reference = ONNX on stock runtimes = C reference = C SIMD, bit for bit.

Small networks of every shipped architecture with random weights and hard BatchNorm statistics; the shipped models are `test_models`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx.reference
import onnx_ir as ir
import pytest

torch = pytest.importorskip("torch")
ort = pytest.importorskip("onnxruntime")

from qnn_deploy.emit.onnx_model import encode as encode_onnx  # noqa: E402
from qnn_deploy.emit.qdm import encode as encode_qdm  # noqa: E402
from qnn_deploy.emit.qdm_reader import decode  # noqa: E402
from qnn_deploy.evaluate.backends import predict_qdm  # noqa: E402
from qnn_deploy.evaluate.reference import run  # noqa: E402
from qnn_deploy.frontend import torch_export  # noqa: E402
from qnn_deploy.frontend.load import load_model  # noqa: E402
from qnn_deploy.nn import checkpoint  # noqa: E402
from qnn_deploy.nn.deploy import deploy  # noqa: E402
from qnn_deploy.nn.layers import fold  # noqa: E402
from qnn_deploy.passes.pipeline import Lowered, lower  # noqa: E402
from qnn_deploy.plan import plan  # noqa: E402
from qnn_deploy.targets import find_target  # noqa: E402
from qnn_deploy.toolchain.compiler import build_program  # noqa: E402
from qnn_deploy.toolchain.runner import LocalRunner, available_kernels  # noqa: E402
from tests.nn._moving_networks import moving_network  # noqa: E402
from tests.nn._networks import QUANTISED, SMALL, network, pixels, slope_net  # noqa: E402
from tests.nn._operator_networks import OPERATORS, operator_network  # noqa: E402

LEVELS = (ort.GraphOptimizationLevel.ORT_DISABLE_ALL, ort.GraphOptimizationLevel.ORT_ENABLE_ALL)


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    return a.astype(np.float32).tobytes() == b.astype(np.float32).tobytes()


@pytest.mark.parametrize(("name", "arguments"), [*SMALL.items(), *QUANTISED.values()], ids=[*SMALL, *QUANTISED])
@pytest.mark.parametrize("seed", range(2))
def test_every_form_gives_the_same_bits(name: str, arguments: dict[str, object], seed: int, tmp_path: Path) -> None:
    latent = network(name, seed, arguments)
    x = pixels(latent, 16, seed)
    with torch.no_grad():
        expected = latent(x).numpy()
        assert same_bits(deploy(latent)(x).numpy(), expected)
    checkpoint.save(tmp_path / "model.pt", fold(latent), name, arguments, {})
    loaded = load_model(str(tmp_path / "model.pt"))
    with torch.no_grad():
        assert same_bits(loaded.module(x).numpy(), expected)
    _compiled_forms(loaded.model, x, expected)


@pytest.mark.parametrize("name", ["cnv", "cnv, ternary", "cnv, 2 bits"])
def test_a_network_without_streams_has_no_float_before_its_logits(name: str) -> None:
    architecture, arguments = QUANTISED.get(name, (name, SMALL.get(name)))
    latent = fold(network(architecture, 0, arguments))
    lowered = lower(torch_export.export(latent, latent.input_shape, "uint8", "cnv"))
    program = plan(lowered.model)
    assert not any(op.uses_float for op in program.ops[:-1])
    assert program.ops[-1].uses_float == (name != "cnv"), "the scale of the classifier's weights, which is part of the logits"
    assert len(lowered.proofs) == len(program.ops) - 3, "every layer but the last has its thresholds; two more operators are pools"
    assert sum(proof.reversed_channels for proof in lowered.proofs) > 0


@pytest.mark.parametrize("negative", [False, True])
@pytest.mark.parametrize("seed", range(2))
def test_signs_behind_prelu(negative: bool, seed: int) -> None:
    """Slopes of 0 and above fold into thresholds; where a negative one makes the function turn, the layer stays a stream."""
    latent = slope_net(seed, negative=negative)
    x = pixels(latent, 16, seed)
    with torch.no_grad():
        expected = latent(x).numpy()
        assert same_bits(deploy(latent)(x).numpy(), expected)
    assert len(np.unique(expected)) > 10
    lowered = _compiled_forms(torch_export.export(fold(latent), latent.input_shape, "uint8", "slopes"), x, expected)
    folded = [proof.layer for proof in lowered.proofs]
    assert folded == (["layers.1", "layers.9"] if negative else ["layers.1", "layers.5", "layers.9", "layers.14"])


@pytest.mark.parametrize("name", OPERATORS)
def test_every_operator(name: str) -> None:
    latent = operator_network(name, 0)
    x = pixels(latent, 16, 0)
    with torch.no_grad():
        expected = latent(x).numpy()
        assert same_bits(deploy(latent)(x).numpy(), expected)
    assert len(np.unique(expected)) > 20
    _compiled_forms(torch_export.export(fold(latent), latent.input_shape, "uint8", name), x, expected)


MOVING = [
    *[("moves", "ternary"), ("moves", "levels"), ("transposed", "sign"), ("transposed", "levels"), ("pools", "sign"), ("pools", "ternary")],
    *[("signal", "sign"), ("signal to logits", "int8")],
]


@pytest.mark.parametrize(("name", "kind"), MOVING)
def test_values_that_are_moved(name: str, kind: str) -> None:
    latent = moving_network(name, kind, 0)
    x = pixels(latent, 16, 0)
    with torch.no_grad():
        expected = latent(x).numpy()
        assert same_bits(deploy(latent)(x).numpy(), expected)
    assert len(np.unique(expected)) > 20
    model = torch_export.export(fold(latent), latent.input_shape, "uint8", name)
    # ONNX's own evaluator has no groups of transposed convolutions, and loses its way between uneven margins of pools.
    _compiled_forms(model, x, expected, evaluator=name in ("moves", "pools"))


def _compiled_forms(model: ir.Model, x: torch.Tensor, expected: np.ndarray, *, evaluator: bool = True) -> Lowered:
    """Lower ``model`` (L0) and compare every form from there on with the logits ``expected`` of the images ``x``."""
    lowered = lower(model)
    assert same_bits(run(lowered.l1, x.numpy()), expected)
    assert same_bits(run(lowered.model, x.numpy()), expected)
    assert sum(proof.violations for proof in lowered.proofs) == 0

    onnx_bytes = encode_onnx(lowered.model)
    for level in LEVELS:
        options = ort.SessionOptions()
        options.graph_optimization_level = level
        session = ort.InferenceSession(onnx_bytes, options, providers=["CPUExecutionProvider"])
        assert same_bits(session.run(None, {"input": x.numpy()})[0], expected)
    if evaluator:
        slow = onnx.reference.ReferenceEvaluator(onnx.load_from_string(onnx_bytes))
        assert same_bits(slow.run(None, {"input": x.numpy()[:3]})[0], expected[:3])

    packed = encode_qdm(plan(lowered.model))
    target = find_target("host")
    runner, program = LocalRunner("host"), build_program("qd_run", target)
    families = available_kernels(runner, program)
    assert len(families) >= 2, "this machine has no SIMD family: the chain would be incomplete"
    for kernels in families:
        predict = predict_qdm(runner, program, packed, kernels)
        assert same_bits(predict(x.numpy()), expected), kernels
    return lowered


@pytest.mark.parametrize("name", list(SMALL))
def test_the_packed_model_reads_back(name: str, tmp_path: Path) -> None:
    latent = fold(network(name, 0))
    checkpoint.save(tmp_path / "model.pt", latent, name, SMALL[name], {})
    program = plan(lower(load_model(str(tmp_path / "model.pt")).model).model)
    data = encode_qdm(program)
    again = decode(data)
    assert data == encode_qdm(program)
    assert [op.name for op in again.ops] == [op.name for op in program.ops]
    assert again.macs == program.macs and again.arena == program.arena
    assert all(np.array_equal(a, b) for a, b in zip(again.constants, program.constants, strict=True))
    assert program.arena <= 1.10 * program.lower_bound
