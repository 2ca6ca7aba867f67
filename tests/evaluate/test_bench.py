"""The benchmark's arithmetic and order of runs; and one short run of everything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from qnn_deploy.errors import UserError
from qnn_deploy.evaluate.backends import KernelsMissingError
from qnn_deploy.evaluate.bench import interleave, percentile, regressions


def head(name: str) -> dict[str, Any]:
    return {"name": name, "runner": "host", "kernels": "ref"}


def test_subjects_take_turns() -> None:
    order: list[str] = []

    def subject(name: str) -> Any:
        def measure(runs: int, warmup: int) -> dict[str, Any]:
            order.append(f"{name}{runs}")
            return {"median_ms": float(len(order)), "p95_ms": 9.0, "macs": 1_000_000, "layers": []}

        return head(name), measure

    rows = interleave([subject("a"), subject("b")], 30, 1, lambda stage: None)
    assert order == ["a10", "b10"] * 3
    assert [row["median_ms"] for row in rows] == [3.0, 4.0]
    assert rows[0]["gmacs_per_s"] == 1_000_000 / 3.0 / 1e6


def test_missing_kernels_are_left_out() -> None:
    def missing(runs: int, warmup: int) -> dict[str, Any]:
        raise KernelsMissingError("QD0403", "no")

    assert interleave([(head("a"), missing)], 3, 0, lambda stage: None) == []


@pytest.mark.parametrize("share,expected", [(0.5, 5), (0.95, 10), (1.0, 10), (0.05, 1)])
def test_percentile(share: float, expected: int) -> None:
    assert percentile(list(range(10, 0, -1)), share) == expected


def test_regressions() -> None:
    rows = [{**head("a"), "median_ms": 1.1}, {**head("new"), "median_ms": 9.0}]
    baseline = {"rows": [{**head("a"), "median_ms": 1.0}]}
    assert regressions(rows, baseline, 0.2) == []
    assert len(regressions(rows, baseline, 0.05)) == 1
    with pytest.raises(UserError):
        regressions(rows, {"rows": [{}]}, 0.05)


def test_a_run_of_everything(small_build: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    from qnn_deploy import api
    from qnn_deploy.evaluate import lce

    monkeypatch.delenv(lce.PYTHON, raising=False)
    value = api.bench(str(small_build), runs=3, warmup=0, peers=True)
    assert ["LCE" in line or "TFLite" in line for line in value["not_run"]] == [True, True] and lce.PYTHON in value["not_run"][0]
    assert all(0 < row["fastest_ms"] <= row["median_ms"] for row in value["rows"])
    assert value["rows"][-1]["runner"] == "onnxruntime" and value["rows"][-1]["ratio"] == 1.0
    first = value["rows"][0]
    assert first["kernels"] == "ref" and first["median_ms"] > 0 and len(first["layers"]) >= 4
    assert {"name", "op", "macs", "median_us", "p95_us", "mac_per_cycle", "limit"} <= set(first["layers"][0])
