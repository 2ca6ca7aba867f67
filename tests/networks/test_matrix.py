"""A diagonal of the matrix (`tools/matrix.py` runs all of it): every network and every precision once, the whole chain in every bit."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

from qnn_deploy.targets import find_target
from tests.networks.cells import cell, quick


@pytest.mark.parametrize(("network", "precision"), quick(), ids=lambda name: name.replace(" ", "-"))
def test_diagonal(network: str, precision: str) -> None:
    result = cell(network, precision, 1, 16, 16, emulate=False)
    assert "refused" not in result, result["refused"]
    forms = {"folded torch", "deploy form", "reference", "ONNX", *(f"C, host {family}" for family in find_target("host").kernels)}
    assert set(result["bits"]) == forms
    assert sum(result["bits"].values()) == 0, result["bits"]
    assert result["distinct"] >= 16  # of 32 rows of logits, some for equal inputs
    assert result["arena"] <= 1.10 * result["lower_bound"]
