"""``qnn-deploy inspect``."""

from __future__ import annotations

import click

from qnn_deploy.cli._console import json_option, show, show_json, width


@click.command("inspect")
@click.argument("name", metavar="X")
@json_option
def command(name: str, as_json: bool) -> None:
    """Show what X holds: a build directory, a .qdm, an .onnx file or a checkpoint."""
    from qnn_deploy import api
    from qnn_deploy.evaluate.report import inspect_text

    value = api.inspect(name)
    if as_json:
        show_json(value)
    else:
        show(inspect_text(value, width()))
