from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from qnn_deploy.errors import UserError  # noqa: E402
from qnn_deploy.nn.estimators import ESTIMATORS  # noqa: E402
from qnn_deploy.nn.functional import quantize, sign  # noqa: E402
from qnn_deploy.nn.layers import InputZero, QuantConv2d, QuantLinear  # noqa: E402
from qnn_deploy.nn.quantizers import BinaryWeight, Int8Weight, IntActivation, WeightQuantizer  # noqa: E402


@pytest.mark.parametrize("grad", [True, False])
def test_sign_has_two_values(grad: bool) -> None:
    x = torch.tensor([-2.0, -1e-45, -0.0, 0.0, 1e-45, 3.0])
    with torch.set_grad_enabled(grad):
        assert sign(x).tolist() == [-1, -1, 1, 1, 1, 1]


@pytest.mark.parametrize("grad", [True, False])
def test_quantize_rounds_half_to_even_and_clamps(grad: bool) -> None:
    x = torch.tensor([0.5, 1.5, 2.5, -0.5, -1.5, 300.0, -300.0])
    with torch.set_grad_enabled(grad):
        assert quantize(x, torch.tensor(1.0), -127, 127).tolist() == [0, 2, 2, 0, -2, 127, -127]


@pytest.mark.parametrize("name,expected", [("identity", [1, 1, 1, 1]), ("clipped", [0, 1, 1, 0]), ("polynomial", [0, 1.0, 2.0, 0])])
def test_gradients_are_the_published_ones(name: str, expected: list[float]) -> None:
    x = torch.tensor([-1.5, -0.5, 0.0, 2.0], requires_grad=True)
    sign(x, name).sum().backward()
    assert x.grad is not None and x.grad.tolist() == expected
    assert name in ESTIMATORS


def test_unknown_estimator() -> None:
    with pytest.raises(UserError, match="unknown estimator"):
        sign(torch.zeros(1), "steepest")


def test_int8_weights_reach_127_and_keep_their_scale_apart() -> None:
    weight = torch.randn(4, 3, 3, 3)
    integers, scale = Int8Weight()(weight)
    assert integers.abs().amax(dim=(1, 2, 3)).tolist() == [127] * 4
    assert torch.equal(integers, integers.round())
    assert scale.shape == (4,)


def test_layers_sum_integers_in_training_too() -> None:
    layer = QuantConv2d(3, 4, 3, Int8Weight(), padding=1).train()
    layer.quantizer = WeightQuantizer()
    layer.quantizer.forward = lambda w: (torch.full_like(w, 3.0), torch.tensor([0.1, 0.2, 0.3, 0.4]))  # type: ignore[assignment]
    x = torch.ones(1, 3, 5, 5)
    assert torch.equal(layer(x)[0, :, 2, 2], torch.tensor([81.0]) * torch.tensor([0.1, 0.2, 0.3, 0.4]))


def test_folding_keeps_the_bits() -> None:
    layer = QuantLinear(16, 4, BinaryWeight(), bias=True).eval()
    x = torch.randint(-127, 128, (8, 16)).float()
    with torch.no_grad():
        before = layer(x)
        layer.fold()
        assert layer.folded and layer.weight_int.dtype == torch.int8
        assert torch.equal(layer(x), before)


def test_activation_scale_follows_the_data_in_training_only() -> None:
    activation = IntActivation(8)
    before = activation.scale.clone()
    activation.eval()(torch.randn(100) * 50)
    assert torch.equal(activation.scale, before)
    activation.train()(torch.randn(100) * 50)
    assert activation.scale > before


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="255"):
        InputZero([300])
    with pytest.raises(ValueError, match="8 or 16"):
        IntActivation(7)


@pytest.mark.parametrize("high,dtype", [(127, torch.bfloat16), (32767, torch.float32)])
def test_integers_of_bfloat16_values_are_those_of_their_float32_form(high: int, dtype: torch.dtype) -> None:
    x = (torch.arange(-3000, 3001) / 7).to(torch.bfloat16).requires_grad_()
    scale = torch.tensor(0.37)
    integers = quantize(x, scale, -high, high)
    assert integers.dtype == dtype
    assert torch.equal(integers.float(), quantize(x.detach().float(), scale, -high, high))
    integers.float().sum().backward()
    assert x.grad is not None and x.grad.dtype == torch.bfloat16
