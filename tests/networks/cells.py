"""One cell of the matrix: a network at a precision, its whole chain compared with torch ``eval()`` bit for bit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from qnn_deploy.emit.onnx_model import encode as encode_onnx
from qnn_deploy.emit.qdm import encode as encode_qdm
from qnn_deploy.errors import CompileErrors
from qnn_deploy.evaluate.backends import predict_onnx, predict_qdm
from qnn_deploy.evaluate.parity import differing_bits
from qnn_deploy.evaluate.reference import run
from qnn_deploy.frontend import torch_export
from qnn_deploy.nn.deploy import deploy
from qnn_deploy.nn.layers import fold
from qnn_deploy.nn.truth import logits
from qnn_deploy.passes.pipeline import lower
from qnn_deploy.plan import plan
from qnn_deploy.targets import find_target
from qnn_deploy.toolchain.compiler import build_program
from qnn_deploy.toolchain.runner import available_kernels, find_runner
from tests.networks.precisions import PRECISIONS
from tests.networks.zoo import NETWORKS, input_dtype, inputs, make


def cell(network: str, precision: str, seeds: Sequence[int], random: int, adversarial: int, emulate: bool) -> dict[str, Any]:
    """``{"bits": {form: differing bits}, "inputs", "distinct", "arena", "lower_bound"}``; ``{"refused": [findings]}`` where it cannot be
    deployed.
    """
    total: dict[str, Any] = {"bits": {}, "inputs": 0, "distinct": 0}
    try:
        for seed in seeds:
            for form, bits in _one(network, precision, seed, random, adversarial, emulate, total):
                total["bits"][form] = total["bits"].get(form, 0) + bits
    except CompileErrors as errors:
        return {"refused": [f"{finding.code} {finding.where}: {finding.message}" for finding in errors.findings]}
    return total


def _one(
    network: str, precision: str, seed: int, random: int, adversarial: int, emulate: bool, total: dict[str, Any]
) -> Iterator[tuple[str, int]]:
    model = make(network, precision, seed)
    x = inputs(model, seed, random, adversarial).numpy()
    expected = logits(model, x)
    deployed = deploy(model)
    with torch.no_grad():
        graph = torch_export.export(fold(model), model.input_shape, input_dtype(model), network)  # type: ignore[arg-type]
    lowered = lower(graph)
    program = plan(lowered.model)
    packed = encode_qdm(program)
    total["inputs"] += len(x)
    total["distinct"] += len(np.unique(expected, axis=0))
    total["arena"], total["lower_bound"] = program.arena, program.lower_bound
    yield "folded torch", differing_bits(logits(model, x), expected)
    yield "deploy form", differing_bits(logits(deployed, x), expected)
    yield "reference", differing_bits(run(lowered.model, x[-4:]), expected[-4:])
    yield "ONNX", differing_bits(predict_onnx(encode_onnx(lowered.model))(x), expected)
    for name in ("host", *(["arm64"] if emulate else [])):
        target = find_target(name)
        runner, executable = find_runner(None, target), build_program("qd_run", target)
        for kernels in available_kernels(runner, executable):
            yield f"C, {target.name} {kernels}", differing_bits(predict_qdm(runner, executable, packed, kernels)(x), expected)


def quick() -> list[tuple[str, str]]:
    """Every network and every precision at least once, on a diagonal of the matrix."""
    networks, precisions = list(NETWORKS), list(PRECISIONS)
    count = max(len(networks), len(precisions))
    return [(networks[i % len(networks)], precisions[i % len(precisions)]) for i in range(count)]
