"""Clipping latent weights: bounds, shares, and the form in the forward pass."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from qnn_deploy.errors import UserError  # noqa: E402
from qnn_deploy.nn.layers import QuantConv2d, QuantLinear  # noqa: E402
from qnn_deploy.nn.quantizers import BinaryWeight, Int8Weight, weight_quantizer  # noqa: E402
from qnn_deploy.nn.weight_clip import WeightClip  # noqa: E402


def network() -> nn.Sequential:
    """A binary, a ternary and an int8 layer; channels of different sizes."""
    torch.manual_seed(0)
    model = nn.Sequential(
        QuantConv2d(4, 6, 3, BinaryWeight()), nn.Flatten(), QuantLinear(6, 5, weight_quantizer("ana")), QuantLinear(5, 3, Int8Weight())
    )
    with torch.no_grad():
        for index in (0, 2, 3):
            weight = model[index].weight
            weight.copy_(torch.randn(weight.shape) * torch.arange(1.0, len(weight) + 1).reshape(-1, *[1] * (weight.dim() - 1)))
    return model


def expected_bound(weight: np.ndarray, mode: str, factor: float) -> float:
    """The bound of one layer or channel, in double."""
    w = weight.astype(np.float64)
    return factor * {"std": math.sqrt(((w - w.mean()) ** 2).mean()), "mean_abs": np.abs(w).mean(), "abs": 1.0}[mode]


@pytest.mark.parametrize("mode", ["std", "mean_abs", "abs"])
@pytest.mark.parametrize("per", ["layer", "channel"])
def test_weights_end_at_their_bound_and_the_share_is_counted(mode: str, per: str) -> None:
    model = network()
    before = [model[index].weight.detach().clone() for index in (0, 2, 3)]
    share = WeightClip(1.5, mode, per)(model)
    outside = 0
    for weight, index in zip(before[:2], (0, 2), strict=True):
        after = model[index].weight.detach()
        parts = [(weight, after)] if per == "layer" else list(zip(weight, after, strict=True))
        for old, new in parts:
            bound = expected_bound(old.numpy(), mode, 1.5)
            np.testing.assert_allclose(new.numpy(), np.clip(old.numpy(), -bound, bound), rtol=1e-6)
            outside += int((np.abs(old.numpy()) > bound).sum())
    assert outside > 0 and float(share) == pytest.approx(outside / (before[0].numel() + before[1].numel()))
    assert torch.equal(model[3].weight, before[2])  # int8 is left alone


def test_the_bound_of_the_initialisation() -> None:
    model = network()
    WeightClip(2.0, "init")(model)
    first, second = (float(model[index].weight.detach().abs().max()) for index in (0, 2))
    assert first == pytest.approx(2 * math.sqrt(1.5 / (4 * 9 + 6 * 9)))
    assert second == pytest.approx(2 * math.sqrt(1.5 / (6 + 5)))


def test_the_default_is_four_standard_deviations_of_the_layer() -> None:
    clip = WeightClip()
    assert (clip.factor, clip.mode, clip.per, clip.where) == (4.0, "std", "layer", "post_step")
    model = nn.Sequential(QuantLinear(1000, 2, BinaryWeight()))
    with torch.no_grad():
        model[0].weight.fill_(0.0)
        model[0].weight[0, 0] = 100.0
    bound = 4 * 100 * math.sqrt(1 / 2000 - 1 / 2000**2)
    assert float(clip(model)) == pytest.approx(1 / 2000)
    assert float(model[0].weight.detach()[0, 0]) == pytest.approx(bound, rel=1e-6)


def test_recu_is_the_forward_form_with_mean_abs() -> None:
    # ReCU: Q = -E|w| ln(2 - 2 tau); weights beyond it are quantised as if at Q and get no gradient.
    tau = 0.99
    model = nn.Sequential(QuantLinear(50, 4, BinaryWeight("identity")))
    torch.manual_seed(1)
    with torch.no_grad():
        model[0].weight.copy_(torch.randn(4, 50))
    latent = model[0].weight.detach().clone()
    share = WeightClip(-math.log(2 - 2 * tau) / 2, "mean_abs", where="forward")(model)
    bound = -float(latent.abs().mean()) * math.log(2 - 2 * tau) / 2
    model(torch.ones(1, 50)).sum().backward()
    inside = (latent.abs() <= bound).float()
    assert 0 < float(share) == pytest.approx(1 - float(inside.mean()), abs=1e-6)
    assert torch.equal(model[0].weight.grad, inside)
    assert torch.equal(model[0].weight, latent)


def test_the_forward_form_is_put_on_once_and_is_what_is_deployed() -> None:
    seen = []

    class Kept(BinaryWeight):
        bits, levels = 2, (-1, 1)

        def forward(self, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            seen.append(weight.detach())
            return super().forward(weight)[0], weight.detach().abs().amax(dim=1)

    layer = QuantLinear(8, 2, Kept())
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[9.0, *[0.5] * 7], [-0.25] * 8]))
    clip = WeightClip(1.0, "abs", where="forward")
    clip(layer)
    clip(layer)
    assert len(layer.quantizer._forward_pre_hooks) == 1
    layer = copy.deepcopy(layer).eval()  # as a checkpoint does
    seen.clear()
    x = torch.ones(3, 8)
    with torch.no_grad():
        before = layer(x)
        layer.fold()
        assert torch.equal(layer(x), before)
    assert all(weight[0].tolist() == [1.0, *[0.5] * 7] for weight in seen) and len(seen) == 2
    assert layer.weight_scale.tolist() == [1.0, 0.25]


def test_a_model_without_low_bit_layers_has_nothing_to_clip() -> None:
    assert float(WeightClip()(nn.Linear(2, 2))) == 0


@pytest.mark.parametrize("bad", [{"mode": "sdt"}, {"per": "row"}, {"where": "after"}, {"factor": 0.0}, {"factor": math.nan}])
def test_bad_arguments(bad: dict[str, object]) -> None:
    with pytest.raises(UserError) as caught:
        WeightClip(**bad)  # type: ignore[arg-type]
    assert caught.value.code == "QD0202"
