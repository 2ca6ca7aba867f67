"""``qnn-deploy bench``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from qnn_deploy.cli._console import json_option, note, progress, show, show_json
from qnn_deploy.errors import Exit, UserError


@click.command("bench")
@click.argument("name", metavar="X")
@click.option("--target", metavar="T", help="Default: the build's own, or this machine.")
@click.option("--runner", metavar="R", help="host, qemu or ssh:HOST. Times under an emulator say little.")
@click.option("--kernels", metavar="F", help="Kernel families, comma-separated; default: all of the target.")
@click.option("--threads", type=click.IntRange(1, 64), default=1, show_default=True, help="Of the C runtime; peers have one.")
@click.option("--runs", type=click.IntRange(min=1), default=30, show_default=True)
@click.option("--warmup", type=click.IntRange(min=0), default=3, show_default=True)
@click.option("--layers", is_flag=True, help="Show the time of each operator.")
@click.option("--peers", is_flag=True, help="Also the same network on LCE, TFLite and ONNX Runtime.")
@click.option("--trust-pickle", is_flag=True, help="For --peers: run what the weights' file of the build names, of a trusted author.")
@click.option("--baseline", type=click.Path(), help="JSON of an earlier run; exit 1 where a row became slower.")
@click.option(
    "--max-regress", type=click.FloatRange(min=0), default=5.0, show_default=True, metavar="PERCENT", help="What --baseline allows."
)
@json_option
def command(
    name: str,
    target: str | None,
    runner: str | None,
    kernels: str | None,
    threads: int,
    runs: int,
    warmup: int,
    layers: bool,
    peers: bool,
    trust_pickle: bool,
    baseline: str | None,
    max_regress: float,
    as_json: bool,
) -> int:
    """Time one inference of X, a build directory or a .qdm, per kernel family."""
    from qnn_deploy import api
    from qnn_deploy.evaluate.bench import regressions
    from qnn_deploy.evaluate.report import bench_layers, bench_table

    before = _read_baseline(Path(baseline)) if baseline else None
    with progress() as stage:
        families = tuple(filter(None, (kernels or "").split(",")))
        value = api.bench(
            name,
            target=target,
            runner=runner,
            kernels=families,
            threads=threads,
            runs=runs,
            warmup=warmup,
            peers=peers,
            trust_pickle=trust_pickle,
            progress=stage,
        )
    if as_json:
        show_json(value)
    else:
        show(bench_table(value["rows"]))
        for line in value["not_run"]:
            note(f"not run: {line}")
        if layers:
            show("\n" + bench_layers(value["rows"]))
    slower = regressions(value["rows"], before, max_regress / 100) if before is not None else []
    for line in slower:
        note(f"slower: {line}")
    return Exit.NO if slower else Exit.OK


def _read_baseline(path: Path) -> dict:
    try:
        value = json.loads(path.read_text())
    except OSError as error:
        raise UserError("QD0101", f"cannot read the baseline: {error.strerror}", where=str(path)) from error
    except (ValueError, RecursionError) as error:
        raise UserError("QD0106", "the baseline is not the JSON of `bench`", where=str(path)) from error
    if not isinstance(value, dict):
        raise UserError("QD0106", "the baseline is not the JSON of `bench`", where=str(path))
    return value
