"""Two processes on the CPU: they end and agree on the weights; and what goes wrong in one reaches the caller."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytest.importorskip("lightning_fabric")

from torch.multiprocessing.spawn import ProcessRaisedException  # noqa: E402

from qnn_deploy.data import Dataset  # noqa: E402
from qnn_deploy.errors import QnnDeployError, UserError  # noqa: E402
from qnn_deploy.train import state  # noqa: E402
from qnn_deploy.train.build import load_trained  # noqa: E402
from qnn_deploy.train.evaluation import count_correct  # noqa: E402
from qnn_deploy.train.loop import train_process  # noqa: E402
from qnn_deploy.train.parallel import launch, make_fabric  # noqa: E402
from qnn_deploy.train.recipe import Recipe  # noqa: E402
from tests.train._runs import digits, recipe, run  # noqa: E402


def train_and_save(fabric: Any, wanted: Recipe, train_set: Dataset, test_set: Dataset, folder: Path, emit: Any) -> None:
    """Runs in each process: train, and write this one's own weights."""
    model = train_process(fabric, wanted, train_set, test_set, folder, False, emit=emit)
    torch.save(model.state_dict(), folder / f"rank{fabric.global_rank}.pt")


@pytest.mark.slow
def test_two_processes_come_to_an_end_with_the_same_weights(tmp_path: Path) -> None:
    events: list[tuple[str, Any]] = []
    wanted = recipe(epochs=2, devices=2, freeze=[[0.5, 1]])
    launch(make_fabric(wanted), train_and_save, wanted, *digits(), tmp_path, emit=lambda name, value: events.append((name, value)))
    rows = [value for name, value in events if name == "row"]
    assert [row["epoch"] for row in rows] == [1, 2]
    assert all(math.isfinite(row[key]) for row in rows for key in ("loss", "train_accuracy", "test_accuracy"))
    assert 0 < rows[-1]["train_accuracy"] <= 1 and rows[-1]["test_correct"] == count_correct(load_trained(tmp_path), digits()[1])
    first, second = (torch.load(tmp_path / f"rank{rank}.pt") for rank in range(2))
    saved = state.load(tmp_path / state.FILE)
    assert len(saved.rng) == 2
    for key, tensor in saved.model.items():
        assert torch.equal(first[key], second[key]) and torch.equal(first[key], tensor), key


class FailingFabric:
    """Stands for two processes of which one fails: runs the function here, and ends as torch's launcher does."""

    strategy = SimpleNamespace(launcher="spawn")

    def launch(self, function: Any) -> None:
        try:
            function(self)
        except Exception as error:
            raise ProcessRaisedException("the trace of the process", 1, 1234) from error


@pytest.mark.parametrize("raised,code", [(UserError("QD0204", "diverged", where="there"), "QD0204"), (ValueError("a bug"), "QD0901")])
def test_what_a_process_raises_reaches_the_caller(raised: Exception, code: str) -> None:
    events: list[tuple[str, Any]] = []

    def fail(fabric: Any, what: Exception, emit: Any) -> None:
        emit("row", 1)
        raise what

    with pytest.raises(QnnDeployError) as caught:
        launch(FailingFabric(), fail, raised, emit=lambda name, value: events.append((name, value)))  # type: ignore[arg-type]
    assert caught.value.code == code and caught.value.where == getattr(raised, "where", "")
    assert events == [("row", 1)]


def test_what_the_caller_s_function_raises_comes_back() -> None:
    def interrupt(name: str, value: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        launch(FailingFabric(), lambda fabric, emit: emit("row", 1), emit=interrupt)  # type: ignore[arg-type]


def test_one_process_needs_no_launcher(tmp_path: Path) -> None:
    calls = []
    launch(make_fabric(recipe()), lambda fabric, emit: calls.append(fabric.world_size), emit=lambda name, value: None)
    assert calls == [1]
    run(recipe(epochs=1), tmp_path, report=lambda row: calls.append(row["epoch"]))
    assert calls == [1, 1]


def test_devices_that_are_not_there() -> None:
    with pytest.raises(UserError) as caught:
        make_fabric(recipe(device="cuda", devices=64))
    assert caught.value.code == "QD0202" and "64" in caught.value.message
