#!/usr/bin/env python3
"""Faults on purpose: `python3 tools/faults.py {build,train,sweep,shortage} [--kills N]`.

- build: builds into a directory that holds an earlier one are killed (SIGKILL); it must be absent or whole afterwards: every SHA-256 of
  its manifest right, the bytes those of an undisturbed build. Every tenth round two builds run into one directory at once.
- train: training runs are killed and resumed until they end; ``last.pt`` is whole or absent after each kill, and at the end every file
  has the bytes of an undisturbed run, times apart.
- sweep: sweeps are killed and started again until they end; table, plot and every trial's files are whole or absent after each kill,
  and in the end those of an undisturbed sweep, times apart. Needs Ray.
- shortage: full disk, read-only directory, too little memory (`shortage.py`).

Every other kill comes at a random moment; the others at a random step of writing: with half of a file
written, before a flush, before a rename.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import dataclasses
import importlib.util
import json
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import shortage
from environment import ROOT, enter

MODEL = ROOT / "models" / "digits-cnn-w1a1" / "model.pt"
RECIPE = {
    "architecture": "digits-cnn",
    "arguments": {"channels": 8},
    "data": "digits",
    "epochs": 4,
    "batch_size": 128,
    "learning_rate": 1e-2,
    "logit_scale": 0.1,
    "threads": 1,
    "device": "cpu",
}
Work = Callable[[], Any]
Failures = list[str]


def fork(work: Work, die_at: int | None = None, counted: int | None = None) -> int:
    """Start ``work`` in a process of its own, forked from this one, which has no threads; its process id.

    Args:
        die_at: the step of writing at which it kills itself.
        counted: a pipe that gets the number of its steps.
    """
    child = os.fork()
    if child:
        return child
    steps = _watch_steps(die_at)
    status = 0
    try:
        work()
        if counted is not None:
            os.write(counted, str(len(steps)).encode())
    except BaseException as error:
        # What another process took away is a message, not a traceback.
        status = 2 if getattr(error, "code", "") == "QD0105" else 70
        if status == 70:
            traceback.print_exc()
    os._exit(status)


def _watch_steps(die_at: int | None) -> list[str]:
    """The steps of writing that this process makes from now on, as they come; at number ``die_at`` it dies."""
    steps: list[str] = []

    def watched(name: str, function: Callable[..., Any], half: Callable[..., Any] = lambda *_: None) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            if len(steps) == die_at:
                half(*arguments)
                os.kill(os.getpid(), signal.SIGKILL)
            steps.append(name)
            return function(*arguments)

        return call

    write = Path.write_bytes
    os.fsync = watched("flush", os.fsync)
    os.replace = watched("rename", os.replace)
    Path.write_bytes = watched("write", write, lambda path, content: write(path, content[: len(content) // 2]))  # type: ignore[method-assign]
    return steps


def undisturbed(work: Work) -> tuple[float, int]:
    """Seconds and steps of writing of ``work``.

    Raises:
        RuntimeError: where it fails.
    """
    source, sink = os.pipe()
    start = time.monotonic()
    _, status = os.waitpid(fork(work, counted=sink), 0)
    if status:
        raise RuntimeError("it fails undisturbed")
    return time.monotonic() - start, int(os.read(source, 20))


def kill_once(work: Work, usual: float, steps: int, number: int, chance: random.Random) -> bool:
    """Start ``work`` and kill it, by the clock or at a step; False where it came to its end before."""
    by_clock = number % 2 == 0
    child = fork(work, None if by_clock else chance.randrange(steps))
    if by_clock:
        time.sleep(chance.uniform(0, usual))
        os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def warm_up() -> None:
    """A build in this process, so that those in forked ones have imported everything."""
    from qnn_deploy import api

    api.build(str(MODEL), ("host",), ("qdm", "onnx"), None)


def contents(out: Path) -> dict[str, bytes]:
    """Name and bytes of everything in a whole build; nothing for an absent one.

    Raises:
        UserError: where it is there but not whole.
    """
    from qnn_deploy.emit import manifest

    if not out.exists():
        return {}
    manifest.read(out)
    return {path.name: path.read_bytes() for path in out.iterdir()}


def kill_builds(kills: int, folder: Path, chance: random.Random) -> tuple[str, Failures]:
    from qnn_deploy import api

    warm_up()
    out = folder / "out"

    def work() -> None:
        api.build(str(MODEL), ("host",), ("qdm", "onnx"), out)

    undisturbed(work)  # over an earlier one, as all the others
    usual, steps = undisturbed(work)
    whole, failures = contents(out), []
    killed = absent = pairs = number = 0
    while killed < kills:
        if number % 10 == 9:
            children = [fork(work) for _ in range(2)]
            ends = sorted(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children)
            pairs += 1
            if ends not in ([0, 0], [0, 2]) or contents(out) != whole:
                failures.append(f"two builds at once ended with {ends}")
        killed += kill_once(work, usual, steps, number, chance)
        number += 1
        found = contents(out)
        absent += not found
        if found not in ({}, whole):
            failures.append(f"kill {killed}: the directory holds {sorted(found)}")
    undisturbed(work)
    if contents(out) != whole:
        failures.append("the build after the last kill is another one")
    return f"{killed} builds killed, {absent} times absent afterwards; {pairs} pairs of builds into one directory", failures


def trained(out: Path) -> dict[str, Any]:
    """What a training run left, whole or absent, times apart.

    Raises:
        Exception: for a file that is not whole.
    """
    from qnn_deploy.train import state
    from qnn_deploy.train.recipe import read_recipe

    found: dict[str, Any] = {path.name: path.read_bytes() for path in out.iterdir() if path.suffix != ".tmp"}
    if "recipe.toml" in found:
        read_recipe(out / "recipe.toml")
    if state.FILE in found:
        saved = dataclasses.asdict(state.load(out / state.FILE))
        found[state.FILE] = plain({**saved, "rows": [{**row, "seconds": 0} for row in saved["rows"]]})
    if "metrics.csv" in found:
        with (out / "metrics.csv").open(newline="") as stream:
            found["metrics.csv"] = [{**row, "seconds": float(row["seconds"]) * 0} for row in csv.DictReader(stream)]
    if "trained.json" in found:
        json.loads(found["trained.json"])
    return found


def plain(value: Any) -> Any:
    """``value`` with the bytes of each tensor in its place, so that == compares all of it."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    return (str(value.dtype), value.shape, value.numpy().tobytes()) if hasattr(value, "numpy") else value


def kill_training(kills: int, folder: Path, chance: random.Random) -> tuple[str, Failures]:
    import lightning_fabric  # noqa: F401

    from qnn_deploy import data
    from qnn_deploy.train.recipe import make_recipe
    from qnn_deploy.train.run import run_recipe

    sets = {split: data.load("digits", split) for split in ("train", "test")}
    data.load = lambda spec, split="test": sets[split]
    recipe = make_recipe(RECIPE, "faults")

    def run(out: Path) -> Work:
        return lambda: run_recipe(recipe, "digits", "faults", out, resume=True, report=lambda row: None)

    usual, steps = undisturbed(run(folder / "whole"))
    whole, failures = trained(folder / "whole"), []
    killed = runs = pairs = 0
    while killed < kills:
        out, ended = folder / f"run{runs}", False
        runs += 1
        while killed < kills and not ended:
            ended = not kill_once(run(out), usual, steps, killed, chance)
            killed += not ended
            try:
                trained(out) if out.exists() else None
            except Exception as error:
                failures.append(f"kill {killed}: {error}")
        children = [fork(run(out)) for _ in range(1 + (runs % 5 == 0))]
        pairs += len(children) - 1
        ends = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        if any(ends) or trained(out) != whole:
            failures.append(f"run {runs} ended with {ends}, or with another result")
        shutil.rmtree(out)
    return (
        f"{killed} trainings killed in {runs} runs, each then with the undisturbed result; {pairs} pairs at once in one directory",
        failures,
    )


@contextlib.contextmanager
def ray_cluster() -> Iterator[str]:
    """The address of a Ray cluster of one core, which ends with the block: a kill then costs a driver's start, not a cluster's."""
    code = (
        "import ray, sys; ray.init(address='local', num_cpus=1, include_dashboard=False, logging_level='ERROR');"
        "print(ray.get_runtime_context().gcs_address, flush=True); sys.stdin.read()"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True) as head:
        assert head.stdout is not None
        yield head.stdout.readline().strip()


def swept(out: Path) -> dict[str, Any]:
    """What a sweep left, whole or absent, times apart: its table, its plot, and each trial's run.

    Raises:
        Exception: for a file that is not whole.
    """
    found: dict[str, Any] = {path.name: trained(path) for path in out.iterdir() if path.is_dir()}
    if (out / "results.csv").exists():
        with (out / "results.csv").open(newline="") as stream:
            found["results.csv"] = [{**row, "seconds": ""} for row in csv.DictReader(stream)]
    if (out / "results.png").exists():
        found["results.png"] = (out / "results.png").read_bytes()
    return found


def kill_sweeps(kills: int, folder: Path, chance: random.Random) -> tuple[str, Failures]:
    if importlib.util.find_spec("ray") is None:
        return 'sweeps not killed: Ray is not installed (pip install "qnn-deploy[sweep]")', []
    # Ray starts trials 15 nicer than the driver: where anything else runs, they starve.
    os.environ |= {"RAY_worker_niceness": "0", "RAY_USAGE_STATS_ENABLED": "0"}
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    import lightning_fabric  # noqa: F401
    import ray  # noqa: F401

    from qnn_deploy import api
    from qnn_deploy.train import toml_writer

    sweep = {"recipe": {**RECIPE, "epochs": 2}, "grid": {"learning_rate": [1e-2, 3e-3, 1e-3]}}
    (folder / "sweep.toml").write_text(toml_writer.dumps(sweep))

    def run(out: Path, address: str | None) -> Work:
        return lambda: api.sweep(folder / "sweep.toml", out, address=address)

    with ray_cluster() as address:
        undisturbed(run(folder / "whole", address))
        api.sweep(folder / "sweep.toml", folder / "whole", address=address)  # nothing left to do: it imports what forked ones need
        # Every fourth sweep starts a cluster of its own, as without --address.
        usual = {at: list(undisturbed(run(folder / f"usual{at}", at))) for at in (address, None)}
        whole, failures = swept(folder / "whole"), []
        if len(whole["results.csv"]) != 3 or any(row["status"] != "done" for row in whole["results.csv"]):
            failures.append("an undisturbed sweep fails")
        killed = sweeps = number = 0
        while killed < kills:
            out, at, ended = folder / f"sweep{sweeps}", None if sweeps % 4 == 3 else address, False
            sweeps += 1
            while killed < kills and not ended:
                fresh, start = not out.exists(), time.monotonic()
                ended = not kill_once(run(out, at), *usual[at], number, chance)
                killed, number = killed + (not ended), number + 1
                if fresh and ended:  # the machine has become quicker
                    usual[at][0] = min(usual[at][0], time.monotonic() - start)
                try:
                    rows = swept(out).get("results.csv", []) if out.exists() else []
                    if not all(row in whole["results.csv"] for row in rows):
                        failures.append(f"kill {killed}: a row that no undisturbed sweep gives")
                except Exception as error:
                    failures.append(f"kill {killed}: {error}")
                print(f"sweep {sweeps}: {killed} kills", file=sys.stderr, flush=True)
            status = os.waitstatus_to_exitcode(os.waitpid(fork(run(out, at)), 0)[1])
            if status or swept(out) != whole:
                failures.append(f"sweep {sweeps} ended with {status}, or with another result")
            shutil.rmtree(out)
    return f"{killed} sweeps killed in {sweeps} folders, each then with the undisturbed table, plot and runs", failures


KILLS = {"build": (kill_builds, 200), "train": (kill_training, 200), "sweep": (kill_sweeps, 40)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=[*KILLS, "shortage"])
    parser.add_argument("--kills", type=int, help="default: " + ", ".join(f"{name} {count}" for name, (_, count) in KILLS.items()))
    parser.add_argument("--short", action="store_true", help="few sizes of disk and memory")
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    folder = Path(tempfile.mkdtemp(prefix="qnn-deploy-faults-"))
    try:
        if arguments.what == "shortage":
            warm_up()
            summary, failures = shortage.run(folder, arguments.short)
        else:
            function, usual = KILLS[arguments.what]
            summary, failures = function(arguments.kills or usual, folder, random.Random(0))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print("\n".join([*failures, summary, f"{0 if failures else 1} passed, {len(failures)} failed"]))
    return 1 if failures else 0


if __name__ == "__main__":
    enter("all")
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # a forked process has one thread only
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
