#!/usr/bin/env python3
"""Networks x precisions, each on its whole chain: `python3 tools/matrix.py [--pairs | --quick] [--network N] [--precision P] [-o FILE]`.

With ``--pairs`` every kind of weights meets every kind of activations, in two networks (docs/pairs.md).

Every cell is the number of bits that differ from torch ``eval()`` over 256 random and 64 adversarial inputs for each of its seeds (of
weights and inputs; ``--seeds`` of the numbers 0 to 2, the next cell of a row or a column beginning with the next one), summed over: the
deploy form in torch, the ONNX file on stock ONNX Runtime, the C reference kernels and each SIMD family of this machine, and the arm64
program under emulation with both of its families. A cell that is not run says why.

Resumable: all cells get their first seed, then their second; what is in the JSON already is not run again. Remove the file to start anew.
Progress goes to stderr.
"""

from __future__ import annotations

import argparse
import collections
import itertools
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

from environment import ROOT, enter

SEEDS, RANDOM, ADVERSARIAL = 3, 256, 64
Cell = dict[str, Any]


def text(result: Cell) -> str:
    """A cell in the table."""
    if "refused" in result:
        return str(result["refused"][0].split()[0])
    return str(sum(result["bits"].values()))


def joined(old: Cell, new: Cell) -> Cell:
    """A cell with the seeds of both; of their arenas the one that is further from its bound, of their refusals the first."""
    both = {**new, **old, "seeds": [*old["seeds"], *new["seeds"]]}
    if "bits" in old and "bits" in new:
        both["bits"] = {form: old["bits"].get(form, 0) + new["bits"].get(form, 0) for form in {**old["bits"], **new["bits"]}}
        both |= {key: old[key] + new[key] for key in ("inputs", "distinct")}
        worse = max(old, new, key=lambda cell: cell["arena"] / cell["lower_bound"])
        both |= {key: worse[key] for key in ("arena", "lower_bound")}
    return both


def seeds_of(done: list[Cell]) -> str:
    """How many seeds the cells have."""
    counts = collections.Counter(len(result["seeds"]) for result in done)
    if len(counts) == 1:
        return f"{next(iter(counts))} of {SEEDS} seeds in each cell"
    return " and ".join(f"{count} of {SEEDS} seeds in {cells} cells" for count, cells in sorted(counts.items(), reverse=True))


def table(cells: dict[str, dict[str, Cell]], precisions: list[str], about: dict[str, Any]) -> str:
    """The Markdown page."""
    done = [result for row in cells.values() for result in row.values()]
    lines = ["# Networks x precisions", "", f"Made by `{about['command']}` on {about['machine']}.", ""]
    lines += [
        "Each number: bits of logits that differ from torch `eval()`, summed over every form of the network: folded torch, deploy form,",
        f"ONNX on stock ONNX Runtime, C reference, C SIMD (x86), C for arm64 under emulation. {about['random']} random and "
        f"{about['adversarial']} adversarial inputs for each seed, {seeds_of(done)}; weights random, BatchNorm",
        "statistics hard (`tests/networks/zoo.py`). The JSON beside this page has every form's own number.",
        "w1: binary weights (xnor: a scale for each channel), wT: ternary (TTQ: two scales), wN: N bits; a1: signs, aT: ternary,",
        "aN: N bits, s: signed.",
        "",
        "| network | " + " | ".join(precisions) + " |",
        "|---|" + "---|" * len(precisions),
    ]
    reasons: dict[str, list[str]] = {}
    for network, row in cells.items():
        lines.append(f"| {network} | " + " | ".join(text(row[p]) if p in row else "not run" for p in precisions) + " |")
        for precision, result in row.items():
            for reason in result.get("refused", [])[:1]:
                reasons.setdefault(reason.split(": ", 1)[1], []).append(f"{network} {precision}")
    ran = [result for result in done if "bits" in result]
    refused = sum("refused" in result for result in done)
    inputs = sum(result["inputs"] * len(result["bits"]) for result in ran)
    lines += ["", f"{len(ran)} cells run, {refused} refused by name; {inputs:,} comparisons of a network's logits in all."]
    if ran:
        ratios = {
            f"{network} {precision}": result["arena"] / result["lower_bound"]
            for network, row in cells.items()
            for precision, result in row.items()
            if "bits" in result
        }
        worst = max(ratios, key=lambda name: ratios[name])
        lines += [f"Arena peak over the lower bound (the largest sum of tensors alive at one step): at most {ratios[worst]:.3f} ({worst})."]
    lines += [f"* {reason}: {', '.join(places)}" for reason, places in reasons.items()]
    return "\n".join(lines) + "\n"


def main() -> int:
    from qnn_deploy.files import write_whole
    from tests.networks.cells import cell, quick
    from tests.networks.precisions import PAIRED, PAIRS, PRECISIONS
    from tests.networks.zoo import NETWORKS

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one seed, 16 + 16 inputs, no emulation, a diagonal of the matrix; no file")
    parser.add_argument("--network", choices=NETWORKS, action="append", help="only this one; may be given several times")
    parser.add_argument("--precision", choices=PRECISIONS | PAIRS, action="append", help="only this one; may be given several times")
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"of {SEEDS} for each cell")
    parser.add_argument("--pairs", action="store_true", help=f"all pairs of weights and activations, in {' and '.join(PAIRED)}")
    parser.add_argument("-o", "--out", type=Path, help="docs/matrix.md, or docs/pairs.md")
    arguments = parser.parse_args()
    networks = arguments.network or list(PAIRED if arguments.pairs else NETWORKS)
    precisions = arguments.precision or list(PAIRS if arguments.pairs else PRECISIONS)
    if arguments.quick:
        bad = 0
        for network, precision in quick():
            result = cell(network, precision, [0], 16, 16, emulate=False)
            print(f"{network} {precision}: {text(result)} {result.get('bits', result.get('refused'))}")
            bad += sum(result.get("bits", {}).values())
        return int(bad > 0)
    out: Path = arguments.out or ROOT / "docs" / ("pairs.md" if arguments.pairs else "matrix.md")
    file = out.with_suffix(".json")
    about = {
        "command": "python3 tools/matrix.py" + " --pairs" * arguments.pairs,
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "random": RANDOM,
        "adversarial": ADVERSARIAL,
    }
    cells: dict[str, dict[str, Cell]] = json.loads(file.read_text())["cells"] if file.exists() else {}
    start = time.monotonic()
    # Along the diagonals: whatever is done when a run is interrupted has seen every network and every precision.
    count = len(precisions)
    order = [(network, precisions[(row + shift) % count]) for shift in range(count) for row, network in enumerate(networks)]
    for number, (shift, (network, precision)) in enumerate(itertools.product(range(arguments.seeds), order)):
        seed = (networks.index(network) + precisions.index(precision) + shift) % SEEDS
        row = cells.setdefault(network, {})
        if precision in row and seed in row[precision]["seeds"]:
            continue
        result = {**cell(network, precision, [seed], RANDOM, ADVERSARIAL, emulate=True), "seeds": [seed]}
        row[precision] = joined(row[precision], result) if precision in row else result
        note = f"[{number + 1}/{len(order) * arguments.seeds}] {time.monotonic() - start:.0f} s"
        print(f"{note} {network} {precision}, seed {seed}: {text(result)}", file=sys.stderr, flush=True)
        content = json.dumps({"schema_version": 1, **about, "cells": cells}, indent=1) + "\n"
        for path, data in ((file, content), (out, table(cells, precisions, about))):
            write_whole(path, data.encode())
    return int(any(sum(result.get("bits", {}).values()) for row in cells.values() for result in row.values()))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # operators this small wait for a second thread longer than they run
    enter("all")
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
