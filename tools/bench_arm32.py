#!/usr/bin/env python3
"""Speed on 32-bit Arm without Arm hardware: `python3 tools/bench_arm32.py [--targets armv7,cortex-m4,cortex-m7] [--only L] [--json F]`.

A 3x3 convolution of each shape with padding 1, thresholds and packed output: executed instructions under qemu-arm, and cycles modelled by
llvm-mca (`tools/arm/model.py` says what that needs and what it is blind to: a microcontroller's flash too). Multiply-accumulates outside
the map are counted, as peers count them. The microcontrollers' rows run the library that `build` makes for them, in a program of Linux that
is compiled to Thumb as they are; armv7 is modelled as a Cortex-A72, and on a Cortex-R52 where the Cortex-A53 is meant: LLVM has no model of
an A53 with 32-bit code, and the R52 keeps its order and does one operation of 128 bits a cycle, as the A53 does.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from arm.model import Instrument, Machine
from bench_arm import profile
from environment import enter
from one_layer import layer

A32 = Machine("qemu-arm", "armv7-linux-gnueabihf", "+neon,+vfp4,+hwdiv-arm", {"a72": "cortex-a72", "r52": "cortex-r52"})
# A call on the M4: 1 + P, P = 1 to 3 (its manual).
M4 = Machine("qemu-arm", "thumbv7em-none-eabihf", "", {"m4": "cortex-m4"}, call=4)
M7 = Machine("qemu-arm", "thumbv7em-none-eabihf", "", {"m7": "cortex-m7"}, call=4)
REPEATS = 2
TARGETS = {"armv7": A32, "cortex-m4": M4, "cortex-m7": M7}
BITS, WORDS, FIRST = "bits x bits", "i8 x int8", "u8 x bits"
SIGNS, DIGITS, TRITS, MASKED = "i8 x bits", "i8 x trits", "trits x trits", "bits x trits"
LAYERS = (
    *((BITS, *shape) for shape in ((14, 256, 256), (28, 128, 128), (56, 64, 64), (8, 64, 64), (16, 32, 32), (32, 16, 16))),
    *((kind, *shape) for kind in (MASKED, TRITS) for shape in ((14, 256, 256), (8, 64, 64))),
    *((kind, *shape) for kind in (WORDS, SIGNS, DIGITS) for shape in ((8, 64, 64), (16, 16, 16))),
    (FIRST, 32, 3, 16),
)
# Multiply-accumulates per cycle that the instruction set allows, and the goal (issue "Speed"), by core. Bits: xor, count, add for 128
# products, two pipes or one; full adders on words, 58 instructions for 256. int8: SMLAD, or VMLAL for four. u8: xor and VPADAL for 16.
# Signs on 8 bits: USADA8 for four, digits two of them. Ternary: 7 operations where bits take 3, 4 for maps of bits; words: 124, 84.
KINDS = (BITS, MASKED, TRITS, WORDS, FIRST, SIGNS, DIGITS)
LIMITS = {
    "a72": dict(zip(KINDS, (85.3, 64.0, 36.6, 8.0, 16.0, 8.0, 8.0), strict=True)),
    "r52": dict(zip(KINDS, (42.7, 32.0, 18.3, 4.0, 8.0, 4.0, 4.0), strict=True)),
    "m4": dict(zip(KINDS, (4.4, 3.0, 2.1, 2.0, 4.0, 4.0, 2.0), strict=True)),
    "m7": dict(zip(KINDS, (8.8, 6.0, 4.2, 2.0, 4.0, 4.0, 2.0), strict=True)),
}
_BYTES = dict.fromkeys((WORDS, FIRST, SIGNS, DIGITS), 0.8)
GOALS: dict[str, dict[str, float]] = {"m4": {BITS: 3.3, **_BYTES}, "m7": {BITS: 5.5, **_BYTES}}


def build(name: str, folder: Path) -> Path:
    """``qd_bench`` with its symbols for target ``name``; for a microcontroller around its very library."""
    from qnn_deploy.targets import find_target
    from qnn_deploy.toolchain.compiler import BARE, FLAGS, OBJECT, build_program, find_compiler, runtime_folder, sources

    root, target, linux = runtime_folder(), find_target(name), find_target("armv7")
    program, triple = folder / "qd_bench", linux.triple
    files, flags = sources(root, "qd_bench"), list(FLAGS)
    if target.bare:
        files = [*(file for file in files if not file.startswith("src/")), str(build_program(OBJECT, target))]
        flags += [flag for flag in BARE if flag.startswith("-D")]
        triple = "thumb" + triple.removeprefix("arm")
    command = [*find_compiler().command, *flags, "-target", triple, f"-mcpu={linux.mcpu}", "-static", "-Iinclude", "-Isrc"]
    subprocess.run([*command, "-o", str(program), *files, "-lm", "-pthread"], cwd=root, check=True)
    return program


def measure(name: str, only: str) -> list[dict[str, Any]]:
    """A row per layer and kernel family of target ``name``: instructions, and cycles, MAC/cycle, limit and goal by core."""
    from qnn_deploy.targets import find_target

    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        program, instrument, model = build(name, folder), Instrument(folder, TARGETS[name]), folder / "layer.qdm"
        for kind, side, channels, out in LAYERS:
            shape, macs = f"{side}x{side}x{channels}->{out}", 9 * side * side * channels * out
            if only not in f"{kind} {shape}":
                continue
            model.write_bytes(layer(kind, side, channels, out))
            for family in ("auto", "ref") if find_target(name).bare else ("auto", "arm32"):
                run = [str(program), str(model), "--kernels", family, "--warmup", "0", "--runs"]
                # A repetition is a run as a whole and one operator by operator.
                costs = instrument.difference([*run, "1"], [*run, str(1 + REPEATS)], 2 * REPEATS, "max")
                row: dict[str, Any] = {"target": name, "kind": kind, "shape": shape, "kernels": family, "macs": macs, "cores": {}}
                row["instructions"] = round(sum(cost.instructions for cost in costs))
                for core in TARGETS[name].cores:
                    cycles, limit, goal = sum(cost.cycles[core] for cost in costs), LIMITS[core][kind], GOALS.get(core, {}).get(kind)
                    speed = macs / cycles
                    found = {"cycles": round(cycles), "mac_per_cycle": round(speed, 4), "fraction": round(speed / limit, 4)}
                    row["cores"][core] = {**found, "limit": limit, "goal": goal, "functions": profile(costs, core)}
                rows.append(row)
                print(text(row), flush=True)
    return rows


def text(row: dict[str, Any]) -> str:
    cells = []
    for core, found in row["cores"].items():
        goal = found["goal"]
        mark = "" if goal is None else f" (goal {goal}{'' if found['mac_per_cycle'] >= goal else ', short'})"
        cells.append(f"{core} {found['mac_per_cycle']:6.2f} MAC/cycle {found['fraction']:4.0%}{mark}")
    instructions = f"{row['instructions']:11,} instructions, {row['macs'] / row['instructions']:6.2f} MAC each"
    return f"{row['target']:9} {row['kind']:11} {row['shape']:15} {row['kernels']:5} {instructions}  " + "  ".join(cells)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", default=",".join(TARGETS), help="comma-separated")
    parser.add_argument("--only", default="", help="layers whose name contains this, such as 'bits x bits'")
    parser.add_argument("--profile", action="store_true", help="print the functions of each row")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = [row for name in options.targets.split(",") for row in measure(name, options.only)]
    if options.profile:
        for row in rows:
            for core, found in row["cores"].items():
                parts = (f"{symbol} {part:.1%}" for symbol, part in found["functions"].items())
                print(row["target"], row["kind"], row["shape"], row["kernels"], core, *parts)
    if options.json:
        options.json.write_text(json.dumps({"schema_version": 1, "layers": rows}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    if importlib.util.find_spec("qnn_deploy") is None:
        enter("zig")
    sys.exit(main())
