"""Distillation: the loss, the teachers that can be named, and a student that follows its teacher."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytest.importorskip("lightning_fabric")

from qnn_deploy.data import Dataset  # noqa: E402
from qnn_deploy.errors import UserError  # noqa: E402
from qnn_deploy.nn import checkpoint  # noqa: E402
from qnn_deploy.train import state  # noqa: E402
from qnn_deploy.train.check import check_data, check_recipe  # noqa: E402
from qnn_deploy.train.distill import Teacher, distillation_loss  # noqa: E402
from qnn_deploy.train.loop import train  # noqa: E402
from qnn_deploy.train.teacher import SoftTargets, load_teacher  # noqa: E402
from tests.train._runs import digits, recipe, run  # noqa: E402


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a trained teacher, with its checkpoint."""
    folder = tmp_path_factory.mktemp("teacher")
    model = run(recipe(arguments={"channels": 24}, epochs=4), folder)
    checkpoint.save(folder / "model.pt", model, "digits-cnn", {"channels": 24}, {"recipe": {"logit_scale": 0.1}})
    return folder


def test_the_loss_is_the_divergence() -> None:
    logits, teacher = torch.tensor([[1.0, 2.0, 4.0]]), torch.tensor([[0.0, 3.0, 3.0]])
    for temperature in (1.0, 3.0):
        p, q = ((x / temperature).softmax(1) for x in (teacher, logits))
        expected = temperature**2 * (p * (p / q).log()).sum()
        assert float(distillation_loss(logits, p, temperature)) == pytest.approx(float(expected), rel=1e-5)
    assert abs(float(distillation_loss(logits, logits.softmax(1), 1.0))) < 1e-6


def test_a_folder_and_its_checkpoint_are_the_same_teacher(taught: Path) -> None:
    images = torch.from_numpy(digits()[1].images)
    answers = [SoftTargets(Teacher(str(path), temperature=2.0)).eval()(images) for path in (taught, taught / "model.pt")]
    assert torch.equal(answers[0], answers[1]) and not answers[0].requires_grad
    assert torch.allclose(answers[0].sum(1), torch.ones(len(images)))
    assert load_teacher(taught)[1] == 0.1 == load_teacher(taught / "model.pt")[1]


def test_a_student_learns_from_its_teacher_alone(taught: Path, tmp_path: Path) -> None:
    """With weight 1 the labels are not looked at: permuted ones do no harm."""
    train_set, test_set = digits()
    wrong = Dataset(train_set.images, np.roll(train_set.labels, 1), "wrong labels")
    taught_by: dict[str, Any] = {"distill": {"teacher": str(taught), "temperature": 2.0, "weight": 1.0}}
    rows: list[dict[str, Any]] = []
    train(recipe(epochs=6, **taught_by), wrong, test_set, tmp_path, report=rows.append)
    assert rows[-1]["test_accuracy"] > 0.5 > 0.3 > rows[-1]["train_accuracy"]


def test_the_teacher_does_not_change(taught: Path, tmp_path: Path) -> None:
    before = state.load(taught / state.FILE).model
    wanted = recipe(distill={"teacher": str(taught / "model.pt")}, epochs=1)
    a, b = (run(wanted, tmp_path / name).state_dict() for name in "ab")
    assert all(torch.equal(a[key], b[key]) for key in a)
    after = state.load(taught / state.FILE).model
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_teachers_that_cannot_teach(taught: Path, tmp_path: Path) -> None:
    for distill, code in (
        ({"teacher": str(tmp_path)}, "QD0101"),
        ({"teacher": str(tmp_path / "none.pt")}, "QD0101"),
        ({"teacher": str(taught), "weight": 0.0}, "QD0202"),
        ({"teacher": str(taught), "temperature": 0.0}, "QD0202"),
    ):
        with pytest.raises(UserError) as caught:
            check_recipe(recipe(distill=distill), "recipe.toml")
        assert (caught.value.code == code and "recipe.toml" in caught.value.where) or "test" in caught.value.where
    (tmp_path / "bad.pt").write_bytes(b"no checkpoint")
    bad, fewer = recipe(distill={"teacher": str(tmp_path / "bad.pt")}), recipe(distill={"teacher": str(taught)}, arguments={"classes": 11})
    for wanted, code in ((bad, "QD0102"), (fewer, "QD0202")):
        with pytest.raises(UserError) as caught:
            check_data(wanted, check_recipe(wanted, "r"), *digits())
        assert caught.value.code == code
