"""Every recipe of docs/training-methods.md is one: it is read, its network is built, and its schedules reach something."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")

from qnn_deploy.nn.anneal import Schedule, Scheduler, quantities, read_schedule  # noqa: E402
from qnn_deploy.nn.architectures import ARCHITECTURES  # noqa: E402
from qnn_deploy.nn.quantizers import weight_quantizer  # noqa: E402
from qnn_deploy.nn.ramps import RAMPS  # noqa: E402
from qnn_deploy.train.optimizers import make_optimizer  # noqa: E402
from qnn_deploy.train.recipe import Recipe, read_recipe  # noqa: E402

PAGE = (Path(__file__).parents[2] / "docs/training-methods.md").read_text()
BLOCKS = re.findall(r"```toml\n(.*?)```", PAGE, flags=re.S)
RECIPES = [block for block in BLOCKS if "architecture" in block]


def read(block: str, folder: Path) -> Recipe:
    path = folder / "recipe.toml"
    path.write_text(block)
    return read_recipe(path)


@pytest.mark.parametrize("block", RECIPES)
def test_recipes_can_be_trained(block: str, tmp_path: Path) -> None:
    recipe = read(block, tmp_path)
    model = ARCHITECTURES[recipe.architecture](**recipe.arguments)
    Scheduler(model, [Schedule(**table) for table in recipe.schedules], recipe.epochs)
    make_optimizer(recipe.optimizer, model, recipe.learning_rate)


def test_the_lone_schedule_is_one(tmp_path: Path) -> None:
    (block,) = [block for block in BLOCKS if block not in RECIPES]
    recipe = read('architecture = "resnet"\ndata = "cifar10"\nepochs = 1\n' + block, tmp_path)
    schedule = read_schedule(recipe.schedules[0])
    quantizer = weight_quantizer({"name": "ir-net", "estimator": "ede"})
    Scheduler(quantizer, [schedule]).set_progress(1.0)
    assert [float(quantity.buffer) for quantity in quantities(quantizer).values()] == [10.0]


def test_every_ramp_is_described() -> None:
    table = PAGE[PAGE.index("| ramp | value") :]
    named = {name for row in re.findall(r"^\| ([a-z_, ]+) \|", table[: table.index("\n\n")], flags=re.M) for name in row.split(", ")}
    assert named - {"ramp"} == set(RAMPS)
