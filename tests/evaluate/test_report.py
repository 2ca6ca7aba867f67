"""Tables: numbers as people read them, widths that fit."""

from __future__ import annotations

import pytest

from qnn_deploy.evaluate.report import columns, count, layer_table, size, verify_table

LAYER = {
    "name": "stages.2.units.10.convolution",
    "op": "conv + threshold",
    "input": "128x128x256 bits",
    "output": "128x128x256 bits",
    "window": "3x3/1",
    "macs_1b": 9_663_676_416,
    "macs_8b": 0,
    "weight_bits": 1,
    "activation_bits": 1,
    "parameters": 589_824,
    "constant_bytes": 999_999,
    "arena_bytes": 9_999_999,
}
TOTALS = {"macs": 10, "binary_macs": 5, "parameters": 3, "constant_bytes": 12, "arena_bytes": 64, "arena_lower_bound": 64}
MANIFEST = {
    "name": "net",
    "model_id": "0123456789ab",
    "computes_in_float": False,
    "proof": {"channels": 1, "accumulators": 2, "violations": 0},
    "totals": TOTALS,
    "layers": [LAYER] * 12,
}


@pytest.mark.parametrize("width", [80, 120])
def test_layer_table_fits(width: int) -> None:
    lines = layer_table(MANIFEST, width).splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) == 2 + 12 + 6
    assert any("50.0% of them 1-bit" in line for line in lines)


@pytest.mark.parametrize(
    "number,text", [(0, "0"), (9999, "9999"), (10_000, "10.0k"), (123_456, "123k"), (12_345_678, "12.3M"), (5e12, "5000G")]
)
def test_counts(number: float, text: str) -> None:
    assert count(number) == text


@pytest.mark.parametrize("number,text", [(10_239, "10239 B"), (10_240, "10.0 KiB"), (10 * 1024 * 1024, "10.0 MiB")])
def test_sizes(number: int, text: str) -> None:
    assert size(number) == text


def test_columns_align() -> None:
    assert columns([["a", "1"], ["bb", "22"]], ["x", "n"]).splitlines() == ["x    n", "--  --", "a    1", "bb  22"]


def test_verify_table_says_what_did_not_run() -> None:
    row = {"artefact": "model.qdm", "runner": "qemu-aarch64", "kernels": "ref/neon", "inputs": None, "images": 0}
    rows = [{**row, "differing_bits": None, "correct": None, "not_run": "qemu-aarch64 not found"}]
    report = {"rows": rows, "trained": {"images": 0, "correct": None}, "proof": None, "divergence": ["here"], "ties": 0, "ok": False}
    text = verify_table(report)
    assert "not run: model.qdm on qemu-aarch64: qemu-aarch64 not found" in text
    assert "first divergence: here" in text and text.endswith("NOT bit-exact")
