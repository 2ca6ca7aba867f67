"""The outcome of a sweep: sorted rows, a CSV file, a plot."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qnn_deploy.errors import UserError
from qnn_deploy.files import write_whole
from qnn_deploy.train.sweep.plan import SORTS, Trial
from qnn_deploy.train.sweep.trial import Row


def labelled(trial: Trial, row: Row) -> Row:
    """``row`` behind what it is the outcome of: the trial's name, its settings, its seed."""
    settings = {key: value if isinstance(value, (str, int, float)) else json.dumps(value) for key, value in trial.settings.items()}
    return {"trial": trial.name, **settings, "seed": trial.recipe.seed, **row}


def sort_rows(rows: Sequence[Row], key: str) -> list[Row]:
    """Best first by ``key`` (a row of `SORTS`), by name among equals; what failed comes last."""
    sign = -1 if SORTS[key] else 1
    return sorted(rows, key=lambda row: (row[key] is None, 0 if row[key] is None else sign * row[key], row["trial"]))


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """Write ``rows`` to ``path``, whole or not at all; a column for every key that any of them has.

    Raises:
        UserError: QD0105 where it cannot be written.
    """
    text = io.StringIO(newline="")
    split = [(list(row)[: list(row).index("seed")], list(row)[list(row).index("seed") :]) for row in rows]
    columns = list(dict.fromkeys(key for settings, _ in split for key in settings)) + split[0][1]
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(path, text.getvalue().encode())


def import_figure() -> Any:
    """Matplotlib's Figure, which needs no display.

    Raises:
        UserError: QD0111 where the package is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UserError("QD0111", "the plot needs Matplotlib", help='pip install "qnn-deploy[sweep]"') from error
    return Figure


def write_plot(path: Path, trials: Sequence[Trial], rows: Sequence[Row], key: str) -> None:
    """Write a PNG: ``key`` of each setting, a dot for each seed and a bar at their mean, the best on top. Nothing where no trial is done.

    Raises:
        UserError: QD0105 where it cannot be written.
    """
    label = {trial.name: ", ".join(f"{k.rpartition('.')[2]}={v}" for k, v in trial.settings.items()) or "base" for trial in trials}
    values: dict[str, list[float]] = {}
    for row in rows:
        if row[key] is not None:
            values.setdefault(label[row["trial"]], []).append(row[key])
    if not values:
        return
    ordered = sorted(values, key=lambda name: sum(values[name]) / len(values[name]), reverse=not SORTS[key])
    figure = import_figure()(figsize=(8, 1 + 0.3 * len(ordered)), layout="constrained")
    axes = figure.add_subplot()
    for height, name in enumerate(ordered):
        axes.plot(values[name], [height] * len(values[name]), "o", color="tab:blue", alpha=0.6)
        axes.plot([sum(values[name]) / len(values[name])], [height], "|", color="black", markersize=14)
    axes.set_yticks(range(len(ordered)), ordered)
    axes.set_xlabel(key.replace("_", " "))
    axes.grid(axis="x", alpha=0.3)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=120)
    write_whole(path, stream.getvalue())
