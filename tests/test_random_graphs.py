"""Properties of the compiler over random networks (hypothesis): no pass changes a bit; ONNX Runtime and C give what the reference gives.

In CI the examples are derandomised. ``QNN_DEPLOY_EXAMPLES=N`` runs N fresh random ones of each property instead.
"""

from __future__ import annotations

import collections
import os
import re
import struct
import subprocess
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import HealthCheck, given, settings

from qnn_deploy.emit.onnx_model import encode as encode_onnx
from qnn_deploy.emit.qdm import encode as encode_qdm
from qnn_deploy.errors import CompileErrors
from qnn_deploy.evaluate.backends import predict_onnx, predict_qdm
from qnn_deploy.evaluate.reference import run
from qnn_deploy.ir.program import NUMPY_DTYPE, Program
from qnn_deploy.ir.text import dump
from qnn_deploy.passes.pipeline import EXACT
from qnn_deploy.plan import plan
from qnn_deploy.targets import find_target
from qnn_deploy.toolchain.compiler import build_program, find_compiler, runtime_folder, sources
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


class Batch:
    """Packed models with their inputs, run together by one process for each kernel family."""

    def __init__(self) -> None:
        self.records, self.expected, self.texts = bytearray(), list[np.ndarray](), list[str]()

    def add(self, program: Program, x: np.ndarray, expected: np.ndarray, text: str) -> None:
        packed, out = encode_qdm(program), program.buffers[program.output]
        maps = np.moveaxis(x.reshape(*x.shape, *[1] * (4 - x.ndim)), 1, -1)
        self.records += struct.pack("<II", len(packed), len(x)) + packed + np.ascontiguousarray(maps).tobytes()
        result = np.moveaxis(expected.reshape(*expected.shape, *[1] * (4 - expected.ndim)), 1, -1)
        self.expected.append(result.astype(NUMPY_DTYPE[out.dtype]))
        self.texts.append(text)

    def check(self, folder: Path) -> None:
        """Every output has the bits of the reference, by the reference kernels and by those of this machine."""
        program, root, target = folder / "batch", runtime_folder(), find_target("host")
        compiler = find_compiler()
        files = [*sources(root, "qd_run")[:-1], "tests/batch.c"]
        command = [*compiler.command, *compiler.flags(target), "-Iinclude", "-Isrc", "-o", str(program), *files, "-lm", "-pthread"]
        subprocess.run(command, cwd=root, check=True, capture_output=True)
        for family in ("0", "1"):  # QD_AUTO, QD_REF
            run = subprocess.run([str(program), family], input=bytes(self.records), capture_output=True)
            assert run.returncode == 0, run.stderr.decode()
            at = 0
            for result, text in zip(self.expected, self.texts, strict=True):
                found = run.stdout[at : at + result.nbytes]
                assert found == result.tobytes(), f"kernels of family {family} differ:\n{text}"
                at += result.nbytes
            assert at == len(run.stdout)


def test_no_pass_changes_a_bit(tmp_path: Path) -> None:
    """And ONNX Runtime and C give what the reference gives."""
    pytest.importorskip("onnxruntime")
    refused: collections.Counter[str] = collections.Counter()
    kinds: collections.Counter[str] = collections.Counter()
    unpacked: collections.Counter[str] = collections.Counter()
    total = 0
    batch = Batch()

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
        assert same_bits(predict_onnx(encode_onnx(model))(x), expected), f"ONNX Runtime differs:\n{text}"
        try:
            batch.add(plan(model), x, expected, text)
        except CompileErrors as errors:
            unpacked[reason(errors)] += 1

    check()
    print(f"{total} graphs; refused {sum(refused.values())}: {dict(refused)}; not packed {dict(unpacked)}; operators {dict(kinds)}")
    batch.check(tmp_path)
    assert sum(unpacked.values()) < 0.1 * total, unpacked
    assert total >= (MORE or 2000)
    assert sum(refused.values()) < 0.1 * total, refused
    wanted = {"Conv", "BinaryConv", "Dense", "BinaryDense", "Threshold", "BipolarMaxPool", "MaxPool", "BatchNorm", "Scale", "Bias"}
    wanted |= {"PRelu", "Relu", "Clip", "Add", "Concat", "Quantize", "Sign", "SumPool", "Flatten", "SubtractZero", "ConvTranspose"}
    wanted |= {"Rearrange", "ArgMax"}
    assert all(kinds[name] >= 20 for name in wanted), kinds


def test_every_family_gives_the_reference() -> None:
    """By qd_run, of networks that mostly are what the runtime was made for."""
    pytest.importorskip("onnxruntime")
    target = find_target("host")
    program, runner = build_program("qd_run", target), LocalRunner("host")
    refused: collections.Counter[str] = collections.Counter()
    total = 0

    @examples(60)
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
