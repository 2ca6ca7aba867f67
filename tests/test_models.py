"""The shipped models are what their ``expected.json`` says, and their accuracy is what the project promises."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

pytest.importorskip("torch")

from qnn_deploy import data
from qnn_deploy.train.build import build_network
from qnn_deploy.train.recipe import read_recipe
from tools.update_expected import FIRST, compiled, evaluated

MODELS = sorted(path.parent for path in (Path(__file__).parents[1] / "models").glob("*/expected.json"))
RECIPES = sorted((Path(__file__).parents[1] / "models").glob("*/recipe.toml"))
# Floors: what each model card states, rounded down.
PROMISED = {
    "digits-cnn-w1a1": 0.95,
    "cifar10-cnv-w1a1": 0.79,
    "cifar10-cnv-w2a2": 0.82,
    "cifar10-resnet20-w1a1": 0.80,
    "cifar10-resnet20-ttq": 0.86,
    "cifar10-resnet20-xnor": 0.85,
    "cifar10-resnet20-tga": 0.87,
    "cifar10-resnet20-blend": 0.84,
    "cifar10-resnet20-ana": 0.81,
}
LARGEST = {
    "digits-cnn-w1a1": 10_000,
    "cifar10-cnv-w1a1": 250_000,
    "cifar10-cnv-w2a2": 420_000,
    "cifar10-resnet20-w1a1": 90_000,
    "cifar10-resnet20-ttq": 100_000,
    "cifar10-resnet20-xnor": 60_000,
    "cifar10-resnet20-tga": 90_000,
    "cifar10-resnet20-blend": 100_000,
    "cifar10-resnet20-ana": 90_000,
}


def test_all_models_are_shipped() -> None:
    assert {folder.name for folder in MODELS} == set(PROMISED)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.parent.name)
def test_the_module_is_the_network_of_the_recipe(recipe: Path) -> None:
    written = runpy.run_path(str(recipe.with_name("model.py")))["model"]().state_dict()
    wanted = build_network(read_recipe(recipe)).state_dict()
    assert {name: tensor.shape for name, tensor in written.items()} == {name: tensor.shape for name, tensor in wanted.items()}


@pytest.mark.parametrize("folder", MODELS, ids=lambda folder: folder.name)
def test_the_packed_model_is_the_one_described(folder: Path) -> None:
    expected = json.loads((folder / "expected.json").read_text())
    assert expected.items() >= compiled(folder).items()
    assert expected["qdm_bytes"] < LARGEST[folder.name]
    assert expected["correct"] / expected["images"] >= PROMISED[folder.name]


@pytest.mark.parametrize("folder", MODELS, ids=lambda folder: folder.name)
def test_the_trained_model_gives_the_logits_described(folder: Path) -> None:
    expected = json.loads((folder / "expected.json").read_text())
    if "CIFAR" in expected["data"] and data.find_cifar10() is None:
        pytest.skip("CIFAR-10 was not found (QNN_DEPLOY_DATA); digits cover the path")
    found = evaluated(folder, FIRST if "CIFAR" in expected["data"] else None)
    if found["data"] != expected["data"]:
        pytest.skip(f"described on {expected['data']}, found {found['data']}")
    assert found["first_logits_sha256"] == expected["first_logits_sha256"]
    if found["images"] == expected["images"]:
        assert found["correct"] == expected["correct"]
