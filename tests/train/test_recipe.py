"""Recipes: read, completed, written, read again; everything wrong with one is refused with its key, before any data are read."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")

from qnn_deploy import data  # noqa: E402
from qnn_deploy.errors import UserError  # noqa: E402
from qnn_deploy.train import toml_writer  # noqa: E402
from qnn_deploy.train.check import check_data, check_recipe  # noqa: E402
from qnn_deploy.train.recipe import make_recipe, plain, read_recipe, write_recipe  # noqa: E402
from qnn_deploy.train.run import run  # noqa: E402
from tests.train._runs import SMALL, digits, recipe  # noqa: E402

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "models").glob("*/recipe.toml"))


def refused(code: str, **changes: Any) -> UserError:
    with pytest.raises(UserError) as caught:
        check_recipe(recipe(**changes), "recipe.toml")
    assert caught.value.code == code
    return caught.value


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.parent.name)
def test_shipped_recipes_are_good_and_come_back(path: Path, tmp_path: Path) -> None:
    shipped = read_recipe(path)
    check_recipe(shipped, str(path))
    (tmp_path / "recipe.toml").write_text(write_recipe(shipped))
    assert read_recipe(tmp_path / "recipe.toml") == shipped
    assert json.loads(json.dumps(plain(shipped))) == plain(shipped)


def test_everything_is_filled_in() -> None:
    made = recipe(optimizer="sgd", clip={"factor": 2}, distill={"teacher": "x.pt"})
    assert made.optimizer == {"name": "sgd", "momentum": 0.9, "nesterov": False, "weight_decay": 0.0, "groups": [], "two_pass": False}
    assert isinstance(made.clip, dict) and made.clip["factor"] == 2.0 and made.clip["mode"] == "std"
    assert made.distill == {"teacher": "x.pt", "temperature": 4.0, "weight": 0.9}


def test_overrides_reach_into_tables(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text('architecture = "digits-cnn"\ndata = "digits"\nepochs = 1\noptimizer = "sgd"\n')
    made = read_recipe(path, ("epochs=7", "optimizer.momentum=0.5", "arguments.weights.name=ttq", 'data="npy:x"', "seed = 3"))
    assert (made.epochs, made.data, made.seed) == (7, "npy:x", 3)
    assert isinstance(made.optimizer, dict) and (made.optimizer["name"], made.optimizer["momentum"]) == ("sgd", 0.5)
    assert made.arguments == {"weights": {"name": "ttq"}}
    for bad in ("epochs", "epochs.x=3"):
        with pytest.raises(UserError) as caught:
            read_recipe(path, (bad,))
        assert caught.value.code == "QD0202"


def test_bad_files(tmp_path: Path) -> None:
    good = 'architecture = "cnv"\ndata = "digits"\nepochs = 1\n'
    bad = [good + "speed = 1\n", "epochs = 3\n", good.replace("1", '"x"'), good + "sizes = [3]\n", good + "arguments = 3\n"]
    for text, code in [("epochs = ", "QD0201"), *((text, "QD0202") for text in bad)]:
        path = tmp_path / "recipe.toml"
        path.write_text(text)
        with pytest.raises(UserError) as caught:
            read_recipe(path)
        assert caught.value.code == code and str(path) in caught.value.where
    with pytest.raises(UserError):
        read_recipe(tmp_path / "none.toml")


@pytest.mark.parametrize(
    "changes,name,help",
    [
        ({"optimiser": "sgd"}, "optimiser", "'optimizer'"),
        ({"optimizer": "adm"}, "adm", "'adam'"),
        ({"optimizer": {"name": "sgd", "momentun": 0.9}}, "optimizer.momentun", "'optimizer.momentum'"),
        ({"optimizer": {"name": "bop", "rest": {"name": "bop"}}}, "bop", "adam"),
        ({"optimizer": {"name": "sgd", "groups": [{"match": "*", "decay": 1}]}}, "optimizer.groups[0].decay", "weight_decay"),
        ({"lr_schedule": "cosin"}, "cosin", "'cosine'"),
        ({"lr_schedule": {"name": "step", "att": [3]}}, "lr_schedule.att", "'lr_schedule.at'"),
        ({"clip": "nome"}, "nome", "'none'"),
        ({"clip": {"factors": 4.0}}, "clip.factors", "'clip.factor'"),
        ({"distill": {"teacher": "x", "temprature": 3}}, "distill.temprature", "'distill.temperature'"),
        ({"schedules": [{"target": "*.sigma", "rampp": "linear"}]}, "rampp", "'ramp'"),
        ({"precision": "float16"}, "float16", "float32"),
        ({"device": "gpu"}, "gpu", "cuda"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_unknown_names_are_refused_with_the_nearest(changes: dict[str, Any], name: str, help: str) -> None:
    with pytest.raises(UserError) as caught:
        recipe(**changes)
    assert caught.value.code == "QD0202" and name in caught.value.message and help in caught.value.help
    assert caught.value.where.startswith("test")


@pytest.mark.parametrize(
    "changes,named",
    [
        ({"architecture": "digits-cn"}, "digits-cn"),
        ({"arguments": {"chanels": 3}}, "arguments.chanels"),
        ({"arguments": {"channels": "many"}}, "arguments"),
        ({"epochs": 0}, "epochs"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"warmup": 1.0}, "warmup"),
        ({"label_smoothing": 1.0}, "label_smoothing"),
        ({"batch_size": 63, "devices": 2}, "batch_size"),
        ({"sizes": [[0.5, 8], [0.2, 8]]}, "sizes"),
        ({"freeze": [[0.5, 3]]}, "freeze"),
        ({"lr_schedule": {"name": "step", "at": ["x"]}}, "lr_schedule.at"),
        ({"clip": {"factor": -1.0}}, "clip"),
        ({"optimizer": {"name": "sgd", "groups": [{"match": "*.gamma"}]}}, "'*.gamma'"),
        ({"optimizer": {"name": "sgd", "two_pass": True}}, "two_pass"),
        ({"schedules": [{"target": "*.sigma"}]}, "schedule"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_contradictions_are_refused(changes: dict[str, Any], named: str) -> None:
    error = refused("QD0202", **changes)
    assert named in error.message + error.where and error.where.startswith("recipe.toml")


def test_ill_typed_values() -> None:
    for changes in ({"epochs": 1.5}, {"flip": 1}, {"seed": True}, {"optimizer": 3}, {"schedules": [1]}, {"distill": "x.pt"}):
        with pytest.raises(UserError) as caught:
            make_recipe(SMALL | changes, "test")
        assert caught.value.code == "QD0202" and next(iter(changes)) in caught.value.message


def test_a_bad_recipe_reads_no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "load", lambda *arguments: pytest.fail("data were read"))
    (tmp_path / "recipe.toml").write_text(write_recipe(recipe(arguments={"chanels": 3})))
    with pytest.raises(UserError) as caught:
        run(str(tmp_path / "recipe.toml"), tmp_path / "out", report=lambda row: None, progress=lambda *steps: None)
    assert caught.value.code == "QD0202" and not (tmp_path / "out").exists()


def test_data_that_do_not_fit() -> None:
    train_set, test_set = digits()
    network = check_recipe(recipe(), "r")
    check_data(recipe(), network, train_set, test_set)
    wide = data.Dataset(train_set.images.repeat(2, axis=3), train_set.labels, "wide")
    unlabelled = data.Dataset(train_set.images, train_set.labels * 0 - 1, "unlabelled")
    many = data.Dataset(train_set.images, train_set.labels + 1, "many")
    for bad, code, named in ((wide, "QD0104", "[1, 8, 16]"), (unlabelled, "QD0203", "labels"), (many, "QD0203", "a label is 10")):
        with pytest.raises(UserError) as caught:
            check_data(recipe(), network, bad, test_set)
        assert caught.value.code == code and named in caught.value.message and caught.value.where == bad.name
    with pytest.raises(UserError) as caught:
        check_data(recipe(batch_size=512), network, train_set, test_set)
    assert "512" in caught.value.message and "256" in caught.value.message


def test_toml_comes_back() -> None:
    table = {
        "a": 1,
        "b": [1.5, 1e-8, float("inf")],
        "text": 'quotes " \\ and\nnewlines \x7f ü',
        "odd key.é": {"inner": {"deep": [], "none": None}, "empty": {}},
        "flags": [True, False],
        "none": None,
        "rows": [{"x": 1}, {"y": [[0.5, 3]]}],
    }
    back = tomllib.loads(toml_writer.dumps(table))
    assert back.pop("odd key.é") == {"inner": {"deep": []}, "empty": {}}
    assert back == {key: value for key, value in table.items() if key not in ("none", "odd key.é")}
    with pytest.raises(TypeError):
        toml_writer.dumps({"x": object()})
