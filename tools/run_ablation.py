#!/usr/bin/env python3
"""The ablations of `tools/ablation/*.toml`, one after the other: `python3 tools/run_ablation.py [--small] [--seed N]... [-o DIR]`.

Each is a `qnn-deploy sweep`, resumable. `--small` is for a computer without an accelerator: `SMALL` over every recipe. Prints the tables
of docs/ablation.md, and writes the results of all trials (docs/ablation.csv) and their plot (docs/ablation.png); `--report` does only this.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from environment import ROOT, enter

ABLATIONS = {
    "baseline": "Full precision",
    "estimators": "Gradient estimators",
    "clipping": "Clipping of latent weights",
    "normalisation": "Normalisation",
    "ana": "Additive noise annealing",
    "alpha": "Alpha-blending",
    "thresholds": "Learned and fixed thresholds",
}
SMALL = (
    "data=tools.ablation.small:cifar10",
    "crop=2",
    "logit_scale=1.0",
    "precision=bfloat16",
    "compile=false",
    "threads=1",
    "arguments.size=16",
    "arguments.channels=[8,16,32]",
    "arguments.activations=float",
    "arguments.first=float",
    "arguments.last=float",
)
"""ResNet-20 of half the width on 16,667 images of 16x16 (`tools/ablation/small.py`). Weights alone are quantised, as in the paper."""
METHOD = "arguments.weights.name"
COLUMNS = ("test_accuracy", "train_accuracy", "flip_ratio")


def short(value: str) -> str:
    """A setting's value for people: of schedules what differs between them."""
    if not value.startswith("[{"):
        return value
    (schedule,) = json.loads(value)
    return ", ".join(f"{schedule[key]:g}" if key == "end" else schedule[key] for key in ("ramp", "order", "end") if key in schedule)


def read(path: Path) -> list[dict[str, str]]:
    """Rows of a sweep's results.csv: method, what else the trial sets, seed, metrics."""
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    found = []
    for row in rows:
        settings = {key: value for key, value in list(row.items())[1 : list(row).index("seed")] if value}
        method = settings.pop(METHOD, None) or settings.pop("arguments.weights", "")
        if "arguments.weights.inner" in settings:
            method += f" of {settings.pop('arguments.weights.inner')}"
        settings.pop("arguments.weights.estimator.gain", None)
        names = {key: key.removeprefix("arguments.").removeprefix("weights.") for key in settings}
        label = ", ".join(f"{names[key]} {short(value)}" for key, value in settings.items())
        label = label.replace("estimator.name ", "").replace("schedules ", "")
        metrics = {key: row[key] for key in ("seed", "status", *COLUMNS, "loss", "seconds")}
        found.append({"method": method, "setting": label or "-", **metrics})
    return found


def means(rows: list[dict[str, str]]) -> dict[tuple[str, str], list[float]]:
    """Mean of each column over the seeds of every setting whose trials came to an end, best first."""
    groups: dict[tuple[str, str], list[dict[str, str]]] = defaultdict(list)
    for row in rows:
        if row["status"] == "done":
            groups[row["method"], row["setting"]].append(row)
    value = {key: [sum(float(row[column] or "nan") for row in group) / len(group) for column in COLUMNS] for key, group in groups.items()}
    return dict(sorted(value.items(), key=lambda item: (item[0][0], -item[1][0])))


def tables(results: dict[str, list[dict[str, str]]]) -> str:
    """Markdown."""
    lines = []
    for name, rows in results.items():
        failed = [f"{row['method']} {row['setting']}" for row in rows if row["status"] != "done"]
        lines += ["", f"## {ABLATIONS[name]}", "", "| weights | setting | test | train | flips, last epoch |", "|---|---|---|---|---|"]
        for (method, setting), (test, train, flips) in means(rows).items():
            lines.append(f"| {method} | {setting} | {test:.1%} | {train:.1%} | {'-' if flips != flips else f'{flips:.2%}'} |")
        lines += ["", f"Failed: {', '.join(failed)}."] if failed else []
    return "\n".join(lines) + "\n"


def plot(path: Path, results: dict[str, list[dict[str, str]]]) -> None:
    """Test accuracy of every trial, a panel for each ablation, a colour for each method."""
    from qnn_deploy.train.sweep.results import import_figure

    counts = {name: len(means(rows)) for name, rows in results.items()}
    figure = import_figure()(figsize=(9, 1.5 + 0.24 * sum(counts.values())), layout="constrained")
    panels = figure.subplots(len(counts), sharex=True, height_ratios=[count + 1 for count in counts.values()], squeeze=False)[:, 0]
    for axes, (name, rows) in zip(panels, results.items(), strict=True):
        order = list(means(rows))[::-1]
        methods = sorted({method for method, _ in order})
        for row in rows:
            if row["status"] == "done":
                place, colour = order.index((row["method"], row["setting"])), f"C{methods.index(row['method'])}"
                axes.plot(100 * float(row["test_accuracy"]), place, "o", color=colour, alpha=0.7)
        axes.set_yticks(range(len(order)), [f"{method}  {setting}" for method, setting in order], fontsize=8)
        axes.set_title(ABLATIONS[name], fontsize=10, loc="left")
        axes.grid(axis="x", alpha=0.3)
    panels[-1].set_xlabel("test accuracy, %")
    figure.savefig(path, dpi=100)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="16,667 images of 16x16 and half the width")
    parser.add_argument("--seed", action="append", default=[], metavar="N", help="not 0, 1, 2; may be given several times")
    parser.add_argument("--only", action="append", default=[], choices=ABLATIONS, help="this ablation; may be given several times")
    parser.add_argument("--report", action="store_true", help="train nothing: tables and plot of what there is")
    parser.add_argument("-o", "--out", type=Path, default=ROOT / "runs" / "ablation", help="folder for a folder of each sweep")
    options = parser.parse_args()
    settings = [word for value in SMALL if options.small for word in ("--set", value)] + [w for n in options.seed for w in ("--seed", n)]
    status = 0
    for name in options.only or ABLATIONS:
        if not options.report:
            sweep = ["-m", "qnn_deploy", "sweep", f"tools/ablation/{name}.toml", "-o", str(options.out.resolve() / name), *settings]
            status |= subprocess.run([sys.executable, *sweep], cwd=ROOT, check=False).returncode
    results = {name: read(path) for name in ABLATIONS if (path := options.out / name / "results.csv").is_file()}
    if results:
        with (ROOT / "docs" / "ablation.csv").open("w", newline="") as stream:
            writer = csv.DictWriter(stream, ["ablation", *next(iter(results.values()))[0]], lineterminator="\n")
            writer.writeheader()
            writer.writerows({"ablation": name, **row} for name, rows in results.items() for row in rows)
        plot(ROOT / "docs" / "ablation.png", results)
        print(tables(results))
    return status


if __name__ == "__main__":
    enter("all")
    raise SystemExit(main())
