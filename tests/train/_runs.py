"""What the training suites share: a quick recipe, small data, runs that stop where they are told to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from qnn_deploy.data import Dataset, load
from qnn_deploy.train.loop import train
from qnn_deploy.train.recipe import Recipe, make_recipe

SMALL: dict[str, Any] = {
    "architecture": "digits-cnn",
    "arguments": {"channels": 16},
    "data": "digits",
    "epochs": 3,
    "batch_size": 64,
    "learning_rate": 1e-2,
    "logit_scale": 0.1,
    "threads": 1,
    "device": "cpu",
}


class StopError(Exception):
    """Ends a run from outside, as an interrupt does."""


def recipe(**changes: Any) -> Recipe:
    """The quick recipe with some keys changed."""
    return make_recipe(SMALL | changes, "test")


def digits(train_images: int = 256, test_images: int = 64) -> tuple[Dataset, Dataset]:
    """The first digits of both splits."""
    return load("digits", "train").take(train_images), load("digits").take(test_images)


def run(recipe: Recipe, folder: Path, **options: Any) -> nn.Module:
    """Train on the first digits into ``folder``, made where it is missing."""
    folder.mkdir(exist_ok=True)
    return train(recipe, *digits(), folder, **options)


def run_until(recipe: Recipe, folder: Path, epochs: int) -> None:
    """Train and stop behind so many epochs, as if the process were killed."""

    def report(row: dict[str, Any]) -> None:
        if row["epoch"] == epochs:
            raise StopError

    try:
        run(recipe, folder, report=report)
    except StopError:
        return
    raise AssertionError("the run came to its end")


def without_seconds(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of metrics but for the time."""
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]
