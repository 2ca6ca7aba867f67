#!/usr/bin/env python3
"""Whole networks beside their peers: `python3 tools/bench_networks.py [--threads 2] [--json F]`.

The shipped ResNet-20 and CNV, VGG-small (32x32x3, 128 to 512 channels) and QuickNet (224x224x3, 64 to 512 channels), these two with random
weights, all with binary weights and activations: every kernel family of this machine, and the same network on Larq Compute Engine (where
``QNN_DEPLOY_LCE_PYTHON`` names a Python that has it), in fp32 on TFLite, and in 8 bits and in fp32 on ONNX Runtime, interleaved; then
the share of the operators beside the convolutions, and with ``--threads`` the speed-up over one thread.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from environment import enter

NETWORKS = {
    "resnet20": "models/cifar10-resnet20-w1a1/model.pt",
    "cnv": "models/cifar10-cnv-w1a1/model.pt",
    "vgg_small": "tests.networks.full_size:vgg_small",
    "quicknet": "tests.networks.full_size:quicknet",
}
ROOT = Path(__file__).resolve().parents[1]


def measure(name: str, families: tuple[str, ...], runs: int, threads: int, peers: bool) -> list[dict[str, Any]]:
    """Rows of `qnn_deploy.api.bench`, of one thread and of ``threads``, with ``beside``: the share of operators that are no convolution."""
    from qnn_deploy import api

    with tempfile.TemporaryDirectory(prefix="qnn-deploy-") as folder:
        out = Path(folder) / name
        source = NETWORKS[name]
        api.build(source if ":" in source else str(ROOT / source), emit=("qdm", "exe"), out=out)
        rows = api.bench(str(out), kernels=families, runs=runs, peers=peers)["rows"]
        if threads > 1:
            rows += api.bench(str(out), kernels=families, runs=runs, threads=threads)["rows"]
    for row in rows:
        times = [(layer["op"] == "CONV", layer["median_us"]) for layer in row["layers"]]
        row["beside"] = sum(us for conv, us in times if not conv) / sum(us for _, us in times) if times else None
        row["network"] = name
    return rows


def text(row: dict[str, Any]) -> str:
    """One row for people."""
    how = row["kernels"] if row["kernels"] != "default" else row["name"].split()[-1]
    form = how if row["layers"] else f"{row['runner']} {how}"
    title = f"{row['network']:10} {form:16} {row['threads']} thread(s)"
    tail = f" {row['ratio']:6.2f}x fp32" if "ratio" in row else ""
    tail += f", {row['beside']:.1%} beside convolutions" if row["beside"] is not None else ""
    return f"{title} {row['median_ms']:9.3f} ms (fastest {row['fastest_ms']:9.3f}) {row['gmacs_per_s']:8.1f} GMAC/s{tail}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", default=list(NETWORKS), help=f"of {', '.join(NETWORKS)}; default: all")
    parser.add_argument("--kernels", default="", help="families, comma-separated; default: all of this machine")
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    rows = []
    for name in options.networks:
        families = tuple(filter(None, options.kernels.split(",")))
        rows += measure(name, families, options.runs, options.threads, not options.no_peers)
        print("\n".join(text(row) for row in rows if row["network"] == name), flush=True)
    if options.json:
        options.json.write_text(json.dumps({"schema_version": 1, "rows": rows}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    if importlib.util.find_spec("qnn_deploy") is None:
        enter("torch,ort,zig")
    sys.exit(main())
