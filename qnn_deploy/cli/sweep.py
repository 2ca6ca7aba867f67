"""``qnn-deploy sweep``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from qnn_deploy.cli._console import json_option, note, show, show_json
from qnn_deploy.errors import Exit


@click.command("sweep")
@click.argument("file", metavar="SWEEP.toml")
@click.option("-o", "--out", required=True, type=click.Path(), help="Directory for a folder of each trial, results.csv and results.png.")
@click.option("--set", "overrides", metavar="KEY=VALUE", multiple=True, help="Over the file's [set]; may be given several times.")
@click.option("--seed", "seeds", type=int, multiple=True, help="Instead of the file's seeds; may be given several times.")
@click.option("--address", metavar="A", help='A running Ray cluster that sees DIR ("auto" or host:port). Default: this machine.')
@json_option
def command(file: str, out: str, overrides: tuple[str, ...], seeds: tuple[int, ...], address: str | None, as_json: bool) -> int:
    """Train every trial of SWEEP.toml, the finished ones left out, and compare them. Exit 1 where a trial failed."""
    from qnn_deploy import api

    value = api.sweep(file, out, overrides=overrides, seeds=seeds, address=address, report=_report)
    if as_json:
        show_json(value)
    else:
        show(_table(value["rows"]))
        note(f"{out}/results.csv, {out}/results.png")
    return Exit.NO if any(row["status"] != "done" for row in value["rows"]) else Exit.OK


def _report(row: dict[str, Any], done: int, total: int) -> None:
    result = row["error"] if row["test_accuracy"] is None else f"test {row['test_accuracy']:.2%}"
    note(f"{done}/{total}  {row['trial']}  {result}")


def _table(rows: Sequence[dict[str, Any]]) -> str:
    """Aligned columns: what the trials set, and what came of it."""
    behind = ("status", "test_accuracy", "train_accuracy", "loss", "seconds")
    settings = list(dict.fromkeys(key for row in rows for key in list(row)[1 : list(row).index("status")]))
    lines = [[key.rpartition(".")[2] for key in settings] + [key.replace("_", " ") for key in behind]]
    for row in rows:
        shares = ["" if row[key] is None else f"{row[key]:.2%}" for key in behind[1:3]]
        rest = ["" if row[key] is None else f"{row[key]:g}" for key in behind[3:]]
        lines.append([str(row.get(key, "")) for key in settings] + [row["status"], *shares, *rest])
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    text = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)
    return "\n".join(text)
