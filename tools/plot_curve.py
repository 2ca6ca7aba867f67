#!/usr/bin/env python3
"""Draw the training curve of one or more runs: `tools/plot_curve.py RUN [RUN ...] [-o curve.png]`; a RUN is a folder or a metrics.csv."""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

from matplotlib.figure import Figure


def read(run: Path) -> list[dict[str, str]]:
    """The rows of a run's ``metrics.csv``."""
    path = run / "metrics.csv" if run.is_dir() else run
    try:
        with path.open(newline="") as stream:
            rows = list(csv.DictReader(stream))
    except OSError as error:
        sys.exit(f"{path}: {error.strerror}")
    if not rows or not {"epoch", "loss", "test_accuracy"} <= rows[0].keys():
        sys.exit(f"{path}: no metrics of a training run")
    return rows


def draw(runs: list[Path], out: Path) -> None:
    """Loss above, accuracies below, one colour for each run."""
    figure = Figure(figsize=(8, 6), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True)
    for index, run in enumerate(runs):
        rows, colour = read(run), f"C{index}"
        epochs = [int(row["epoch"]) for row in rows]
        name = run.resolve().name if run.is_dir() else run.resolve().parent.name
        top.plot(epochs, [float(row["loss"]) for row in rows], color=colour, label=name)
        bottom.plot(epochs, [100 * float(row["test_accuracy"]) for row in rows], color=colour, label=f"{name}, test")
        if rows[0].get("train_accuracy"):
            bottom.plot(epochs, [100 * float(row["train_accuracy"]) for row in rows], "--", color=colour, label=f"{name}, train")
    top.set_ylabel("loss")
    bottom.set_ylabel("accuracy, %")
    bottom.set_xlabel("epoch")
    for axes in (top, bottom):
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(out, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("-o", "--out", type=Path, default=Path("curve.png"))
    arguments = parser.parse_args()
    draw(arguments.runs, arguments.out)
    print(arguments.out)


if __name__ == "__main__":
    main()
