"""Training on digits: it learns, it repeats itself, each option does what it says."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytest.importorskip("lightning_fabric")

from qnn_deploy.data import load  # noqa: E402
from qnn_deploy.errors import UserError  # noqa: E402
from qnn_deploy.train import state  # noqa: E402
from qnn_deploy.train.build import load_trained  # noqa: E402
from qnn_deploy.train.check import check_data, check_recipe  # noqa: E402
from qnn_deploy.train.data import augment, batches, resize  # noqa: E402
from qnn_deploy.train.evaluation import count_correct  # noqa: E402
from qnn_deploy.train.loop import train  # noqa: E402
from qnn_deploy.train.metrics import COLUMNS  # noqa: E402
from qnn_deploy.train.recipe import read_recipe  # noqa: E402
from tests.train._runs import digits, recipe, run, without_seconds  # noqa: E402

ROOT = Path(__file__).parents[2]


def test_the_shipped_recipe_learns_the_digits(tmp_path: Path) -> None:
    shipped = read_recipe(ROOT / "models/digits-cnn-w1a1/recipe.toml", ("epochs=4", "threads=1"))
    metrics: list[dict[str, Any]] = []
    model = train(shipped, load("digits", "train"), load("digits"), tmp_path, report=metrics.append)
    assert count_correct(model, load("digits")) == metrics[-1]["test_correct"] > 0.9 * len(load("digits").labels)
    assert metrics[-1]["train_accuracy"] > 0.9
    with (tmp_path / "metrics.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [list(row) for row in rows] == [list(COLUMNS)] * 4
    assert float(rows[0]["flip_ratio"]) > float(rows[-1]["flip_ratio"]) > 0


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_same_seed_gives_the_same_run(tmp_path: Path, precision: str) -> None:
    same = recipe(precision=precision, crop=1, flip=True)
    saved = []
    for name in ("a", "b"):
        run(same, tmp_path / name)
        saved.append(state.load(tmp_path / name / state.FILE))
    assert without_seconds(saved[0].rows) == without_seconds(saved[1].rows)
    for key, tensor in saved[0].model.items():
        assert torch.equal(tensor, saved[1].model[key]), key
    run(recipe(precision=precision, crop=1, flip=True, seed=1), tmp_path / "c")
    other = state.load(tmp_path / "c" / state.FILE).model
    assert any(not torch.equal(tensor, other[key]) for key, tensor in saved[0].model.items())


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": {"name": "sgd", "nesterov": True, "weight_decay": 1e-4}, "learning_rate": 0.3, "lr_schedule": "linear"},
        {"optimizer": "adamw", "lr_schedule": {"name": "step", "at": [6], "factor": 0.1}, "warmup": 0.0, "label_smoothing": 0.1},
        {"optimizer": {"name": "bop", "gamma": 1e-1, "threshold": 1e-5}, "lr_schedule": "linear"},
    ],
    ids=["sgd", "adamw", "bop"],
)
def test_every_way_of_training_learns(tmp_path: Path, changes: dict[str, Any]) -> None:
    rows: list[dict[str, Any]] = []
    run(recipe(epochs=8, **changes), tmp_path, report=rows.append)
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert rows[-1]["test_accuracy"] > 0.5


def test_bop_keeps_no_latent_weight(tmp_path: Path) -> None:
    run(recipe(optimizer={"name": "bop", "gamma": 1e-2}, epochs=1), tmp_path)
    for name, tensor in load_trained(tmp_path).named_parameters():
        if tensor.dim() >= 2:
            assert bool((tensor.abs() == 1).all()), name


def test_frozen_layers_keep_their_weights_and_statistics(tmp_path: Path) -> None:
    frozen = recipe(freeze=[[0.3, 1]], epochs=3)
    states: list[dict[str, Any]] = []
    run(frozen, tmp_path, report=lambda row: states.append(state.load(tmp_path / state.FILE).model))
    first = [name for name in states[0] if name.startswith(("layers.1.", "layers.2."))]
    assert len(first) >= 5
    assert all(torch.equal(states[0][name], states[2][name]) for name in first)
    assert not torch.equal(states[0]["layers.4.weight"], states[2]["layers.4.weight"])


def test_batches_are_a_function_of_seed_and_epoch() -> None:
    images, labels = torch.arange(10)[:, None], torch.arange(10)
    whole = [x for x, _, _ in batches(images, labels, 4, seed=3, epoch=1)]
    assert [len(x) for x in whole] == [4, 4]
    again = [x for x, _, _ in batches(images, labels, 4, seed=3, epoch=1)]
    assert all(torch.equal(a, b) for a, b in zip(whole, again, strict=True))
    other = [x for x, _, _ in batches(images, labels, 4, seed=3, epoch=2)]
    assert not all(torch.equal(a, b) for a, b in zip(whole, other, strict=True))
    parts = [[x for x, _, _ in batches(images, labels, 4, seed=3, epoch=1, rank=rank, ranks=2)] for rank in range(2)]
    for batch, left, right in zip(whole, *parts, strict=True):
        assert sorted(torch.cat([left, right]).flatten().tolist()) == sorted(batch.flatten().tolist())


def test_augmentation_only_moves_pixels() -> None:
    images = torch.arange(2 * 3 * 8 * 8, dtype=torch.uint8).reshape(2, 3, 8, 8)
    moved = augment(images, 0, True, torch.Generator().manual_seed(1))
    for before, after in zip(images, moved, strict=True):
        assert torch.equal(after, before) or torch.equal(after, before.flip(2))
    assert augment(images, 2, False, torch.Generator()).shape == images.shape
    assert resize(images, 4)[0, 0, 0, 0] == images[0, 0, :2, :2].float().mean().round()


def test_a_part_of_a_picture_is_cut_out_of_it() -> None:
    images = torch.arange(64, dtype=torch.uint8).reshape(1, 1, 8, 8).repeat(200, 1, 1, 1)
    parts = augment(images, 0, False, torch.Generator().manual_seed(1), 5)
    wanted = torch.arange(5)[:, None] * 8 + torch.arange(5)
    assert all(torch.equal(part[0] - part[0, 0, 0], wanted) for part in parts)
    assert sorted(set(parts[:, 0, 0, 0].tolist())) == [8 * top + left for top in range(4) for left in range(4)]
    assert augment(images, 2, True, torch.Generator(), 5).shape == (200, 1, 5, 5)


def test_parts_larger_than_the_pictures_are_refused() -> None:
    wanted = recipe(sizes=[[0.0, 11]], resize="crop", crop=1)
    with pytest.raises(UserError, match="parts of 11 pixels, and the images have 10") as caught:
        check_data(wanted, check_recipe(wanted, "test"), *digits())
    assert caught.value.code == "QD0202"
    fits = recipe(sizes=[[0.0, 10]], resize="crop", crop=1)
    check_data(fits, check_recipe(fits, "test"), *digits())
    with pytest.raises(UserError, match="resize"):
        recipe(resize="crops")
