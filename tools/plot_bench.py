#!/usr/bin/env python3
"""Draw the JSON of tools/bench_layers.py: MAC per core cycle against the machine's limit: `plot_bench.py docs/benchmarks.json OUT.png`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

COLOURS = {"avx2": "#4c72b0", "avx512": "#dd8452"}


def main() -> int:
    source, target = map(Path, sys.argv[1:3])
    rows = [row for row in json.loads(source.read_text())["rows"] if row["kernels"] in COLOURS]
    shapes = list(dict.fromkeys(row["shape"] for row in rows))
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 5.2), sharey=True)
    for offset, (family, colour) in zip((-0.2, 0.2), COLOURS.items(), strict=True):
        found = {row["shape"]: row for row in rows if row["kernels"] == family}
        places = [shapes.index(shape) + offset for shape in found]
        left.barh(places, [100 * row["fraction"] for row in found.values()], 0.4, color=colour, label=family)
        right.barh(places, [row["peer_us"] / row["median_us"] for row in found.values()], 0.4, color=colour, label=family)
    left.set_yticks(range(len(shapes)), shapes)
    left.invert_yaxis()
    left.set_xlim(0, 100)
    left.set_xlabel("share of the instruction set's limit, %")
    right.set_xlabel("times the speed of ONNX Runtime QLinearConv, u8 by s8")
    right.axvline(1, color="black", linewidth=0.8)
    left.legend(frameon=False)
    figure.suptitle("3x3 convolutions, thresholded and packed, one thread")
    figure.tight_layout()
    figure.savefig(target, dpi=110)
    return 0


if __name__ == "__main__":
    sys.exit(main())
