"""Time of an inference: ``qd_bench`` per kernel family, and the same network on ONNX Runtime, TFLite and Larq Compute Engine beside it.

What is compared runs interleaved, in rounds, so that a machine that slows down slows all of it.
"""

from __future__ import annotations

import json
import shutil
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from qnn_deploy.errors import ToolchainError, UserError
from qnn_deploy.evaluate import lce
from qnn_deploy.evaluate.backends import KernelsMissingError, onnx_session, runtime_error
from qnn_deploy.files import scratch
from qnn_deploy.toolchain.runner import Runner

SCHEMA_VERSION = 1
ROUNDS = 3
Measure = Callable[[int, int], dict[str, Any]]


def measure_qdm(runner: Runner, program: Path, content: bytes, kernels: str, threads: int = 1) -> Measure:
    """A function (runs, warm-up runs) -> the JSON of ``qd_bench``."""

    def measure(runs: int, warmup: int) -> dict[str, Any]:
        with scratch() as folder:
            shutil.copy(program, folder / "qd_bench")
            (folder / "model.qdm").write_bytes(content)
            options = ["--kernels", kernels, "--runs", str(runs), "--warmup", str(warmup), "--threads", str(threads), "--json"]
            result = runner.execute(folder, ["qd_bench", "model.qdm", *options])
        if result.returncode != 0:
            raise runtime_error(result.returncode, result.stderr, runner, kernels)
        try:
            row: dict[str, Any] = json.loads(result.stdout)
        except ValueError as error:
            raise ToolchainError("QD0403", f"qd_bench on {runner.name} printed no JSON") from error
        return row

    return measure


def measure_onnx(model: bytes, shape: tuple[int, int, int], macs: int) -> Measure:
    """The same for an fp32 network on ONNX Runtime: one thread, its default optimisations, one image of noise."""
    session = onnx_session(model, "fp32 twin", optimise=True)
    name = session.get_inputs()[0].name
    image = np.random.default_rng(0).integers(0, 256, (1, *shape), np.uint8)

    def measure(runs: int, warmup: int) -> dict[str, Any]:
        times = []
        for index in range(warmup + runs):
            start = time.perf_counter()
            session.run(None, {name: image})
            if index >= warmup:
                times.append(1e3 * (time.perf_counter() - start))
        return summary(times, macs)

    return measure


def measure_tflite(python: str, model: bytes, shape: tuple[int, int, int], dtype: str, macs: int) -> Measure:
    """The same for a ``.tflite`` in Larq Compute Engine's interpreter with XNNPACK; Python's call is part of the time."""
    image = np.random.default_rng(0).integers(0, 256, (1, *shape)).astype(dtype)
    return lambda runs, warmup: summary(lce.times(python, model, image, runs, warmup), macs)


def summary(times: Sequence[float], macs: int) -> dict[str, Any]:
    """Milliseconds of the runs as a row's numbers."""
    median, p95 = statistics.median(times), percentile(times, 0.95)
    return {"runs": len(times), "median_ms": median, "p95_ms": p95, "fastest_ms": min(times), "macs": macs, "layers": []}


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` of ``values`` do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


def interleave(
    subjects: Sequence[tuple[dict[str, Any], Measure]], runs: int, warmup: int, progress: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Measure every subject in `ROUNDS` rounds; a row has the head's keys, the rounds' middle median, worst p95 and fastest run.

    A subject whose kernels the machine lacks is left out.
    """
    if runs < 1 or warmup < 0:
        raise UserError("QD0106", f"--runs takes at least 1 and --warmup at least 0, not {runs} and {warmup}")
    rounds = min(ROUNDS, runs)
    measured: list[list[dict[str, Any]]] = [[] for _ in subjects]
    missing: set[int] = set()
    for number in range(rounds):
        for index, (head, measure) in enumerate(subjects):
            if index in missing:
                continue
            progress(f"{head['name']} ({head['kernels']}), round {number + 1} of {rounds}")
            try:
                measured[index].append(measure(-(-runs // rounds), warmup))
            except KernelsMissingError:
                missing.add(index)
    rows = []
    for (head, _), results in zip(subjects, measured, strict=True):
        if not results:
            continue
        median = statistics.median(result["median_ms"] for result in results)
        middle = min(results, key=lambda result: abs(result["median_ms"] - median))
        macs = results[0]["macs"]
        row = {**head, "kernels": head["kernels"] if head["kernels"] != "auto" else results[0].get("kernels", "auto")}
        row = {"threads": 1, **row}
        row |= {"median_ms": median, "p95_ms": max(result["p95_ms"] for result in results), "macs": macs}
        row["fastest_ms"] = min(result.get("fastest_ms", result["median_ms"]) for result in results)
        rows.append({**row, "gmacs_per_s": macs / median / 1e6 if median else 0.0, "layers": middle["layers"]})
    return rows


def regressions(rows: Sequence[dict[str, Any]], baseline: dict[str, Any], allowed: float) -> list[str]:
    """Rows slower than the row of the same name, runner and kernels in ``baseline`` by more than the share ``allowed``."""

    def key(row: dict[str, Any]) -> tuple[str, str, str]:
        return row["name"], row["runner"], row["kernels"]

    try:
        before = {key(row): float(row["median_ms"]) for row in baseline["rows"]}
    except (KeyError, TypeError, ValueError) as error:
        raise UserError("QD0106", "the baseline is not the JSON of `bench`") from error
    found = []
    for row in rows:
        old = before.get(key(row))
        if old is not None and row["median_ms"] > old * (1 + allowed):
            found.append(f"{row['name']} on {row['runner']} ({row['kernels']}): {row['median_ms']:.3f} ms, baseline {old:.3f} ms")
    return found
