"""One trial: a training run in its folder, made once, and gone on with where it was cut off."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qnn_deploy.errors import QnnDeployError
from qnn_deploy.train.recipe import make_recipe
from qnn_deploy.train.run import run_recipe

Row = dict[str, Any]
"""``status`` ("done" or "failed"), the last epoch's metrics (``test_accuracy``, ...) and ``error``."""

METRICS = ("test_accuracy", "train_accuracy", "loss", "flip_ratio", "clip_fraction", "sparsity", "epochs")


def run_trial(recipe: Mapping[str, Any], name: str, folder: str) -> Row:
    """Train ``recipe`` (plain values) into ``folder``, unless that is done already, and return its outcome.

    An error for people (a diverging run, a full disk) is an outcome: trying again would not help. Any other exception goes through, for
    the caller to try again; the next attempt goes on after the last whole epoch.
    """
    path = Path(folder)
    if not finished(path):
        try:
            run_recipe(make_recipe(recipe, name), name, name, path, resume=True, report=lambda row: None)
        except QnnDeployError as error:
            return failed(f"{error.code}: {error.message}" + (f" ({error.where})" if error.where else ""))
    return outcome(path)


def finished(folder: Path) -> bool:
    """Whether the run in ``folder`` has come to its end: ``trained.json`` is the last file that it writes."""
    try:
        return isinstance(json.loads((folder / "trained.json").read_text()), dict) and outcome(folder)["status"] == "done"
    except (OSError, ValueError, LookupError, TypeError, RecursionError, csv.Error):  # missing, or damaged: to be made again
        return False


def outcome(folder: Path) -> Row:
    """The row of a finished run."""
    with (folder / "metrics.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    last = {name: float(rows[-1][name]) if rows[-1][name] else None for name in METRICS}
    return {"status": "done", **last, "seconds": round(sum(float(row["seconds"]) for row in rows), 1), "error": ""}


def failed(error: str) -> Row:
    """The row of a run that came to nothing."""
    return {"status": "failed", **dict.fromkeys(METRICS), "seconds": None, "error": error}
