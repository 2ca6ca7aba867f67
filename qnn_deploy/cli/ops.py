"""``qnn-deploy ops``."""

from __future__ import annotations

import textwrap

import click

from qnn_deploy.cli._console import json_option, show, show_json, width


@click.command("ops")
@json_option
def command(as_json: bool) -> None:
    """List the operators of the canonical and the exact graph: what a deployed network is made of."""
    from qnn_deploy.evaluate.report import columns
    from qnn_deploy.ops import ALL

    rows = [{"domain": op.domain, "name": op.name, "summary": op.doc} for op in ALL]
    if as_json:
        show_json({"schema_version": 1, "ops": rows})
    else:
        room = max(40, width() - 34)
        cells = [[row["domain"] or "onnx", row["name"], textwrap.shorten(row["summary"], room, placeholder=" …")] for row in rows]
        show(columns(cells, ["domain", "op", ""], (0, 1, 2)))
