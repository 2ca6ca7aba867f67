"""``qnn-deploy train``."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import click

from qnn_deploy.cli._console import json_option, note, show, show_json


@click.command("train")
@click.argument("recipe")
@click.option("-o", "--out", required=True, type=click.Path(), help="Directory for model.pt, metrics.csv and trained.json.")
@click.option("--set", "overrides", metavar="KEY=VALUE", multiple=True, help="Change a key of the recipe; may be given several times.")
@click.option("--data", metavar="D", help="Another data set than the recipe's.")
@click.option("--epochs", type=click.IntRange(min=1), help="Short for --set epochs=N.")
@click.option("--seed", type=int, help="Short for --set seed=N.")
@click.option("--devices", type=click.IntRange(min=1), help="Short for --set devices=N.")
@click.option("--tensorboard", is_flag=True, default=None, help="Short for --set tensorboard=true.")
@click.option("--resume", is_flag=True, help="Go on after the last whole epoch in DIR.")
@json_option
def command(recipe: str, out: str, overrides: tuple[str, ...], data: str | None, resume: bool, as_json: bool, **given: int | None) -> None:
    """Train RECIPE, a TOML file or the name of a folder in models/, and save a deployable checkpoint."""
    from qnn_deploy import api

    short = (f"{key}={str(value).lower()}" for key, value in given.items() if value is not None)
    with _reporting() as (report, progress):
        options: dict[str, Any] = {"overrides": (*overrides, *short), "data": data, "resume": resume}
        value = api.train(recipe, out, **options, report=report, progress=progress)
    if as_json:
        show_json(value)
    else:
        show(f"{out}/model.pt: {value['correct']:,} of {value['images']:,} correct on {value['data']}")
        note(f"next: qnn-deploy build {out}/model.pt --target arm64 -o out/")


def _line(row: dict[str, Any]) -> str:
    flips = "" if row["flip_ratio"] is None else f"  flips {row['flip_ratio']:.2%}"
    return (
        f"epoch {row['epoch']}/{row['epochs']}  loss {row['loss']:.4f}  train {row['train_accuracy']:.2%}"
        f"  test {row['test_accuracy']:.2%}{flips}  {row['seconds']:.0f} s"
    )


@contextlib.contextmanager
def _reporting() -> Iterator[tuple[Callable[[dict[str, Any]], None], Callable[[int, int, int, int], None]]]:
    """What `api.train` reports to: bars with the time left on a terminal's stderr, and a line for each epoch anywhere."""
    if not sys.stderr.isatty():
        yield lambda row: note(_line(row)), lambda epoch, epochs, step, steps: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        whole, part = bars.add_task("training", total=None), bars.add_task("epoch", total=None)

        def report(row: dict[str, Any]) -> None:
            bars.console.print(_line(row), highlight=False)
            bars.update(whole, total=row["epochs"], completed=row["epoch"])
            bars.reset(part)

        def progress(epoch: int, epochs: int, step: int, steps: int) -> None:
            bars.update(whole, total=epochs, completed=epoch + step / steps)
            bars.update(part, description=f"epoch {epoch + 1}", total=steps, completed=step)

        yield report, progress
