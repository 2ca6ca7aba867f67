"""A run that leaves the finite numbers stops, says where, and keeps its last good epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytest.importorskip("lightning_fabric")

from torch import nn  # noqa: E402

from qnn_deploy.errors import Exit, UserError  # noqa: E402
from qnn_deploy.nn.architectures import ARCHITECTURES  # noqa: E402
from qnn_deploy.train import state  # noqa: E402
from qnn_deploy.train.nonfinite import first_non_finite_layer, non_finite_state  # noqa: E402
from tests.train._runs import recipe, run  # noqa: E402


class Breaks(nn.Module):
    """Passes through, and gives Inf from its n-th training step on."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.register_buffer("left", torch.tensor(steps))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.left -= 1
        return x + torch.where(self.left < 0, torch.inf, 0.0)


def breaking(channels: int = 16, steps: int = 6) -> nn.Module:
    """The digits network with a layer that breaks, the sixth of its sequence."""
    model = ARCHITECTURES["digits-cnn"](channels)
    model.layers.insert(5, Breaks(steps))
    return model


def test_it_stops_and_names_the_layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ARCHITECTURES, "breaking", breaking)
    rows: list[dict[str, Any]] = []
    with pytest.raises(UserError) as caught:
        run(recipe(architecture="breaking"), tmp_path, report=rows.append)
    error = caught.value
    assert (error.code, error.exit_code) == ("QD0204", Exit.BAD_INPUT)
    assert (
        "the gradient is not finite in step 3 of epoch 2" in error.message
        and "layers.5 (Breaks)" in error.where
        and "last.pt holds epoch 1" in error.help
    )
    assert [row["epoch"] for row in rows] == [1]
    saved = state.load(tmp_path / state.FILE)
    assert saved.epoch == 0 and all(bool(torch.isfinite(tensor).all()) for tensor in saved.model.values())
    assert len((tmp_path / "metrics.csv").read_text().splitlines()) == 2


def test_in_the_first_epoch_there_is_nothing_to_keep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ARCHITECTURES, "breaking", breaking)
    with pytest.raises(UserError) as caught:
        run(recipe(architecture="breaking", arguments={"steps": 0}), tmp_path)
    assert "no epoch was finished" in caught.value.help and not (tmp_path / state.FILE).exists()


def test_a_loss_that_is_not_finite(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        run(recipe(logit_scale=1e38), tmp_path)
    assert caught.value.code == "QD0204" and "the loss is" in caught.value.message and "the loss itself" in caught.value.where


def test_the_place_is_the_first_in_forward_order() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.ReLU(), nn.Linear(2, 1))
    x = torch.ones(3, 2)
    assert non_finite_state(model) is None and first_non_finite_layer(model, x) is None
    with torch.no_grad():
        model[1].weight[0] = torch.nan
    assert non_finite_state(model) == "1.weight"
    assert first_non_finite_layer(model, x) == "1 (BatchNorm1d)"
    assert not model[0]._forward_hooks, "the hooks are gone"
