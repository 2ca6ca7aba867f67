#!/usr/bin/env python3
"""Build every shipped model for this machine and for 64-bit Arm, and verify each artefact bit for bit: `python3 tools/demo.py`.

The digits are always there; CIFAR-10 is used where it is found (``QNN_DEPLOY_DATA`` names the folder or file), else its networks
are verified on generated inputs alone.
"""

from __future__ import annotations

import sys
import time

from environment import ROOT, enter

MODELS = ROOT / "models"
# On ONNX Runtime and with the portable kernels; under an emulator; in numpy. `qnn-deploy verify` compares more.
SLOW, EMULATED, REFERENCE = 1000, 250, 8


def main() -> int:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from qnn_deploy import api
    from qnn_deploy.errors import QnnDeployError

    console = Console(width=None if sys.stdout.isatty() else 120)
    start = time.monotonic()
    table = Table(title="artefact against trained model, bit for bit", box=box.SIMPLE, pad_edge=False)
    for name in ("model", "artefact", "runner", "kernels", "inputs"):
        table.add_column(name, no_wrap=name != "inputs")
    for name in ("images", "differing bits", "correct"):
        table.add_column(name, justify="right")
    notes: list[str] = []
    exact = True
    checkpoints = sorted(path.with_name("model.pt") for path in MODELS.glob("*/expected.json"))  # a float baseline has none
    for checkpoint in checkpoints:
        name = checkpoint.parent.name
        out = ROOT / "out" / name

        def stage(text: str, name: str = name) -> None:
            console.print(f"{time.monotonic() - start:5.0f} s  {name}: {text}", style="dim", highlight=False)

        try:
            manifest = api.build(str(checkpoint), ("host", "arm64"), out=out, progress=stage)
            report = api.verify(out, slow_limit=SLOW, emulated_limit=EMULATED, reference_limit=REFERENCE, progress=stage)
        except QnnDeployError as error:
            console.print(str(error), style="red", highlight=False, markup=False)
            exact = False
            continue
        exact = exact and report.ok
        for row in report.rows:
            if row.get("not_run"):
                table.add_row(name, row["artefact"], row["runner"], row["kernels"], f"not run: {row['not_run']}", "", "", "")
                continue
            correct = "" if row["correct"] is None else f"{row['correct']:,}"
            bits = f"[{'green' if row['differing_bits'] == 0 else 'red'}]{row['differing_bits']:,}[/]"
            table.add_row(name, row["artefact"], row["runner"], row["kernels"], row["inputs"], f"{row['images']:,}", bits, correct)
        table.add_section()
        totals, trained = manifest["totals"], report.trained
        share = f", {trained['correct']:,} of {trained['images']:,} correct" if trained["correct"] is not None else ""
        size = next(row["bytes"] for row in manifest["artefacts"] if row["kind"] == "qdm")
        proof = f"{manifest['proof']['accumulators']:,} accumulators proven" if manifest["proof"]["channels"] else "no integer thresholds"
        memory = f"{size / 1024:.1f} KiB packed, {totals['macs'] / 1e6:.1f} M MACs, {totals['arena_bytes'] / 1024:.1f} KiB RAM"
        notes.append(f"{name}: {memory}, {proof}{share}")
        notes += [f"{name}: {finding}" for finding in report.divergence]
        if trained["images"] == 0:
            notes.append(f"{name}: its data set was not found (QNN_DEPLOY_DATA); generated inputs alone")
    console.print(table)
    for note in notes:
        console.print(note, highlight=False, markup=False)
    verdict = (
        "every artefact gives the trained model's logits, bit for bit" if exact and checkpoints else "NOT bit-exact, or nothing to show"
    )
    console.print(f"{verdict} ({time.monotonic() - start:.0f} s)", style="bold")
    return 0 if exact and checkpoints else 1


if __name__ == "__main__":
    enter("torch,ort,zig")
    sys.exit(main())
