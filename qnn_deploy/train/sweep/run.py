"""``qnn-deploy sweep``: every trial of a file, in one table and one plot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from qnn_deploy.errors import UserError
from qnn_deploy.files import make_folder, remedy
from qnn_deploy.train.check import check_recipe
from qnn_deploy.train.sweep.cluster import import_ray, run_trials
from qnn_deploy.train.sweep.plan import Trial, read_sweep
from qnn_deploy.train.sweep.results import import_figure, labelled, sort_rows, write_csv, write_plot
from qnn_deploy.train.sweep.trial import Row, finished, outcome


def run(
    path: Path,
    out: Path,
    *,
    overrides: Sequence[str] = (),
    seeds: Sequence[int] = (),
    address: str | None,
    report: Callable[[Row, int, int], None],
) -> dict[str, Any]:
    """Run the sweep in ``path`` under ``out`` (see `api.sweep`): ``{"schema_version", "sort", "rows"}``, best first.

    Raises:
        UserError: for a sweep, a trial or an output that cannot be used; every recipe is checked before the first trial starts.
    """
    sweep = read_sweep(path, overrides, seeds)
    for trial in sweep.trials:
        check_recipe(trial.recipe, f"{path}, trial {trial.name}")
    import_figure()
    left = [trial for trial in sweep.trials if not finished(out / trial.name)]
    if left:
        import_ray()
    try:
        make_folder(out)
    except OSError as error:
        raise UserError("QD0105", f"cannot make the output directory: {error.strerror}", where=str(out), help=remedy(error)) from error
    rows: list[Row] = []

    def done(trial: Trial, row: Row) -> None:
        rows.append(labelled(trial, row))
        write_csv(out / "results.csv", sort_rows(rows, sweep.sort))
        report(rows[-1], len(rows), len(sweep.trials))

    for trial in sweep.trials:
        if trial not in left:
            done(trial, outcome(out / trial.name))
    if left:
        run_trials(sweep, left, out, address, done)
    write_plot(out / "results.png", sweep.trials, rows, sweep.sort)
    return {"schema_version": 1, "sort": sweep.sort, "rows": sort_rows(rows, sweep.sort)}
