"""Trials as Ray tasks."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from qnn_deploy.errors import UserError
from qnn_deploy.train.recipe import plain
from qnn_deploy.train.sweep.plan import Sweep, Trial
from qnn_deploy.train.sweep.trial import Row, failed, run_trial


def import_ray() -> Any:
    """The package.

    Raises:
        UserError: QD0111 where it is missing.
    """
    # Nothing of a user's work is reported to anyone unless they say so themselves.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise UserError("QD0111", "sweeps run on Ray", help='pip install "qnn-deploy[sweep]"') from error
    return ray


def run_trials(sweep: Sweep, trials: Sequence[Trial], out: Path, address: str | None, done: Callable[[Trial, Row], None]) -> None:
    """Run ``trials`` of ``sweep`` into folders under ``out``; ``done`` gets each outcome as it comes.

    A trial whose process fails (killed, out of memory, a bug) is tried again ``sweep.retries`` times and goes on where it was.

    Raises:
        UserError: QD0111 without Ray, QD0206 where the cluster cannot be reached or has not what one trial asks for.
    """
    ray = import_ray()
    options: dict[str, Any]
    own = not ray.is_initialized()
    if own:
        options = {} if address else {"include_dashboard": False}
        try:
            ray.init(address=address or "local", log_to_driver=False, logging_level="ERROR", **options)
        except (ConnectionError, RuntimeError, ValueError) as error:
            help = "ray start --head; one that asks for a token: set RAY_AUTH_MODE=token here too"
            raise UserError("QD0206", f"cannot reach a Ray cluster: {error}", where=address or "", help=help) from error
    try:
        there = ray.cluster_resources()
        if there.get("CPU", 0) < sweep.cpus or there.get("GPU", 0) < sweep.gpus:
            found = f"{there.get('CPU', 0):g} CPUs and {there.get('GPU', 0):g} GPUs"
            raise UserError("QD0206", f"a trial asks for {sweep.cpus:g} CPUs and {sweep.gpus:g} GPUs; there are {found}")
        options = {"num_cpus": sweep.cpus, "num_gpus": sweep.gpus, "max_retries": sweep.retries, "retry_exceptions": True}
        task = ray.remote(**options)(run_trial)
        pending = {task.remote(plain(trial.recipe), trial.name, str((out / trial.name).resolve())): trial for trial in trials}
        while pending:
            (first, *_), _ = ray.wait(list(pending), num_returns=1)
            try:
                row = ray.get(first)
            except ray.exceptions.RayError as error:
                row = failed(str(error).strip().splitlines()[-1])
            done(pending.pop(first), row)
    finally:
        if own:
            ray.shutdown()
