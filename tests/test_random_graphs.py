"""Properties of the compiler over random networks (hypothesis): no pass changes a bit; ONNX Runtime and C give what the reference gives.

In CI the examples are derandomised. ``QNN_DEPLOY_EXAMPLES=N`` runs N fresh random ones of each property instead.
"""

from __future__ import annotations

import collections
import os
import re

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import HealthCheck, given, settings

from qnn_deploy.emit.onnx_model import encode as encode_onnx
from qnn_deploy.emit.qdm import encode as encode_qdm
from qnn_deploy.errors import CompileErrors
from qnn_deploy.evaluate.backends import predict_onnx, predict_qdm
from qnn_deploy.evaluate.reference import run
from qnn_deploy.ir.text import dump
from qnn_deploy.passes.pipeline import EXACT
from qnn_deploy.plan import plan
from qnn_deploy.targets import find_target
from qnn_deploy.toolchain.compiler import build_program
from qnn_deploy.toolchain.runner import LocalRunner, available_kernels
from tests.passes._graphs import networks

MORE = int(os.environ.get("QNN_DEPLOY_EXAMPLES", "0"))


def examples(count: int) -> settings:
    """``count`` derandomised examples, or as many fresh ones as the environment asks for."""
    checks = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    return settings(max_examples=MORE or count, derandomize=not MORE, deadline=None, database=None, suppress_health_check=checks)


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    return a.astype(np.float32).tobytes() == b.astype(np.float32).tobytes()


def reason(errors: CompileErrors) -> str:
    """The first finding, without its numbers."""
    return f"{errors.code} {re.sub(r'[0-9]+', 'N', errors.message)}"


def test_no_pass_changes_a_bit() -> None:
    refused: collections.Counter[str] = collections.Counter()
    kinds: collections.Counter[str] = collections.Counter()
    total = 0

    @examples(2000)
    @given(networks())
    def check(drawn: tuple[ir.Model, np.ndarray]) -> None:
        nonlocal total
        model, x = drawn
        total += 1
        text = dump(model)
        expected = run(model, x)
        try:
            for make, _ in EXACT:
                make()(model)
                assert same_bits(run(model, x), expected), f"{make.__name__} changed a bit of\n{text}"
        except CompileErrors as errors:
            refused[reason(errors)] += 1
            return
        kinds.update(node.op_type for node in model.graph)

    check()
    print(f"{total} graphs; refused {sum(refused.values())}: {dict(refused)}; operators {dict(kinds)}")
    assert total >= (MORE or 2000)
    assert sum(refused.values()) < 0.1 * total, refused
    wanted = {"Conv", "BinaryConv", "Dense", "BinaryDense", "Threshold", "BipolarMaxPool", "MaxPool", "BatchNorm", "Scale", "Bias", "PRelu"}
    wanted |= {"Relu", "Clip", "Add", "Concat", "Quantize", "Sign", "SumPool", "Flatten", "SubtractZero"}
    assert all(kinds[name] >= 20 for name in wanted), kinds


def test_onnx_and_c_give_the_reference() -> None:
    pytest.importorskip("onnxruntime")
    target = find_target("host")
    program, runner = build_program("qd_run", target), LocalRunner("host")
    refused: collections.Counter[str] = collections.Counter()
    total = 0

    @examples(120)
    @given(networks(packed=True))
    def check(drawn: tuple[ir.Model, np.ndarray]) -> None:
        nonlocal total
        model, x = drawn
        total += 1
        text = dump(model)
        expected = run(model, x)
        try:
            for make, _ in EXACT:
                make()(model)
            packed = encode_qdm(plan(model))
        except CompileErrors as errors:
            refused[reason(errors)] += 1
            return
        assert same_bits(predict_onnx(encode_onnx(model))(x), expected), f"ONNX Runtime differs:\n{text}"
        for kernels in available_kernels(runner, program):
            assert same_bits(predict_qdm(runner, program, packed, kernels)(x), expected), f"{kernels} kernels differ:\n{text}"

    check()
    print(f"{total} graphs; refused {sum(refused.values())}: {dict(refused)}")
    assert sum(refused.values()) < 0.2 * total, refused
