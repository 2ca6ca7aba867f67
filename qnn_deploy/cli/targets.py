"""``qnn-deploy targets``."""

from __future__ import annotations

import click

from qnn_deploy.cli._console import json_option, show, show_json
from qnn_deploy.errors import Exit, QnnDeployError


@click.command("targets")
@click.argument("name", required=False)
@click.option("--check", is_flag=True, help="See whether the compiler and the runner are there; exit 4 where one is not.")
@json_option
def command(name: str | None, check: bool, as_json: bool) -> int:
    """List the targets (or show NAME alone)."""
    from qnn_deploy.evaluate.report import columns
    from qnn_deploy.targets import all_targets, find_target
    from qnn_deploy.toolchain.compiler import find_compiler
    from qnn_deploy.toolchain.runner import find_runner

    rows, status = [], Exit.OK
    for target in (find_target(name),) if name else all_targets():
        row = {
            "name": target.name,
            "aliases": list(target.aliases),
            "triple": target.triple,
            "kernels": list(target.kernels),
            "runner": "host" if target.native else target.runner,
            "summary": target.summary,
        }
        if check:
            for key, find in (
                ("compiler", lambda: find_compiler().version),
                ("runs_with", lambda target=target: find_runner(None, target).name),
            ):
                try:
                    row[key] = find().splitlines()[0]
                except QnnDeployError as error:
                    row[key], status = f"missing: {error.message}", Exit.TOOLCHAIN
        rows.append(row)
    if as_json:
        show_json({"schema_version": 1, "targets": rows})
        return status
    shown = [key for key in rows[0] if key != "summary" or not check]
    cells = [[", ".join(row[key]) if isinstance(row[key], list) else str(row[key]) for key in shown] for row in rows]
    show(columns(cells, shown, tuple(range(len(shown)))))
    return status
