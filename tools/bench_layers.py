#!/usr/bin/env python3
"""One layer at a time against the machine's limit: `python3 tools/bench_layers.py [--json F]`.

A 3x3 convolution of each shape with thresholds and packed output, of bits, trits and 8-bit pixels, with every kernel family of this
machine; each beside ONNX Runtime's QLinearConv (u8 activations, s8 weights) of that shape, interleaved. The fastest run of each counts.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from environment import enter
from one_layer import LAYERS, layer


def qlinear(side: int, channels: int, out: int) -> bytes:
    """The same shape as ONNX QLinearConv, u8 by s8 to u8."""
    import onnx_ir as ir

    rng = np.random.default_rng(0)
    weights = rng.choice(np.array([-64, 64], np.int8), (out, channels, 3, 3))
    values: dict[str, np.ndarray] = {"w": weights, "xs": np.float32(0.02), "xz": np.uint8(128), "ws": np.full(out, 0.02, np.float32)}
    values |= {"wz": np.zeros(out, np.int8), "ys": np.float32(5.0), "yz": np.uint8(128)}
    x = ir.Value(name="x", shape=ir.Shape((1, channels, side, side)), type=ir.TensorType(ir.DataType.UINT8))
    inputs = {name: ir.Value(name=name, const_value=ir.tensor(np.asarray(value), name=name)) for name, value in values.items()}
    order = [x, *(inputs[name] for name in ("xs", "xz", "w", "ws", "wz", "ys", "yz"))]
    node = ir.node("QLinearConv", order, {"pads": [1, 1, 1, 1]})
    node.outputs[0].name, node.outputs[0].shape = "y", ir.Shape((1, out, side, side))
    node.outputs[0].type = ir.TensorType(ir.DataType.UINT8)
    graph = ir.Graph([x], node.outputs, nodes=[node], initializers=list(inputs.values()), opset_imports={"": 17}, name="layer")
    return ir.to_proto(ir.Model(graph, ir_version=8)).SerializeToString()


def measure(runs: int, families: tuple[str, ...], peers: bool) -> list[dict[str, Any]]:
    """A row per shape and family: ``shape``, ``kernels``, times in microseconds, MAC/cycle, the limit, ``peer_us``."""
    from qnn_deploy.evaluate import bench
    from qnn_deploy.targets import find_target
    from qnn_deploy.toolchain.compiler import build_program
    from qnn_deploy.toolchain.runner import find_runner

    target = find_target("host")
    program, runner = build_program("qd_bench", target), find_runner("host", target)
    rows = []
    for kind, side, channels, out in LAYERS:
        shape = f"{side}x{side}x{channels}->{out}" + (f" {kind}" if kind != "bits x bits" else "")
        macs = 9 * side * side * channels * out
        content = layer(kind, side, channels, out)
        subjects = [
            ({"name": shape, "runner": "host", "kernels": family}, bench.measure_qdm(runner, program, content, family))
            for family in families or target.kernels
        ]
        if peers:
            peer = bench.measure_onnx(qlinear(side, channels, out), (channels, side, side), macs)
            subjects.append(({"name": shape, "runner": "onnxruntime", "kernels": "u8s8"}, peer))
        measured = bench.interleave(subjects, runs, max(runs // 10, 3), lambda stage: None)
        other = next((1e3 * row["fastest_ms"] for row in measured if row["runner"] == "onnxruntime"), None)
        for row in measured:
            found = row["layers"][0] if row["layers"] else None
            line = {"shape": shape, "kernels": row["kernels"], "macs": macs}
            line |= {f"{each}_us": 1e3 * row[f"{each}_ms"] for each in ("fastest", "median", "p95")}
            line |= {"gmacs_per_s": macs / row["fastest_ms"] / 1e6, "peer_us": other}
            if found and found["mac_per_cycle"]:  # cycles by whole runs: one operator is the whole network
                per_cycle = found["mac_per_cycle"] * found["median_us"] / line["fastest_us"]
                line |= {"mac_per_cycle": per_cycle, "limit": found["limit"], "fraction": per_cycle / found["limit"]}
            rows.append(line)
            print(text(line), flush=True)
    return rows


def text(line: dict[str, Any]) -> str:
    """One row for people."""
    tail = ""
    if "fraction" in line:
        tail = f"{line['mac_per_cycle']:8.1f} MAC/cycle {line['fraction']:5.0%} of {line['limit']:.0f}"
        tail += f" {line['peer_us'] / line['fastest_us']:6.1f}x ORT u8s8" if line["peer_us"] else ""
    times = f"{line['fastest_us']:9.2f} us (median {line['median_us']:9.2f})"
    return f"{line['shape']:28} {line['kernels']:7} {times} {line['gmacs_per_s']:8.1f} GMAC/s {tail}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=90)
    parser.add_argument("--kernels", default="", help="families, comma-separated; default: all of this machine")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = measure(options.runs, tuple(filter(None, options.kernels.split(","))), not options.no_peers)
    if options.json:
        from qnn_deploy.files import write_whole

        write_whole(options.json, (json.dumps({"schema_version": 1, "rows": rows}, indent=1) + "\n").encode())
    return 0


if __name__ == "__main__":
    if importlib.util.find_spec("qnn_deploy") is None:
        enter("ort,zig")
    sys.exit(main())
