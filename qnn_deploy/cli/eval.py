"""``qnn-deploy eval``."""

from __future__ import annotations

import click

from qnn_deploy.cli._console import data_option, json_option, kernels_option, show, show_json


@click.command("eval")
@click.argument("name", metavar="X")
@data_option
@click.option("--limit", type=click.IntRange(min=1), help="At most so many images.")
@click.option("--target", metavar="T", help="For a .qdm or a build: the target. Default: the build's own, or this machine.")
@click.option("--runner", metavar="R", help="host, qemu or ssh:HOST.")
@kernels_option
@json_option
def command(name: str, data: str | None, limit: int | None, target: str | None, runner: str | None, kernels: str, as_json: bool) -> None:
    """Count the correct predictions of X: a trained model, a build directory or a .qdm."""
    from qnn_deploy import api

    value = api.evaluate(name, data=data, limit=limit, target=target, runner=runner, kernels=kernels)
    if as_json:
        show_json(value)
    else:
        show(f"{value['data']}: {value['correct']:,} of {value['images']:,} correct, {value['top1']:.2%}")
