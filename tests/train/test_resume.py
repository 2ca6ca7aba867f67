"""A run that was cut off goes on to the result of one that never stopped; another recipe, other data or a damaged state are refused."""

from __future__ import annotations

import dataclasses
import errno
import os
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytest.importorskip("lightning_fabric")

from qnn_deploy.errors import UserError  # noqa: E402
from qnn_deploy.train import metrics, state  # noqa: E402
from qnn_deploy.train.loop import train  # noqa: E402
from qnn_deploy.train.recipe import Recipe  # noqa: E402
from tests.train._runs import digits, recipe, run, run_until, without_seconds  # noqa: E402

# A stochastic, annealed quantiser, momentum, weight decay, augmentation, a clip: everything that has a state.
EVERYTHING: dict[str, Any] = {
    "architecture": "cnv",
    "arguments": {
        "channels": [4, 4, 4],
        "dense": [8],
        "in_channels": 1,
        "size": 8,
        "padding": 1,
        "zero": [8],
        "weights": {"name": "ana", "strategy": "random"},
    },
    "schedules": [{"target": "*.sigma", "ramp": "power", "start": 1.0, "final": 0.0, "order": "partition"}],
    "clip": {"factor": 2.0},
    "optimizer": {"name": "sgd", "weight_decay": 1e-4},
    "crop": 1,
    "flip": True,
    "freeze": [[0.6, 1]],
}


def same(a: dict[str, Any], b: dict[str, Any]) -> None:
    assert a.keys() == b.keys()
    for key in a:
        assert torch.equal(a[key], b[key]), key


def refused(folder: Path, wanted: Recipe, code: str = "QD0205", data: Any = None) -> UserError:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(UserError) as caught:
        train(wanted, *(data or digits()), folder, resume=True)
    assert caught.value.code == code
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before, "a refusal changes nothing"
    return caught.value


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the quick recipe, stopped behind its first epoch; not to be changed (copy it)."""
    folder = tmp_path_factory.mktemp("cut") / "run"
    run_until(recipe(), folder, 1)
    return folder


@pytest.mark.parametrize("changes", [{}, EVERYTHING], ids=["plain", "everything"])
def test_interrupted_at_each_epoch_and_resumed(tmp_path: Path, changes: dict[str, Any]) -> None:
    wanted = recipe(**changes)
    whole = run(wanted, tmp_path / "whole")
    expected = state.load(tmp_path / "whole" / state.FILE)
    for stop in (1, 2, 3):
        folder = tmp_path / f"cut{stop}"
        run_until(wanted, folder, stop)
        random.random(), torch.rand(5)  # what happens in between must not matter
        same(run(wanted, folder, resume=True).state_dict(), whole.state_dict())
        found = state.load(folder / state.FILE)
        assert without_seconds(found.rows) == without_seconds(expected.rows)
        assert len((folder / "metrics.csv").read_text().splitlines()) == 4
        for a, b in zip(found.optimizer, expected.optimizer, strict=True):
            assert a["param_groups"] == b["param_groups"]
            for index, values in a["state"].items():
                same({k: torch.as_tensor(v) for k, v in values.items()}, {k: torch.as_tensor(v) for k, v in b["state"][index].items()})


def test_two_interruptions(tmp_path: Path) -> None:
    whole = run(recipe(), tmp_path / "whole")
    run_until(recipe(), tmp_path / "cut", 1)
    with pytest.raises(AssertionError, match="came to its end"):
        run_until(recipe(), tmp_path / "cut", 9)  # a fresh start, not a resumption
    run_until(recipe(), tmp_path / "cut", 1)

    def report(row: dict[str, Any]) -> None:
        if row["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(recipe(), tmp_path / "cut", resume=True, report=report)
    same(run(recipe(), tmp_path / "cut", resume=True).state_dict(), whole.state_dict())


def test_killed_between_the_two_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``last.pt`` of epoch 2 is there, ``metrics.csv`` still ends with epoch 1: no row is lost, none comes twice."""
    run(recipe(), tmp_path / "whole")

    def killed(path: Path, rows: list[Any]) -> None:
        if len(rows) == 2:
            raise KeyboardInterrupt
        real(path, rows)

    real = metrics.write_csv
    monkeypatch.setattr(metrics, "write_csv", killed)
    with pytest.raises(KeyboardInterrupt):
        run(recipe(), tmp_path / "cut")
    monkeypatch.undo()
    assert len((tmp_path / "cut" / "metrics.csv").read_text().splitlines()) == 2
    run(recipe(), tmp_path / "cut", resume=True)

    def rows(name: str) -> list[str]:
        return [line.rpartition(",")[0] for line in (tmp_path / name / "metrics.csv").read_text().splitlines()]

    assert rows("cut") == rows("whole")


def test_resuming_what_is_finished_or_not_begun(tmp_path: Path) -> None:
    first = run(recipe(epochs=1), tmp_path / "run", resume=True)
    content = (tmp_path / "run" / state.FILE).read_bytes()
    same(run(recipe(epochs=1), tmp_path / "run", resume=True).state_dict(), first.state_dict())
    assert (tmp_path / "run" / state.FILE).read_bytes() == content


@pytest.mark.parametrize(
    "changes", [{"learning_rate": 0.02, "seed": 4}, {"optimizer": "sgd"}, {"epochs": 2}, {"arguments": {"channels": 8}}]
)
def test_another_recipe_is_refused(cut: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    folder = Path(shutil.copytree(cut, tmp_path / "run"))
    message = refused(folder, recipe(**changes)).message
    assert all(key in message for key in changes)


def test_a_key_that_recipes_did_not_have_then_has_its_default(cut: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(cut, tmp_path / "run"))
    saved = state.load(folder / state.FILE)
    older = {key: value for key, value in saved.recipe.items() if key != "init"}
    state.save(folder / state.FILE, dataclasses.replace(saved, recipe=older))
    run(recipe(), folder, resume=True)


def test_more_epochs_where_they_do_not_matter(cut: Path, tmp_path: Path) -> None:
    assert "lr_schedule, warmup count in shares" in refused(Path(shutil.copytree(cut, tmp_path / "a")), recipe(epochs=5)).message
    free = {"lr_schedule": {"name": "step", "at": [2]}, "warmup": 0.0}
    run(recipe(epochs=2, **free), tmp_path / "run")
    longer = run(recipe(epochs=4, **free), tmp_path / "run", resume=True)
    same(longer.state_dict(), run(recipe(epochs=4, **free), tmp_path / "whole").state_dict())
    refused(tmp_path / "run", recipe(epochs=3, **free))
    assert "freeze" in refused(tmp_path / "run", recipe(epochs=6, freeze=[[0.5, 1]], **free)).message


def test_other_data_are_refused_and_another_path_is_not(cut: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(cut, tmp_path / "run"))
    train_set, test_set = digits()
    images = train_set.images.copy()
    images[3, 0, 4, 4] ^= 1
    assert "other data" in refused(folder, recipe(), data=(dataclasses.replace(train_set, images=images), test_set)).message
    run(recipe(data="elsewhere"), folder, resume=True)


def test_damaged_states_are_named(cut: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(cut, tmp_path / "run"))
    path = folder / state.FILE
    content = path.read_bytes()
    for damaged in (b"", b"nothing of ours", content[: len(content) // 2], content[:-10]):
        path.write_bytes(damaged)
        error = refused(folder, recipe(), "QD0102")
        assert str(path) in error.where and "--resume" in error.help
    torch.save({"epoch": 1, "model": {}, "optimizer": {}}, path)  # of an older version
    refused(folder, recipe(), "QD0102")


def test_a_full_disk_leaves_the_last_good_state(cut: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(shutil.copytree(cut, tmp_path / "run"))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("qnn_deploy.files.os.fsync", full)
    with pytest.raises(UserError) as caught:
        run(recipe(), folder, resume=True)
    assert caught.value.code == "QD0105" and "No space left" in caught.value.message
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    monkeypatch.undo()
    whole = run(recipe(), tmp_path / "whole")
    same(run(recipe(), folder, resume=True).state_dict(), whole.state_dict())


def test_the_generators_come_back() -> None:
    import numpy as np

    saved = state.rng_state()
    first = random.random(), float(np.random.rand()), float(torch.rand(()))
    state.set_rng_state(saved)
    assert (random.random(), float(np.random.rand()), float(torch.rand(()))) == first
