"""``qnn-deploy ops``."""

from __future__ import annotations

import textwrap

import click

from qnn_deploy.cli._console import json_option, show, show_json, width


@click.command("ops")
@click.option("--estimators", is_flag=True, help="List the gradient estimators of training instead.")
@json_option
def command(estimators: bool, as_json: bool) -> None:
    """List the operators of the canonical and the exact graph: what a deployed network is made of."""
    from qnn_deploy.evaluate.report import columns
    from qnn_deploy.ops import ALL

    if estimators:
        _estimators(as_json)
        return
    rows = [{"domain": op.domain, "name": op.name, "summary": op.doc} for op in ALL]
    if as_json:
        show_json({"schema_version": 1, "ops": rows})
    else:
        room = max(40, width() - 34)
        cells = [[row["domain"] or "onnx", row["name"], textwrap.shorten(row["summary"], room, placeholder=" …")] for row in rows]
        show(columns(cells, ["domain", "op", ""], (0, 1, 2)))


def _estimators(as_json: bool) -> None:
    from qnn_deploy.errors import UserError
    from qnn_deploy.evaluate.report import columns

    try:
        from qnn_deploy.nn.estimators import ESTIMATORS
    except ModuleNotFoundError as error:
        raise UserError("QD0111", f"the estimators need {error.name}", help="pip install 'qnn-deploy[torch]'") from error

    rows = [estimator.row() for estimator in ESTIMATORS.values()]
    if as_json:
        show_json({"schema_version": 1, "estimators": rows})
        return
    room = max(30, width() - 60)
    cells = []
    for row in rows:
        parameters = ", ".join(f"{key}={value:g}{'*' if key in row['scheduled'] else ''}" for key, value in row["parameters"].items())
        area = "inf" if row["area"] is None else f"{row['area']:.4g}"
        formula = textwrap.shorten(row["formula"], room, placeholder=" …")
        cells.append([row["name"], formula, parameters, f"{row['at_zero']:.4g}", area, row["status"]])
    show(columns(cells, ["estimator", "psi(u), u = x / s", "parameters", "psi(0)", "area", "formula"], (0, 1, 2, 5)))
    show("* annealed in training. Sources and curves: docs/estimators.md")
