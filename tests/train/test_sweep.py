"""Sweeps: which trials a file names, what is refused, what is not repeated, the table, and two trials on Ray."""

from __future__ import annotations

import csv
import importlib.util
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytest.importorskip("lightning_fabric")
pytest.importorskip("matplotlib")

from qnn_deploy import api, cli  # noqa: E402
from qnn_deploy.errors import Exit, UserError  # noqa: E402
from qnn_deploy.nn.architectures import ARCHITECTURES  # noqa: E402
from qnn_deploy.train import toml_writer  # noqa: E402
from qnn_deploy.train.check import check_recipe  # noqa: E402
from qnn_deploy.train.recipe import plain  # noqa: E402
from qnn_deploy.train.sweep import cluster, run  # noqa: E402
from qnn_deploy.train.sweep.plan import Sweep, Trial, read_sweep  # noqa: E402
from qnn_deploy.train.sweep.trial import Row, run_trial  # noqa: E402
from tests.train._runs import SMALL  # noqa: E402

ROOT = Path(__file__).parents[2]
ABLATIONS = sorted((ROOT / "tools" / "ablation").glob("*.toml"))
Outcome = Callable[[Trial, Row], None]


def write(folder: Path, **keys: Any) -> Path:
    """A sweep file over the quick recipe, one epoch."""
    path = folder / "sweep.toml"
    path.write_text(toml_writer.dumps({"recipe": SMALL | {"epochs": 1}} | keys))
    return path


@pytest.fixture
def without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials run one behind the other in this process."""

    def run_trials(sweep: Sweep, trials: list[Trial], out: Path, address: str | None, done: Outcome) -> None:
        for trial in trials:
            done(trial, run_trial(plain(trial.recipe), trial.name, str(out / trial.name)))

    monkeypatch.setattr(run, "import_ray", lambda: None)
    monkeypatch.setattr(run, "run_trials", run_trials)


def test_grids_trials_and_seeds(tmp_path: Path) -> None:
    grid = [{"optimizer": {"name": ["sgd", "adam"]}, "batch_size": [32, 64]}, {"crop": [1]}]
    sweep = read_sweep(write(tmp_path, set={"flip": True}, grid=grid, trials=[{"warmup": 0.2}], seeds=[0, 1], retries=3, cpus=2))
    assert len(sweep.trials) == (4 + 1 + 1) * 2 == len({trial.name for trial in sweep.trials})
    assert (sweep.retries, sweep.cpus, sweep.sort) == (3, 2.0, "test_accuracy")
    first = sweep.trials[0]
    assert first.settings == {"optimizer.name": "sgd", "batch_size": 32} and first.name.startswith("name=sgd,batch_size=32,seed=0-")
    assert first.recipe.flip and first.recipe.batch_size == 32 and {trial.recipe.seed for trial in sweep.trials} == {0, 1}
    assert isinstance(first.recipe.optimizer, dict) and first.recipe.optimizer["momentum"] == 0.9


def test_the_command_line_goes_over_what_every_trial_sets(tmp_path: Path) -> None:
    path = write(tmp_path, set={"crop": 1, "warmup": 0.2}, grid={"batch_size": [32, 64]}, seeds=[0, 1])
    trials = read_sweep(path, ["crop=3", "optimizer.name=sgd", "batch_size=8"], [7]).trials
    assert [trial.recipe.batch_size for trial in trials] == [32, 64]  # what a trial itself sets stays
    assert {(trial.recipe.crop, trial.recipe.warmup, trial.recipe.seed) for trial in trials} == {(3, 0.2, 7)}
    assert all(isinstance(trial.recipe.optimizer, dict) and trial.recipe.optimizer["name"] == "sgd" for trial in trials)
    with pytest.raises(UserError, match="key=value") as refused:
        read_sweep(path, ["crop"])
    assert refused.value.code == "QD0202"


def test_the_same_recipe_is_one_trial(tmp_path: Path) -> None:
    grid = [{"clip": ["none", "unit"]}, {"clip": ["unit"], "optimizer": ["adam", {"name": "adam"}]}]
    assert [trial.recipe.clip for trial in read_sweep(write(tmp_path, grid=grid)).trials] == ["none", "unit"]
    assert len(read_sweep(write(tmp_path)).trials) == 1


def test_names_differ_wherever_recipes_do(tmp_path: Path) -> None:
    """Signs that no folder can have, long values, and values that look the same."""
    values = ["digits", "digits/", "digits ", "digits?", "x" * 300, "x" * 299 + "y"]
    trials = read_sweep(write(tmp_path, grid={"data": values})).trials
    assert len({trial.name for trial in trials}) == len(values)
    assert all(len(trial.name) < 120 and "/" not in trial.name for trial in trials)


@pytest.mark.parametrize(
    "keys,code,named",
    [
        ({"grids": []}, "QD0206", "'grid'"),
        ({"grid": {"crop": 1}}, "QD0206", "grid.crop"),
        ({"grid": {"crop": []}}, "QD0206", "grid.crop"),
        ({"grid": [3]}, "QD0206", "grid"),
        ({"seeds": ["a"]}, "QD0206", "seeds"),
        ({"sort": "accuracy"}, "QD0206", "'test_accuracy'"),
        ({"cpus": 0}, "QD0206", "cpus"),
        ({"recipe": 3}, "QD0206", "recipe"),
        ({"recipe": "no-such-model"}, "QD0201", "no-such-model"),
        ({"grid": {"crops": [1]}}, "QD0202", "'crop'"),
        ({"grid": {"epochs": ["many"]}}, "QD0202", "epochs"),
        ({"grid": {"arguments": {"chanels": [3]}}}, "QD0202", "arguments.chanels"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_malformed_sweeps_start_nothing(tmp_path: Path, keys: dict[str, Any], code: str, named: str) -> None:
    with pytest.raises(UserError) as caught:
        api.sweep(write(tmp_path, **keys), tmp_path / "out")
    assert caught.value.code == code and named in caught.value.message + caught.value.help
    assert "sweep.toml" in caught.value.where or code == "QD0201"
    assert not (tmp_path / "out").exists()


def test_a_sweep_from_start_to_end(tmp_path: Path, without_ray: None, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, grid={"arguments": {"channels": [4, 16]}, "learning_rate": [1e-2]}, seeds=[0, 1])
    assert cli.invoke(["sweep", str(path), "-o", str(tmp_path / "out")]) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 5 and "channels" in out and "4/4" in err
    with (tmp_path / "out" / "results.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    accuracies = [float(row["test_accuracy"]) for row in rows]
    assert accuracies == sorted(accuracies, reverse=True) and len(rows) == 4
    assert list(rows[0])[:4] == ["trial", "arguments.channels", "learning_rate", "seed"] and {row["status"] for row in rows} == {"done"}
    assert (tmp_path / "out" / "results.png").read_bytes().startswith(b"\x89PNG")
    trained = {row["trial"]: (tmp_path / "out" / row["trial"] / "model.pt").stat().st_mtime_ns for row in rows}

    # Again, with one more trial: only that one is trained.
    path = write(tmp_path, grid={"arguments": {"channels": [4, 8, 16]}, "learning_rate": [1e-2]}, seeds=[0, 1])
    assert cli.invoke(["sweep", str(path), "-o", str(tmp_path / "out"), "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["schema_version"] == 1 and len(value["rows"]) == 6
    again = {name: (tmp_path / "out" / name / "model.pt").stat().st_mtime_ns for name in trained}
    assert again == trained


def test_a_trial_that_fails_is_a_row(tmp_path: Path, without_ray: None, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, grid={"logit_scale": [0.1, 1e38]})
    assert cli.invoke(["sweep", str(path), "-o", str(tmp_path / "out"), "--json"]) == Exit.NO
    good, bad = json.loads(capsys.readouterr().out)["rows"]
    assert good["status"] == "done" and bad["status"] == "failed" and "QD0204" in bad["error"] and bad["test_accuracy"] is None


def test_a_trial_goes_on_where_it_was_cut_off(tmp_path: Path, without_ray: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.train._runs import digits, run_until

    monkeypatch.setattr("qnn_deploy.data.load", lambda spec, split: digits()[split == "test"])
    (trial,) = read_sweep(write(tmp_path, set={"epochs": 3})).trials
    (tmp_path / "out").mkdir()
    run_until(trial.recipe, tmp_path / "out" / trial.name, 2)
    first = (tmp_path / "out" / trial.name / "metrics.csv").read_text().splitlines()
    assert api.sweep(tmp_path / "sweep.toml", tmp_path / "out")["rows"][0]["status"] == "done"
    assert (tmp_path / "out" / trial.name / "metrics.csv").read_text().splitlines()[:3] == first


def test_without_ray_there_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(UserError) as caught:
        api.sweep(write(tmp_path), tmp_path / "out")
    assert caught.value.code == "QD0111" and "sweep" in caught.value.help and not (tmp_path / "out").exists()


@pytest.mark.parametrize("path", ABLATIONS, ids=lambda path: path.stem)
def test_ablations_are_sound(path: Path) -> None:
    """Every trial of the shipped sweeps builds its network, so that none fails hours later."""
    sweep = read_sweep(path)
    assert len(sweep.trials) >= 4
    if path.stem == "normalisation" and "norm" not in inspect.signature(ARCHITECTURES["resnet"]).parameters:
        pytest.skip("the architecture resnet has no argument norm")
    seen: set[str] = set()
    for trial in sweep.trials:
        key = json.dumps(plain(trial.recipe) | {"seed": 0}, sort_keys=True)
        if key not in seen:
            check_recipe(trial.recipe, f"{path}, {trial.name}")
            seen.add(key)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason='Ray is not installed (pip install "qnn-deploy[sweep]")')
def test_two_trials_on_ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two workers; the one whose process dies in its first attempt is tried again."""
    monkeypatch.chdir(tmp_path)  # where the workers look for modules
    ray = cluster.import_ray()
    (tmp_path / "dies_once.py").write_text(
        "import os, pathlib, numpy\n"
        "def data(split):\n"
        "    mark = pathlib.Path(__file__).with_name('attempts')\n"
        "    with mark.open('a') as stream: stream.write('x')\n"
        "    if len(mark.read_text()) == 1: os._exit(1)\n"
        "    pixels = numpy.arange(64 * 64).reshape(64, 1, 8, 8) % 16\n"
        "    return pixels.astype(numpy.uint8), numpy.arange(64) % 10\n"
    )
    base = SMALL | {"epochs": 1, "data": "dies_once:data", "batch_size": 32}
    path = write(tmp_path, recipe=base, grid={"arguments": {"channels": [4, 8]}}, retries=2)
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        value = api.sweep(path, tmp_path / "out")
    finally:
        ray.shutdown()
    assert [row["status"] for row in value["rows"]] == ["done", "done"], value
    assert len((tmp_path / "attempts").read_text()) == 5, "two splits for each trial, and the attempt that died"
