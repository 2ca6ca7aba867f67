"""`Surrogate`: how a quantiser's estimator is normalised, annealed and spelt in a recipe."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from qnn_deploy.errors import UserError  # noqa: E402
from qnn_deploy.nn.quantizers import BinaryWeight, IRNetWeight, ReCUWeight, SignActivation, Surrogate  # noqa: E402


def gradient(surrogate: Surrogate, x: torch.Tensor) -> torch.Tensor:
    leaf = x.clone().requires_grad_()
    surrogate.sign(leaf).sum().backward()
    assert leaf.grad is not None
    return leaf.grad


def triangle(u: torch.Tensor) -> torch.Tensor:
    return (2 - 2 * u.abs()).clamp(min=0)


@pytest.mark.parametrize(
    "axis,per,dims", [(0, "channel", (1, 2)), (1, "channel", (0, 2)), (0, "layer", (0, 1, 2)), (1, "layer", (0, 1, 2))]
)
def test_argument_is_divided_by_the_statistic(axis: int, per: str, dims: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 4, 50) * torch.tensor([0.1, 1.0, 5.0])[:, None, None] + 0.3
    std = x.var(dims, correction=0, keepdim=True).sqrt()
    found = gradient(Surrogate({"name": "polynomial", "scale": "std", "per": per}, axis), x)
    torch.testing.assert_close(found, triangle(x / std))
    mean_abs = x.abs().mean(dims, keepdim=True)
    found = gradient(Surrogate({"name": "polynomial", "scale": "mean_abs", "per": per}, axis), x)
    torch.testing.assert_close(found, triangle(x / mean_abs))


def test_constant_scale_and_gain() -> None:
    x = torch.linspace(-3, 3, 31)
    assert torch.equal(gradient(Surrogate({"name": "polynomial", "scale": 2.0, "gain": "unit"}), x), triangle(x / 2) / 2)


def test_all_zero_weights_have_a_finite_gradient() -> None:
    for scale in ("std", "mean_abs"):
        assert gradient(Surrogate({"name": "tanh", "scale": scale}), torch.zeros(2, 3)).tolist() == [[1.0] * 3] * 2


def test_scheduled_parameters_are_buffers_that_are_read_at_each_step() -> None:
    surrogate = Surrogate("ede")
    x = torch.linspace(-2, 2, 9)
    assert surrogate.annealed == ("t",) and surrogate.t.shape == () and surrogate.t.dtype == torch.float32
    first = gradient(surrogate, x)
    surrogate.t.fill_(0.01)
    assert torch.allclose(gradient(surrogate, x), torch.ones(9), atol=1e-3) and not torch.allclose(first, torch.ones(9), atol=1e-3)


def test_annealed_quantities_leave_no_trace_in_the_state() -> None:
    modules = [BinaryWeight("reste"), SignActivation("ede"), IRNetWeight()]
    assert all(not module.state_dict() for module in modules)
    assert [[m.annealed for m in module.modules() if getattr(m, "annealed", ())] for module in modules] == [[("o",)], [("t",)], [("t",)]]
    assert ReCUWeight().annealed == ("tau",) and list(ReCUWeight().state_dict()) == ["alpha"]


@pytest.mark.parametrize(
    "spec,text,help",
    [
        ("tahn", "unknown estimator 'tahn'", "'tanh'"),
        ({"scale": 1.0}, "unknown estimator ''", "identity"),
        ({"name": "tanh", "bb": 1.0}, "unknown parameter of the estimator 'tanh' 'bb'", "'b'"),
        ({"name": "tanh", "scale": "sdt"}, "unknown scale of an estimator 'sdt'", "'std'"),
        ({"name": "tanh", "per": "layers"}, "'layers'", "'layer'"),
        ({"name": "tanh", "gain": "units"}, "'units'", "unit"),
    ],
)
def test_bad_specs_say_what_is_meant(spec: Any, text: str, help: str) -> None:
    with pytest.raises(UserError) as caught:
        BinaryWeight(spec)
    assert caught.value.code == "QD0202" and text in caught.value.message and help in caught.value.help
