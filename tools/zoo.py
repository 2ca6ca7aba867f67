#!/usr/bin/env python3
"""Evaluate every checkpoint in `models/` on all test images, beside the float baseline of its data: `tools/zoo.py [--json] [NAME ...]`.

CIFAR-10 is looked for in `QNN_DEPLOY_DATA`. Exit 1 where a checkpoint gives another count than its `expected.json`.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from environment import ROOT, enter

MODELS = ROOT / "models"
BASELINES = {"cifar10": "cifar10-resnet20-fp32"}


def row(name: str) -> dict[str, Any]:
    """What the checkpoint ``name`` gives, and what it is packed into; ``expected`` is None for a baseline, which is not deployed."""
    from qnn_deploy import api
    from qnn_deploy.train.recipe import read_recipe

    folder = MODELS / name
    recipe = read_recipe(folder / "recipe.toml")
    found = api.evaluate(str(folder / "model.pt"), data=recipe.data)
    described = folder / "expected.json"
    expected = json.loads(described.read_text()) if described.exists() else {}
    return {
        "model": name,
        "data": found["data"],
        "images": found["images"],
        "correct": found["correct"],
        "expected": expected.get("correct"),
        "epochs": sum(read_recipe(path).epochs for path in folder.glob("*.toml")),  # of every stage
        "baseline": BASELINES.get(recipe.data),
        "qdm_bytes": expected.get("qdm_bytes"),
    }


def main() -> int:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    names = sorted(path.parent.name for path in MODELS.glob("*/model.pt"))
    if foreign := sorted(set(arguments.names) - set(names)):
        parser.error(f"no checkpoint of {', '.join(foreign)}; there are: {', '.join(names)}")
    wanted = {*arguments.names, *BASELINES.values()} if arguments.names else {*names}
    rows = []
    for name in sorted(wanted & {*names}):
        print(f"{name} ...", file=sys.stderr)
        rows.append(row(name))
    top1 = {each["model"]: 100 * each["correct"] / each["images"] for each in rows}
    table = Table(box=box.SIMPLE, pad_edge=False)
    for title in ("model", "correct", "images", "top-1, %", "points below float", "epochs", "packed, bytes"):
        table.add_column(title, justify="left" if title == "model" else "right", no_wrap=True)
    for each in rows:
        base = each["baseline"]
        below = f"{top1[base] - top1[each['model']]:.2f}" if base in top1 and base != each["model"] else ""
        packed = f"{each['qdm_bytes']:,}" if each["qdm_bytes"] else ""
        counts = (f"{each['correct']:,}", f"{each['images']:,}", f"{top1[each['model']]:.2f}")
        table.add_row(each["model"], *counts, below, str(each["epochs"]), packed)
    if arguments.json:
        print(json.dumps({"schema_version": 1, "rows": rows}, indent=2))
    else:
        Console(width=None if sys.stdout.isatty() else 120).print(table)
        print("; ".join(sorted({each["data"] for each in rows})))
    wrong = [each["model"] for each in rows if each["expected"] not in (None, each["correct"])]
    for name in wrong:
        print(f"{name}: not the count of its expected.json", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    enter("torch,ort,zig")
    sys.exit(main())
