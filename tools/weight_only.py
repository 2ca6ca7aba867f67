#!/usr/bin/env python3
"""Weight-only networks, with float activations, deployed with integer ones: `tools/weight_only.py [NAME ...]`.

A shipped ResNet-20 of quantised weights and int8 activations becomes a weight-only one: its activation quantisers go, and their scales
into the layers' own. It is built with `--calibrate`, and verified on every test image; the table counts the predictions that differ
from torch's. CIFAR-10 is looked for in `QNN_DEPLOY_DATA`. Exit 1 where int16 changes more than 5 of 10,000, or two artefacts differ.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from environment import ROOT, enter

NAMES = ("cifar10-resnet20-ttq", "cifar10-resnet20-xnor")
MOST_CHANGED = {"int16": 5 / 10_000}


def weight_only(checkpoint: Path, out: Path) -> None:
    """Write the network of ``checkpoint`` to ``out``, without the roundings of its activations."""
    from qnn_deploy.nn.architectures import ARCHITECTURES
    from qnn_deploy.nn.checkpoint import load, save
    from qnn_deploy.nn.layers import GlobalSumPool2d, QuantLayer
    from qnn_deploy.nn.quantizers.activation import IntActivation

    model, info = load(checkpoint)
    arguments = {**info.arguments, "activations": "float"}
    result = ARCHITECTURES[info.architecture](**arguments)
    modules = dict(result.named_modules())
    rest = dict(model.state_dict())
    unit = 1.0  # what the integer 1 stands for, in front of the layer at hand
    for name, module in model.named_modules():
        if isinstance(module, IntActivation):
            # The classifier's integers stand for sums of the features' integers; the other network has means.
            unit = float(module.scale) * (unit / 64 if name == "pooled" else 1.0)
            del rest[f"{name}.scale"]
        elif isinstance(module, QuantLayer):
            integers, scale = rest.pop(f"{name}.weight_int"), rest.pop(f"{name}.weight_scale")
            modules[name].set_folded(integers, scale / unit)
        else:
            assert not isinstance(module, GlobalSumPool2d) or name == "pool", name
    result.load_state_dict(rest, strict=False)
    save(out, result, info.architecture, arguments, {"made_from": checkpoint.parent.name})


def row(name: str, activations: str, limit: int | None, folder: Path) -> dict[str, Any]:
    """Build and verify ``name`` with ``activations``."""
    from qnn_deploy import api

    source = folder / f"{name}.pt"
    weight_only(ROOT / "models" / name / "model.pt", source)
    out = folder / f"{name}-{activations}"
    api.build(str(source), out=out, calibrate="cifar10", activations=activations)
    report = api.verify(out, data="cifar10", limit=limit, slow_limit=200, progress=lambda stage: print(f"  {stage}", file=sys.stderr))
    trained = report.trained
    changed = [change["margin"] for change in trained["changed"] if change["inputs"] != "generated"]
    best = max((each for each in report.rows if not each.get("not_run") and each["correct"] is not None), key=lambda each: each["images"])
    return {
        "network": name.removeprefix("cifar10-"),
        "activations": activations,
        "images": trained["images"],
        "torch": trained["correct"],
        "artefact": best["correct"],
        "changed": len(changed),
        "margin": max(changed, default=0.0),
        "equal": report.ok,
    }


def main() -> int:
    from qnn_deploy.evaluate.report import columns

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", default=NAMES)
    parser.add_argument("--activations", nargs="+", default=("int16", "int8"))
    parser.add_argument("--limit", type=int, help="so many test images")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = [row(name, each, arguments.limit, Path(folder)) for name in arguments.names for each in arguments.activations]
    header = ["network", "activations", "images", "torch correct", "artefacts", "changed", "largest margin", "artefacts equal"]
    cells = [
        [
            *(each[key] for key in ("network", "activations")),
            *(f"{each[key]:,}" for key in ("images", "torch", "artefact", "changed")),
            f"{each['margin']:.2f}",
            "yes" if each["equal"] else "NO",
        ]
        for each in rows
    ]
    print(columns(cells, header, (0, 1)))
    return int(any(not each["equal"] or each["changed"] > MOST_CHANGED.get(each["activations"], 1) * each["images"] for each in rows))


if __name__ == "__main__":
    enter("torch,ort,zig")
    sys.exit(main())
