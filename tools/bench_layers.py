#!/usr/bin/env python3
"""One layer at a time against the machine's limit: `python3 tools/bench_layers.py [--json F]`.

A 3x3 convolution of each shape, binary with thresholds and packed output, then the first layer of a network on 8-bit pixels, with
every kernel family of this machine; each beside ONNX Runtime's QLinearConv (u8 activations, s8 weights) of that shape, interleaved.
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

# height = width, channels in, channels out
SHAPES = ((14, 256, 256), (28, 128, 128), (56, 64, 64), (8, 64, 64), (7, 512, 512), (16, 32, 32), (32, 16, 16))
ODD_SHAPES = ((14, 100, 100), (14, 96, 96), (28, 48, 48), (28, 24, 24))
FIRST = ((32, 3, 16), (32, 3, 64), (112, 3, 64))


def layer(side: int, channels: int, out: int, pixels: bool) -> bytes:
    """A packed model of one convolution with random weights and thresholds; ``pixels``: int8 weights on u8."""
    from qnn_deploy.emit.qdm import encode
    from qnn_deploy.ir.program import Buffer, Conv, DType, Epilogue, Op, Opcode, Program, Slot, Weights, align, bits_stride
    from qnn_deploy.plan.pack import pack_lane_major, pack_pair_major

    rng = np.random.default_rng(side * out)
    taps = 9
    signs = rng.choice(np.array([-1, 1], np.int8), (out, taps, channels))
    spread = 20 if not pixels else 3000
    thresholds = rng.integers(-spread, spread, out, dtype=np.int32)
    row = 2 * align(taps * channels, 2) if pixels else taps * bits_stride(channels)
    scratch = 4 * align(row) + 16 * align(out, 32)
    source = Buffer(DType.U8 if pixels else DType.BITS, side, side, channels, 0, 0)
    result = Buffer(DType.BITS, side, side, out, 0, 1, offset=align(source.bytes))
    at = result.offset + align(result.bytes)
    constants = [pack_pair_major(signs) if pixels else pack_lane_major(signs), thresholds]
    slots = [(Slot.WEIGHTS, 0), (Slot.THRESHOLDS, 1)]
    if pixels:
        constants.append(np.full(channels, 128, np.int16))
        slots.append((Slot.ZERO, 2))
    op = Op(
        Opcode.CONV,
        "conv",
        (0,),
        1,
        Conv((3, 3), padding=(1, 1, 1, 1)),
        Epilogue.THRESHOLD,
        Weights.INT8 if pixels else Weights.BITS,
        constants=tuple(slots),
        scratch=at,
        scratch_bytes=scratch,
    )
    return encode(Program("layer", (source, result), (op,), tuple(constants), 0, 1, at + align(scratch), 0))


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
    for pixels, shapes in ((False, SHAPES + ODD_SHAPES), (True, FIRST)):
        for side, channels, out in shapes:
            shape = f"{side}x{side}x{channels}->{out}" + (" u8" if pixels else "")
            macs = 9 * side * side * channels * out
            content = layer(side, channels, out, pixels)
            subjects = [
                ({"name": shape, "runner": "host", "kernels": family}, bench.measure_qdm(runner, program, content, family))
                for family in families or target.kernels
            ]
            if peers:
                peer = bench.measure_onnx(qlinear(side, channels, out), (channels, side, side), macs)
                subjects.append(({"name": shape, "runner": "onnxruntime", "kernels": "u8s8"}, peer))
            measured = bench.interleave(subjects, runs, max(runs // 10, 3), lambda stage: None)
            other = next((1e3 * row["median_ms"] for row in measured if row["runner"] == "onnxruntime"), None)
            for row in measured:
                found = row["layers"][0] if row["layers"] else None
                line = {"shape": shape, "kernels": row["kernels"], "macs": macs, "median_us": 1e3 * row["median_ms"]}
                line |= {"p95_us": 1e3 * row["p95_ms"], "gmacs_per_s": row["gmacs_per_s"], "peer_us": other}
                if found:  # cycles by whole runs: one operator is the whole network
                    per_cycle = found["mac_per_cycle"] * found["median_us"] / line["median_us"]
                    line |= {"mac_per_cycle": per_cycle, "limit": found["limit"], "fraction": per_cycle / found["limit"]}
                rows.append(line)
                print(text(line), flush=True)
    return rows


def text(line: dict[str, Any]) -> str:
    """One row for people."""
    tail = ""
    if "fraction" in line:
        tail = f"{line['mac_per_cycle']:8.1f} MAC/cycle {line['fraction']:5.0%} of {line['limit']:.0f}"
        tail += f" {line['peer_us'] / line['median_us']:6.1f}x ORT u8s8" if line["peer_us"] else ""
    times = f"{line['median_us']:9.2f} us (p95 {line['p95_us']:9.2f})"
    return f"{line['shape']:18} {line['kernels']:7} {times} {line['gmacs_per_s']:8.1f} GMAC/s {tail}"


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
