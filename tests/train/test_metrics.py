"""What is measured: flips, zeros, clipped shares; and the files it is written to."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytest.importorskip("lightning_fabric")

from qnn_deploy.errors import UserError  # noqa: E402
from qnn_deploy.nn.architectures import ARCHITECTURES  # noqa: E402
from qnn_deploy.train import metrics  # noqa: E402
from qnn_deploy.train.clipping import make_clip  # noqa: E402
from tests.train._runs import recipe, run, run_until  # noqa: E402


def test_flips_and_zeros() -> None:
    model = ARCHITECTURES["digits-cnn"](8).eval()
    before = metrics.low_bit_weights(model)
    total = sum(weight.numel() for weight in before)
    assert metrics.flip_ratio(before, metrics.low_bit_weights(model)) == 0 == metrics.sparsity(before)
    with torch.no_grad():
        model.layers[1].weight.mul_(-1)
    assert metrics.flip_ratio(before, metrics.low_bit_weights(model)) == round(before[0].numel() / total, 6)
    assert metrics.sparsity([torch.tensor([0, 1, 0, -1])]) == 0.5
    assert metrics.sparsity([]) is None


def test_clips_and_their_shares() -> None:
    model = ARCHITECTURES["digits-cnn"](8)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(0.5)
        model.layers[1].weight.view(-1)[:6] = torch.tensor([2.0, -2.0, 1.0, -1.0, 1.5, 0.0])
    latent = sum(parameter.numel() for parameter in model.parameters() if parameter.dim() > 1)
    share = make_clip("unit", model)(model)
    assert share is not None and float(share) == pytest.approx(3 / latent)
    assert model.layers[1].weight.view(-1)[:6].tolist() == [1, -1, 1, -1, 1, 0]
    assert make_clip("none", model)(model) is None
    assert float(make_clip({"factor": 0.5, "mode": "abs"}, model)(model)) == pytest.approx(5 / latent)
    assert float(model.layers[1].weight.detach().abs().max()) == 0.5


@pytest.mark.parametrize("where", ["post_step", "forward"])
def test_training_with_a_weight_clip(tmp_path: Path, where: str) -> None:
    rows: list[dict[str, Any]] = []
    run(recipe(clip={"factor": 1.5, "where": where}), tmp_path, report=rows.append)
    assert all(0 < row["clip_fraction"] < 0.5 for row in rows)


def test_event_files(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run_until(recipe(tensorboard=True), tmp_path, 2)
    run(recipe(tensorboard=True), tmp_path, resume=True)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("test_accuracy")] == [1, 2, 3]
    assert {"loss", "train_accuracy", "learning_rate", "flip_ratio", "clip_fraction", "sparsity", "seconds"} <= set(
        events.Tags()["scalars"]
    )


def test_event_files_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *arguments: Any, **options: Any) -> Any:
        if name.startswith("torch.utils.tensorboard"):
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(UserError) as caught:
        run(recipe(tensorboard=True), tmp_path)
    assert caught.value.code == "QD0111" and "tensorboard" in caught.value.help
    assert not (tmp_path / "tensorboard").exists()
