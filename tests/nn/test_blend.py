"""Alpha-blending: its value, its gradient, and that weights rest at alpha = 1."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from torch import Tensor, nn  # noqa: E402

from qnn_deploy.nn.anneal import Schedule, Scheduler  # noqa: E402
from qnn_deploy.nn.layers import QuantLinear, fold  # noqa: E402
from qnn_deploy.nn.quantizers import WEIGHT_QUANTIZERS, BlendedWeight, WeightQuantizer, weight_quantizer  # noqa: E402

ALPHAS = [0.0, 0.25, 0.5, 0.75]


class Learned(WeightQuantizer):
    """Signs with one learned scale a channel, or one for each sign; the gradient of w is the identity (which a blend must cut)."""

    bits, levels = 1, (-1, 1)

    def __init__(self, asymmetric: bool = False) -> None:
        super().__init__()
        self.asymmetric = asymmetric
        self.scale = nn.Parameter(torch.tensor([2.0, 4.0] if asymmetric else [2.0, 4.0, 0.5]))

    def forward(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return torch.where(weight >= 0, 1.0, -1.0).detach() + weight - weight.detach(), self.scale


def blended(alpha: float, inner: object = "binary", **options: bool) -> BlendedWeight:
    quantizer = BlendedWeight(inner, **options).train()  # type: ignore[arg-type]
    quantizer.alpha.fill_(alpha)
    return quantizer


def effective(quantizer: BlendedWeight, weight: Tensor) -> Tensor:
    first, scale = quantizer(weight)
    return first if scale is None else first * scale.reshape(-1, 1)


WEIGHT = torch.tensor([[0.5, -0.25, 3.0], [-1.0, 0.0, 0.125], [1.0, -2.0, -0.5]])
SIGNS = torch.tensor([[1.0, -1, 1], [-1, 1, 1], [1, -1, -1]])


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("compensate", [False, True])
def test_value_and_gradient_factor(alpha: float, compensate: bool) -> None:
    weight = WEIGHT.clone().requires_grad_()
    y = effective(blended(alpha, Learned(), compensate_lr=compensate), weight)
    scale = torch.tensor([[2.0], [4.0], [0.5]])
    assert torch.equal(y, alpha * SIGNS * scale + (1 - alpha) * WEIGHT)
    y.backward(torch.full_like(y, 3.0))
    assert torch.equal(weight.grad, torch.full_like(y, 3.0 if compensate else 3.0 * (1 - alpha)))


@pytest.mark.parametrize("alpha", [*ALPHAS, 1.0])
def test_a_learned_scale_learns_through_the_quantised_part(alpha: float) -> None:
    quantizer = blended(alpha, Learned())
    effective(quantizer, WEIGHT).backward(torch.arange(9.0).reshape(3, 3))
    assert torch.equal(quantizer.inner.scale.grad, alpha * (torch.arange(9.0).reshape(3, 3) * SIGNS).sum(1))


@pytest.mark.parametrize("alpha", [*ALPHAS, 1.0])
def test_an_asymmetric_scale(alpha: float) -> None:
    quantizer, weight = blended(alpha, Learned(True)), WEIGHT.clone().requires_grad_()
    y, scale = quantizer(weight)
    assert scale is None
    quantised = torch.where(SIGNS > 0, 2.0, -4.0)
    assert torch.equal(y, alpha * quantised + (1 - alpha) * WEIGHT)
    y.sum().backward()
    assert torch.equal(weight.grad, torch.full_like(y, 1 - alpha))
    assert quantizer.inner.scale.grad.tolist() == [5 * alpha, -4 * alpha]
    assert quantizer.eval()(WEIGHT)[1].tolist() == [2.0, 4.0]


@pytest.mark.parametrize("compensate", [False, True])
def test_at_one_it_is_the_quantised_weight_with_no_gradient(compensate: bool) -> None:
    weight = WEIGHT.clone().requires_grad_()
    quantizer = blended(1.0, "int8", compensate_lr=compensate)
    integers, scale = quantizer(weight)
    expected = weight_quantizer("int8")(WEIGHT)
    assert torch.equal(integers, expected[0]) and torch.equal(scale, expected[1])
    effective(quantizer, weight).sum().backward()
    assert torch.equal(weight.grad, torch.zeros_like(weight))


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_scheduler_holds_weights_at_one_against_momentum_and_decay(optimizer: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(QuantLinear(6, 5, weight_quantizer("blend")), nn.BatchNorm1d(5), QuantLinear(5, 2, weight_quantizer("blend")))
    scheduler = Scheduler(model, [Schedule("alpha", "cubic", 0.0, 0.8, order="partition")])
    make = {"sgd": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, weight_decay=0.01), "adam": lambda p: torch.optim.Adam(p, 0.1)}
    optimiser = make[optimizer](model.parameters())
    moved = []
    for progress in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        scheduler.set_progress(progress)
        before = [parameter.detach().clone() for parameter in (model[0].weight, model[2].weight, model[1].weight)]
        optimiser.zero_grad()
        model(torch.randn(8, 6)).square().sum().backward()
        scheduler.hold()
        optimiser.step()
        moved.append([not torch.equal(a, b) for a, b in zip(before, (model[0].weight, model[2].weight, model[1].weight), strict=True)])
    assert moved == [[True, True, True]] * 2 + [[False, True, True]] * 2 + [[False, False, True]] * 2
    scheduler.set_progress(0.1)  # a scheduler may go back
    optimiser.zero_grad()
    model(torch.randn(8, 6)).square().sum().backward()
    scheduler.hold()
    assert model[0].weight.grad is not None


@pytest.mark.parametrize("inner", ["binary", "int8", {"name": "ana", "bits": 2, "eps": 0.25}])
@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_eval_is_the_folded_form_bit_for_bit(inner: object, alpha: float) -> None:
    torch.manual_seed(2)
    layer = QuantLinear(40, 12, weight_quantizer({"name": "blend", "inner": inner}))
    layer.quantizer.alpha.fill_(alpha)
    layer.eval()
    x = torch.randint(-20, 21, (16, 40)).float()
    with torch.no_grad():
        before = layer(x)
        assert torch.equal(layer.quantized_weight()[0], layer.quantizer.inner(layer.weight)[0])
        fold(layer)
        assert torch.equal(layer(x), before)


@pytest.mark.parametrize("name", sorted(set(WEIGHT_QUANTIZERS) - {"blend"}))
def test_every_quantiser_can_be_blended(name: str) -> None:
    torch.manual_seed(3)
    layer = QuantLinear(20, 6, weight_quantizer({"name": "blend", "inner": name})).train()
    quantizer = layer.quantizer
    for alpha in (0.25, 1.0):
        quantizer.alpha.fill_(alpha)
        x, g = torch.randn(3, 20), torch.randn(3, 6)
        layer.weight.grad = None
        (layer(x) * g).sum().backward()
        # Through the real part alone, whatever the quantiser's own gradient is.
        torch.testing.assert_close(layer.weight.grad, (1 - alpha) * g.T @ x, rtol=1e-4, atol=1e-5)
    x = torch.randint(-20, 21, (16, 20)).float()
    layer.eval()
    with torch.no_grad():
        before = layer(x)
        fold(layer)
        assert torch.equal(layer(x), before)


def test_a_blend_without_a_schedule_is_refused() -> None:
    with pytest.raises(Exception, match="alpha has no schedule"):
        Scheduler(QuantLinear(2, 2, weight_quantizer("blend")), [])


def test_a_scale_of_zero_keeps_values_finite() -> None:
    quantizer = blended(0.5, Learned())
    with torch.no_grad():
        quantizer.inner.scale.zero_()
    weight = WEIGHT.clone().requires_grad_()
    effective(quantizer, weight).sum().backward()
    assert bool(torch.isfinite(weight.grad).all())
