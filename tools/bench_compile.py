#!/usr/bin/env python3
"""Time and memory of the compiler itself on large networks: `python3 tools/bench_compile.py [--json F] [--plot F] [NAME ...]`.

Builds the networks of tests/networks/large.py, 1 to 100 million parameters by width and by depth, each in a process of its own, to .qdm
and .onnx. What PyTorch does (the module, its export) is timed apart; seconds are the process's own, so that other load does not count,
and memory is the most that was resident at any moment behind the export.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from environment import ROOT, enter

SERIES = ("wide", "deep")
MILLIONS = (1, 5, 25, 100)
GOAL = {"parameters": 25e6, "seconds": 20.0, "GiB": 2.0}


def _resident(key: str) -> float:
    """``VmRSS`` or ``VmHWM`` of this process in GiB; Linux."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 2**20


def measure(name: str) -> dict[str, Any]:
    """CPU seconds of each stage of `api.build`, and memory in GiB: ``resident`` when the export is done, ``peak`` from then on."""
    from qnn_deploy import api

    marks: list[tuple[str, float, float]] = []
    row: dict[str, Any] = {"network": name}

    def progress(stage: str) -> None:
        if stage == "lower":
            row["resident"] = _resident("VmRSS")
            Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        marks.append((stage, time.process_time(), time.perf_counter()))

    with tempfile.TemporaryDirectory(prefix="qnn-deploy-") as folder:
        manifest = api.build(f"tests.networks.large:{name}", emit=("qdm", "onnx"), out=Path(folder) / name, progress=progress)
    progress("")
    row["stages"] = {stage: end - start for (stage, start, _), (_, end, _) in itertools.pairwise(marks)}
    row["seconds"], row["wall"] = (marks[-1][clock] - marks[1][clock] for clock in (1, 2))
    sizes = {artefact["path"]: artefact["bytes"] for artefact in manifest["artefacts"]}
    return row | {"peak": _resident("VmHWM"), "parameters": manifest["totals"]["parameters"], "bytes": sizes}


def passes(name: str) -> dict[str, float]:
    """CPU seconds of every pass of `lower`, the longest first; a pass that runs twice is counted together."""
    from qnn_deploy.frontend import load_model
    from qnn_deploy.passes.pipeline import lower

    loaded, taken, last = load_model(f"tests.networks.large:{name}"), dict[str, float](), time.process_time()

    def after(step: str, model: Any) -> None:
        nonlocal last
        now = time.process_time()
        taken[step] = taken.get(step, 0.0) + now - last
        last = now

    last = time.process_time()
    lower(loaded.model, after=after)
    return dict(sorted(taken.items(), key=lambda item: -item[1]))


def plot(rows: list[dict[str, Any]], target: Path) -> None:
    """CPU seconds and GiB over parameters, both axes logarithmic: linear growth is a slope of one."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(11, 4.6))
    for axis, key, title in zip(axes, ("seconds", "peak"), ("CPU seconds behind the export", "GiB resident, at most"), strict=True):
        for series, colour in zip(SERIES, ("#4c72b0", "#dd8452"), strict=True):
            found = [row for row in rows if row["network"].startswith(series)]
            axis.loglog([row["parameters"] / 1e6 for row in found], [row[key] for row in found], "o-", color=colour, label=series)
        axis.plot(GOAL["parameters"] / 1e6, GOAL["seconds" if key == "seconds" else "GiB"], "kv", label="goal")
        axis.set_xlabel("million parameters")
        axis.set_title(title)
        axis.grid(alpha=0.3, which="both")
        axis.legend(frameon=False)
    figure.suptitle("qnn-deploy build, binary networks, .qdm and .onnx")
    figure.tight_layout()
    figure.savefig(target, dpi=110)


def text(row: dict[str, Any]) -> str:
    """One row for people."""
    stages = ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in row["stages"].items())
    memory = f"{row['resident']:.2f} GiB resident, {row['peak']:.2f} at most"
    title = f"{row['network']:9} {row['parameters'] / 1e6:6.1f} M"
    return f"{title} {row['seconds']:7.2f} s ({stages}; {row['wall']:.2f} by the clock), {memory}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", default=[f"{series}_{size}" for size in MILLIONS for series in SERIES])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--passes", action="store_true", help="the passes of each network instead, in seconds")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    if options.one:
        print(json.dumps(measure(options.networks[0])))
        return 0
    if options.passes:
        for name in options.networks:
            print(name, *(f"  {seconds:8.3f} {step}" for step, seconds in passes(name).items()), sep="\n")
        return 0
    rows = []
    for name in options.networks:
        found = subprocess.run([sys.executable, __file__, "--one", name], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
        rows.append(json.loads(found.stdout))
        print(text(rows[-1]), flush=True)
    if options.json:
        options.json.write_text(json.dumps({"schema_version": 1, "rows": rows}, indent=1) + "\n")
    if options.plot:
        plot(rows, options.plot)
    return 0


if __name__ == "__main__":
    if importlib.util.find_spec("qnn_deploy") is None:
        enter("torch,sweep")
    sys.exit(main())
