"""Training on digits: it learns, it resumes to the same result, and the folded checkpoint is what was trained."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

from qnn_deploy.data import load  # noqa: E402
from qnn_deploy.errors import UserError  # noqa: E402
from qnn_deploy.train.data import augment, resize  # noqa: E402
from qnn_deploy.train.loop import count_correct, learning_rate, train  # noqa: E402
from qnn_deploy.train.recipe import Recipe, read_recipe  # noqa: E402

ROOT = Path(__file__).parents[2]
DIGITS = Recipe("digits-cnn", "digits", epochs=3, batch_size=64, learning_rate=1e-2, logit_scale=0.03, threads=1)


def test_the_shipped_recipe_learns_the_digits(tmp_path: Path) -> None:
    recipe = read_recipe(ROOT / "models/digits-cnn-w1a1/recipe.toml", ("epochs=8", "threads=1"))
    metrics: list[dict[str, float]] = []
    model = train(recipe, load("digits", "train"), load("digits"), tmp_path, report=metrics.append)
    assert count_correct(model, load("digits")) == metrics[-1]["test_correct"] > 0.9 * len(load("digits").labels)
    with (tmp_path / "metrics.csv").open() as stream:
        assert len(list(csv.DictReader(stream))) == 8


def test_a_resumed_run_gives_the_same_weights(tmp_path: Path) -> None:
    data = load("digits", "train").take(256), load("digits").take(64)
    whole = train(DIGITS, *data, _folder(tmp_path / "whole"), report=lambda _: None)

    class StopError(Exception):
        pass

    def stop_after_two(metrics: dict[str, float]) -> None:
        if metrics["epoch"] == 2:
            raise StopError

    with pytest.raises(StopError):
        train(DIGITS, *data, _folder(tmp_path / "cut"), report=stop_after_two)
    resumed = train(DIGITS, *data, tmp_path / "cut", resume=True, report=lambda _: None)
    for a, b in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_schedule() -> None:
    assert learning_rate(DIGITS, 0) == 0
    assert learning_rate(DIGITS, DIGITS.warmup) == DIGITS.learning_rate
    assert learning_rate(DIGITS, 1.0) < 1e-12


def test_augmentation_only_moves_pixels() -> None:
    images = torch.arange(2 * 3 * 8 * 8, dtype=torch.uint8).reshape(2, 3, 8, 8)
    moved = augment(images, 0, True, torch.Generator().manual_seed(1))
    for before, after in zip(images, moved, strict=True):
        assert torch.equal(after, before) or torch.equal(after, before.flip(2))
    assert augment(images, 2, False, torch.Generator()).shape == images.shape
    assert resize(images, 4)[0, 0, 0, 0] == images[0, 0, :2, :2].float().mean().round()


def test_bad_recipes(tmp_path: Path) -> None:
    good = 'architecture = "cnv"\ndata = "digits"\nepochs = 1\n'
    bad = [good + "speed = 1\n", "epochs = 3\n", good.replace("1", '"x"')]
    for text, code in [("epochs = ", "QD0201"), *((text, "QD0202") for text in bad)]:
        path = tmp_path / "recipe.toml"
        path.write_text(text)
        with pytest.raises(UserError) as caught:
            read_recipe(path)
        assert caught.value.code == code
    with pytest.raises(UserError):
        read_recipe(tmp_path / "none.toml")


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def test_frozen_layers_keep_their_weights_and_statistics(tmp_path: Path) -> None:
    data = load("digits", "train").take(256), load("digits").take(64)
    start = train(dataclasses.replace(DIGITS, epochs=1), *data, _folder(tmp_path / "start"), report=lambda _: None)
    frozen = dataclasses.replace(DIGITS, freeze=((0.3, 1),))
    before = {name: value.clone() for name, value in start.state_dict().items()}
    model = train(frozen, *data, tmp_path / "start", resume=True, report=lambda _: None)
    after = model.state_dict()
    first = [name for name in before if name.startswith(("layers.1.", "layers.2."))]
    assert len(first) >= 5
    assert all(torch.equal(before[name], after[name]) for name in first)
    assert not torch.equal(before["layers.4.weight"], after["layers.4.weight"])
