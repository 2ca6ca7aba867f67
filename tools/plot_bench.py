#!/usr/bin/env python3
"""Draw what tools/bench_layers.py and tools/bench_networks.py measured: `plot_bench.py LAYERS.json NETWORKS.json OUT.png`.

Left: multiply-accumulates per core cycle of single layers against the limit of the instruction set; right: milliseconds of whole networks.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

FAMILIES = {"avx2": "#4c72b0", "avx512": "#dd8452", "auto": "#dd8452"}
PEERS = ("#55a868", "#c44e52", "#8172b3", "#937860")


def form_of(row: dict[str, Any]) -> str:
    """Our kernel family, or which peer."""
    form = row["name"].split(" in ")[-1] if " in " in row["name"] else row["kernels"]
    return row["kernels"] if row["runner"] == "host" else f"{row['runner']} {form}"


def layers(axis: Any, rows: list[dict[str, Any]]) -> None:
    """A bar per shape and family, and the limit as a line."""
    shapes = list(dict.fromkeys(row["shape"] for row in rows))
    families = [family for family in FAMILIES if any(row["kernels"] == family for row in rows)]
    height = 0.8 / len(families)
    for number, family in enumerate(families):
        found = [row for row in rows if row["kernels"] == family]
        places = [shapes.index(row["shape"]) + height * (number - (len(families) - 1) / 2) for row in found]
        axis.barh(places, [row["mac_per_cycle"] for row in found], height, color=FAMILIES[family], label=family)
        for place, row in zip(places, found, strict=True):
            axis.plot([row["limit"]] * 2, [place - height / 2, place + height / 2], color="black", linewidth=1.5)
            axis.text(max(row["mac_per_cycle"], row["limit"]) + 2, place, f"{row['fraction']:.0%}", va="center", fontsize=8)
    axis.plot([], [], color="black", linewidth=1.5, label="limit, one output channel a look-up")
    axis.set_yticks(range(len(shapes)), shapes, fontsize=8)
    axis.invert_yaxis()
    axis.margins(x=0.12)
    axis.set_xlabel("MAC per core cycle")
    axis.set_title("3x3 convolutions, thresholded and packed")
    axis.legend(frameon=False, loc="lower right")


def networks(axis: Any, rows: list[dict[str, Any]]) -> None:
    """A bar per network and form, logarithmic."""
    names = list(dict.fromkeys(row["network"] for row in rows))
    forms = list(dict.fromkeys(form_of(row) for row in rows))
    height = 0.8 / len(forms)
    peers = iter(PEERS)
    for number, form in enumerate(forms):
        found = [row for row in rows if form_of(row) == form]
        places = [names.index(row["network"]) + height * (number - (len(forms) - 1) / 2) for row in found]
        axis.barh(places, [row["fastest_ms"] for row in found], height, color=FAMILIES.get(form) or next(peers), label=form)
        for place, row in zip(places, found, strict=True):
            axis.text(row["fastest_ms"] * 1.05, place, f"{row['fastest_ms']:.3g}", va="center", fontsize=8)
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis()
    axis.set_xscale("log")
    axis.margins(x=0.15)
    axis.set_xlabel("ms, fastest run, one thread")
    axis.set_title("whole networks")
    axis.legend(frameon=False, fontsize=8)


def main() -> int:
    single, whole = (json.loads(Path(name).read_text())["rows"] for name in sys.argv[1:3])
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 7.5))
    layers(left, [row for row in single if row["kernels"] in FAMILIES])
    networks(right, [row for row in whole if row["threads"] == 1])
    figure.tight_layout()
    figure.savefig(sys.argv[3], dpi=110)
    return 0


if __name__ == "__main__":
    sys.exit(main())
