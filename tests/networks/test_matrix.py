"""A diagonal of the matrix (`tools/matrix.py` runs all of it): every network and every precision once, the whole chain in every bit."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

from qnn_deploy.targets import find_target
from qnn_deploy.toolchain.compiler import build_program
from qnn_deploy.toolchain.runner import LocalRunner, available_kernels
from tests.networks.cells import cell, quick


@pytest.mark.parametrize(("network", "precision"), quick(), ids=lambda name: name.replace(" ", "-"))
def test_diagonal(network: str, precision: str) -> None:
    result = cell(network, precision, [0], 16, 16, emulate=False)
    assert "refused" not in result, result["refused"]
    families = available_kernels(LocalRunner("host"), build_program("qd_run", find_target("host")))
    forms = {"folded torch", "deploy form", "reference", "ONNX", *(f"C, host {family}" for family in families)}
    assert set(result["bits"]) == forms
    assert sum(result["bits"].values()) == 0, result["bits"]
    assert result["distinct"] >= 16  # of 32 rows of logits, some for equal inputs
    assert result["arena"] <= 1.10 * result["lower_bound"]
