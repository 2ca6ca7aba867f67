"""``qnn-deploy train``."""

from __future__ import annotations

import click

from qnn_deploy.cli._console import json_option, note, show, show_json


@click.command("train")
@click.argument("recipe")
@click.option("-o", "--out", required=True, type=click.Path(), help="Directory for model.pt, metrics.csv and trained.json.")
@click.option("--set", "overrides", metavar="KEY=VALUE", multiple=True, help="Change a key of the recipe; may be given several times.")
@click.option("--data", metavar="D", help="Another data set than the recipe's.")
@click.option("--epochs", type=click.IntRange(min=1), help="Short for --set epochs=N.")
@click.option("--seed", type=int, help="Short for --set seed=N.")
@click.option("--resume", is_flag=True, help="Go on after the last whole epoch in DIR.")
@json_option
def command(
    recipe: str, out: str, overrides: tuple[str, ...], data: str | None, epochs: int | None, seed: int | None, resume: bool, as_json: bool
) -> None:
    """Train RECIPE, a TOML file or the name of a folder in models/, and save a deployable checkpoint."""
    from qnn_deploy import api

    given = (("epochs", epochs), ("seed", seed))
    overrides = (*overrides, *(f"{key}={value}" for key, value in given if value is not None))

    def report(metrics: dict[str, float]) -> None:
        note(
            f"epoch {int(metrics['epoch'])}/{int(metrics['epochs'])}  loss {metrics['loss']:.4f}"
            f"  test {metrics['test_accuracy']:.2%}  {metrics['seconds']:.0f} s"
        )

    value = api.train(recipe, out, overrides=overrides, data=data, resume=resume, report=report)
    if as_json:
        show_json(value)
    else:
        show(f"{out}/model.pt: {value['correct']:,} of {value['images']:,} correct on {value['data']}")
        note(f"next: qnn-deploy build {out}/model.pt --target arm64 -o out/")
