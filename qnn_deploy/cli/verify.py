"""``qnn-deploy verify``."""

from __future__ import annotations

import click

from qnn_deploy.cli._console import data_option, json_option, progress, show, show_json
from qnn_deploy.errors import Exit


@click.command("verify")
@click.argument("folder", metavar="DIR")
@click.option("--against", metavar="MODEL", help="The trained model; default: the one that was built.")
@data_option
@click.option("--runner", "runners", metavar="R", help="host, qemu, ssh:HOST, comma-separated. Default: host and each target's own.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many images of the data.")
@click.option("--limit-slow", type=click.IntRange(min=1), help="The same in ONNX Runtime and with this machine's portable kernels.")
@click.option("--limit-onnx", type=click.IntRange(min=1), help="The same in ONNX Runtime, in place of --limit-slow.")
@click.option("--limit-emulated", type=click.IntRange(min=1), default=1000, show_default=True, help="The same by emulator and by ssh.")
@click.option("--limit-reference", type=click.IntRange(min=1), default=32, show_default=True, help="The same in the numpy reference.")
@click.option("--trust-pickle", is_flag=True, help="Run what the weights' file of the build names: only where you trust its author.")
@click.option("--layers", is_flag=True, help="Compare the output of every operator on one image too.")
@json_option
def command(
    folder: str,
    against: str | None,
    data: str | None,
    runners: str | None,
    limit: int | None,
    limit_slow: int | None,
    limit_onnx: int | None,
    limit_emulated: int,
    limit_reference: int,
    trust_pickle: bool,
    layers: bool,
    as_json: bool,
) -> int:
    """Compare every artefact in DIR (or a .qdm) with the trained model, bit for bit; exit 1 where anything differs."""
    from qnn_deploy import api
    from qnn_deploy.evaluate.report import layer_counts, verify_table

    with progress() as stage:
        report = api.verify(
            folder,
            against=against,
            data=data,
            runners=tuple(filter(None, (runners or "").split(","))),
            limit=limit,
            slow_limit=limit_slow,
            onnx_limit=limit_onnx,
            emulated_limit=limit_emulated,
            reference_limit=limit_reference,
            layers=layers,
            trust_pickle=trust_pickle,
            progress=stage,
        )
    value = report.to_json()
    if as_json:
        show_json(value)
    else:
        show(verify_table(value))
        if layers:
            show("\n" + layer_counts(value["layers"]))
    return Exit.OK if report.ok else Exit.NO
