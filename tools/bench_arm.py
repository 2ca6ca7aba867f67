#!/usr/bin/env python3
"""Speed on Arm without Arm hardware: `python3 tools/bench_arm.py [--cc CC] [--networks MODEL.qdm,...] [--json F]`.

Single layers, then whole networks: executed instructions under qemu, and cycles modelled by llvm-mca on Cortex-A72, A76 and A53
(`tools/arm/model.py` says what that needs and what it is blind to). A 3x3 convolution of each shape with padding 1, thresholds and packed
output; multiply-accumulates outside the map are counted, as peers count them. A76: the kernels that a core with dot products gets.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from arm.model import CORES, Cost, Instrument
from environment import ROOT, enter
from one_layer import LAYERS, layer

# Multiply-accumulates per cycle that the instruction set allows on A72, A76, A53, and what of it is the goal (issue "Speed").
# bits: xor, count, add for 128 products, two pipes of 128 bits (A53: one). One operand ternary: one AND more. Both: seven operations,
# on the A76 six with selects. u8: exclusive or and pairwise addition, with a mask for ternary weights; dot products on the A76.
KINDS: dict[str, tuple[tuple[float, float, float], tuple[int, int]]] = {
    "bits x bits": ((85.3, 85.3, 42.7), (92, 75)),
    "bits x trits": ((64.0, 64.0, 32.0), (88, 70)),
    "trits x bits": ((64.0, 64.0, 32.0), (88, 70)),
    "trits x trits": ((36.6, 42.7, 18.3), (85, 70)),
    "u8 x bits": ((16.0, 32.0, 8.0), (80, 60)),
    "u8 x trits": ((10.7, 32.0, 5.3), (80, 60)),
}
# The clocks of Raspberry Pi 4, 5 and 3.
GIGAHERTZ = {"a72": 1.5, "a76": 2.4, "a53": 1.2}
# Functions that are no part of convolutions, whole networks' overhead.
BESIDE = ("qd_run_sign", "qd_sign", "pool", "qd_run_quantize", "qd_quantize", "concat", "qd_run_stream")
ZIG = f"{shlex.quote(sys.executable)} -m ziglang cc -target aarch64-linux-musl -mcpu=generic"
REPEATS = 10


def goal_of(kind: str, channels: int) -> tuple[int, int]:
    """Per cent of the limit that is the goal on A72 and A76, and on A53."""
    if kind != "bits x bits" or channels >= 128:
        return KINDS[kind][1]
    return (85, 60) if channels >= 64 else (60, 40)


def build(cc: str) -> Path:
    """``qd_bench`` with its symbols, compiled with the command ``cc``; from the cache where the same sources were before."""
    from qnn_deploy.cache import cache_folder
    from qnn_deploy.files import move
    from qnn_deploy.toolchain.compiler import FLAGS, runtime_folder, sources, sources_key

    root = runtime_folder()
    # What gcc does not know, only zig needs.
    flags = [flag for flag in FLAGS if "zig" in cc or not flag.startswith("-fno-sanitize")]
    key = hashlib.sha256("\0".join([sources_key(root), cc, *flags]).encode()).hexdigest()[:24]
    made = cache_folder("bin") / f"bench_arm-{key}"
    if not made.exists():
        with tempfile.TemporaryDirectory(dir=made.parent, prefix=".tmp-") as folder:
            out = Path(folder) / "qd_bench"
            command = [*shlex.split(cc), *flags, "-static", "-Iinclude", "-Isrc", "-o", str(out), *sources(root, "qd_bench")]
            subprocess.run([*command, "-lm", "-pthread"], cwd=root, check=True)
            move(out, made)
    return made


def measure(instrument: Instrument, program: Path, model: Path, core: str) -> list[Cost]:
    """Costs by function of one inference, as a processor like ``core`` would choose its kernels."""
    cpu = "max" if core == "a76" else "cortex-a72"
    runs = [[str(program), str(model), "--kernels", "auto", "--warmup", "0", "--runs", str(n)] for n in (1, 1 + REPEATS)]
    # A repetition is a run as a whole and one operator by operator.
    return instrument.difference(runs[0], runs[1], 2 * REPEATS, cpu)


def layers(instrument: Instrument, program: Path, folder: Path, only: str) -> list[dict[str, Any]]:
    """A row per layer: instructions, cycles, MAC/cycle, limit and goal by core."""
    rows = []
    for kind, side, channels, out in LAYERS:
        name = f"{side}x{side}x{channels}->{out}"
        if only not in f"{kind} {name}":
            continue
        model, macs = folder / "layer.qdm", 9 * side * side * channels * out
        model.write_bytes(layer(kind, side, channels, out))
        row: dict[str, Any] = {"kind": kind, "shape": name, "macs": macs, "cores": {}}
        found = {cpu: measure(instrument, program, model, cpu) for cpu in ("a72", "a76")}
        for i, core in enumerate(CORES):
            costs = found["a76" if core == "a76" else "a72"]
            cycles, limit = sum(cost.cycles[core] for cost in costs), KINDS[kind][0][i]
            goal = goal_of(kind, channels)[1 if core == "a53" else 0]
            row["cores"][core] = {
                "instructions": round(sum(cost.instructions for cost in costs)),
                "cycles": round(cycles),
                "mac_per_cycle": macs / cycles,
                "limit": limit,
                "fraction": macs / cycles / limit,
                "goal": goal / 100,
                "functions": profile(costs, core),
            }
        rows.append(row)
        print(layer_text(row), flush=True)
    return rows


def profile(costs: Sequence[Cost], core: str) -> dict[str, float]:
    """Part of the cycles of each function that takes more than a hundredth."""
    total = sum(cost.cycles[core] for cost in costs)
    parts = {cost.symbol: cost.cycles[core] / total for cost in costs if cost.cycles[core] > total / 100}
    return dict(sorted(parts.items(), key=lambda part: -part[1]))


def layer_text(row: dict[str, Any]) -> str:
    cells = []
    for core, found in row["cores"].items():
        mark = " " if found["fraction"] >= found["goal"] else "*"
        cells.append(f"{core} {found['mac_per_cycle']:6.1f} {found['fraction']:4.0%}{mark}(goal {found['goal']:.0%})")
    return f"{row['kind']:13} {row['shape']:16} {row['cores']['a72']['instructions']:10,} instructions  " + "  ".join(cells)


def networks(instrument: Instrument, program: Path, models: Sequence[Path]) -> list[dict[str, Any]]:
    """A row per packed model: milliseconds at the boards' clocks, and the part of the cycles beside convolutions."""
    rows = []
    for model in models:
        row: dict[str, Any] = {"network": model.parent.name if model.name == "model.qdm" else model.stem, "cores": {}}
        found = {cpu: measure(instrument, program, model, cpu) for cpu in ("a72", "a76")}
        for core in CORES:
            costs = found["a76" if core == "a76" else "a72"]
            cycles = sum(cost.cycles[core] for cost in costs)
            beside = sum(cost.cycles[core] for cost in costs if any(part in cost.symbol for part in BESIDE))
            row["cores"][core] = {
                "instructions": round(sum(cost.instructions for cost in costs)),
                "cycles": round(cycles),
                "ms": cycles / GIGAHERTZ[core] / 1e6,
                "beside": beside / cycles,
                "functions": profile(costs, core),
            }
        rows.append(row)
        cells = [f"{core} {found['ms']:8.3f} ms, {found['beside']:4.1%} beside" for core, found in row["cores"].items()]
        print(f"{row['network']:28} {row['cores']['a72']['instructions']:12,} instructions  " + "  ".join(cells), flush=True)
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cc", default=ZIG, help="cross compiler and flags; default: zig cc, as builds use it")
    parser.add_argument("--only", default="", help="layers whose name contains this, such as 'bits x bits'")
    parser.add_argument("--networks", default="", help="packed models, comma-separated")
    parser.add_argument("--no-layers", action="store_true")
    parser.add_argument("--profile", action="store_true", help="print the functions of each row")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program, instrument = build(options.cc), Instrument(folder)
        result: dict[str, Any] = {"schema_version": 1, "compiler": options.cc.replace(sys.executable, "python3").replace(str(ROOT), ".")}
        result["layers"] = [] if options.no_layers else layers(instrument, program, folder, options.only)
        result["networks"] = networks(instrument, program, [Path(path) for path in filter(None, options.networks.split(","))])
    if options.profile:
        for row in result["layers"] + result["networks"]:
            for core, found in row["cores"].items():
                print(row.get("network") or f"{row['kind']} {row['shape']}", core, *(f"{k} {v:.1%}" for k, v in found["functions"].items()))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    if importlib.util.find_spec("qnn_deploy") is None:
        enter("zig")
    sys.exit(main())
