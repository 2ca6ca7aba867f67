"""The gradient that each weight quantiser gives through a layer: the published one, for the weights and for what is learned."""

from __future__ import annotations

import math
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402

from qnn_deploy.nn.layers import QuantLinear  # noqa: E402
from qnn_deploy.nn.quantizers import split_parameters, weight_quantizer  # noqa: E402

OUT, INSIDE = 5, 12


def layer(spec: Any, seed: int = 0) -> QuantLinear:
    """A dense layer of float64 latents, so that finite differences are sharp."""
    generator = torch.Generator().manual_seed(seed)
    made = QuantLinear(INSIDE, OUT, weight_quantizer(spec)).double()
    assert made.weight is not None
    made.weight.data = torch.randn(OUT, INSIDE, generator=generator, dtype=torch.float64) * 0.4 + 0.05
    made.reset_quantizer()
    return made.double()


def step(made: QuantLinear) -> tuple[Tensor, Tensor, Tensor]:
    """(w, dL/dw, g) after a backward pass; g [out, in] is the gradient of the layer's real weight."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(7, INSIDE, generator=generator, dtype=torch.float64)
    c = torch.randn(7, OUT, generator=generator, dtype=torch.float64)
    (made(x) * c).sum().backward()
    assert made.weight is not None and made.weight.grad is not None
    return made.weight.detach(), made.weight.grad, c.T @ x


def close(found: Tensor, expected: Tensor) -> None:
    # The statistics are float64 here, some constants float32.
    torch.testing.assert_close(found, expected.to(found.dtype), rtol=3e-6, atol=3e-6)


def sign(w: Tensor) -> Tensor:
    return torch.where(w >= 0, 1.0, -1.0).double()


def test_binary_is_masked_by_the_estimator() -> None:
    w, grad, g = step(layer("binary"))
    close(grad, g * (w.abs() <= 1))


def test_binary_connect_is_the_identity_whatever_the_bound() -> None:
    for bound in (1.0, 0.25, "glorot"):
        _, grad, g = step(layer({"name": "binary-connect", "bound": bound}))
        close(grad, g)
    w, grad, g = step(layer({"name": "binary-connect", "bound": 0.25, "estimator": "polynomial"}))
    close(grad, g * (2 - 2 * (w / 0.25).abs()).clamp(min=0))


def test_xnor_is_the_analytic_gradient_through_scale_and_centring() -> None:
    w, grad, g = step(layer("xnor"))
    w = w - w.mean(1, keepdim=True)
    assert w.abs().max() > 1, "some weight is clamped"
    alpha = w.clamp(-1, 1).abs().mean(1, keepdim=True)
    inner = (alpha * g + sign(w) / INSIDE * (g * sign(w)).sum(1, keepdim=True)) * (w.abs() < 1)
    close(grad, inner - inner.mean(1, keepdim=True))


def test_dorefa_binary_is_the_identity() -> None:
    _, grad, g = step(layer("dorefa"))
    close(grad, g)


def test_dorefa_bits_is_the_derivative_of_the_squashing() -> None:
    made = layer({"name": "dorefa", "bits": 3})
    w, grad, g = step(made)
    leaf = w.clone().requires_grad_()
    (g * torch.tanh(leaf) / torch.tanh(leaf).abs().max()).sum().backward()
    assert leaf.grad is not None
    close(grad, leaf.grad)


@pytest.mark.parametrize("t", [0.01, 2.0])
def test_ir_net_goes_through_the_normalised_weight(t: float) -> None:
    made = layer("ir-net")
    made.quantizer.surrogate.t.fill_(t)
    w, grad, g = step(made)
    leaf = w.clone().requires_grad_()
    normal = (leaf - leaf.mean(1, keepdim=True)) / leaf.std(1, keepdim=True)
    scale = 2 ** normal.detach().abs().mean(1, keepdim=True).log2().round()
    psi = max(1 / t, 1) * t * (1 - torch.tanh(t * normal.detach()) ** 2)
    (normal * g * scale * psi).sum().backward()
    assert leaf.grad is not None
    close(grad, leaf.grad)


@pytest.mark.parametrize("tau", [0.85, 0.99])
def test_recu_clamps_at_the_quantile_and_learns_its_scale(tau: float) -> None:
    made = layer({"name": "recu", "tau": tau})
    with torch.no_grad():
        made.quantizer.alpha.copy_(torch.linspace(0.5, 2, OUT))
    w, grad, g = step(made)
    leaf = w.clone().requires_grad_()
    normal = (leaf - leaf.mean(1, keepdim=True)) / (leaf.std(1, keepdim=True) / (2 * math.sqrt(2)))
    bound = -normal.detach().abs().mean() * math.log(2 - 2 * torch.tensor(tau))
    assert 0 < int((normal.abs() > bound).sum()) < normal.numel() or tau == 0.99
    (normal.clamp(-bound, bound) * g * torch.linspace(0.5, 2, OUT)[:, None]).sum().backward()
    assert leaf.grad is not None
    close(grad, leaf.grad)
    close(made.quantizer.alpha.grad, (g * sign(w - w.mean(1, keepdim=True))).sum(1))


@pytest.mark.parametrize("spec", ["twn", {"name": "twn", "per": "channel"}, "absmean"])
def test_straight_through_means_the_gradient_of_the_scaled_weight(spec: Any) -> None:
    _, grad, g = step(layer(spec))
    close(grad, g)


def test_fixed_threshold_is_clipped_at_one() -> None:
    w, grad, g = step(layer("fixed-threshold"))
    assert w.abs().max() > 1
    close(grad, g * (w.abs() <= 1))


def test_twn_threshold_form_is_the_derivative_of_a_noisy_step() -> None:
    made = layer({"name": "twn", "form": "thresholds", "estimator": {"name": "tanh", "scale": 0.5}})
    w, grad, g = step(made)
    threshold = 0.7 * w.abs().mean()
    alpha = w.abs()[w.abs() > threshold].mean()
    bump = sum((1 - torch.tanh((w + s * threshold) / 0.5) ** 2) / (2 * 0.5) for s in (-1, 1))
    close(grad, alpha * g * bump)


def ttq(**options: Any) -> QuantLinear:
    made = layer({"name": "ttq", "factor": 0.3, **options})
    with torch.no_grad():
        made.quantizer.positive.mul_(1.4)
        if made.quantizer.negative is not None:
            made.quantizer.negative.mul_(0.6)
    return made


@pytest.mark.parametrize("per", ["layer", "channel"])
def test_ttq_gradients_are_the_published_ones(per: str) -> None:
    made = ttq(per=per)
    w, grad, g = step(made)
    d = 0.3 * w.abs().max()
    close(grad, g * torch.where(w > d, 1.4, torch.where(w < -d, 0.6, 1.0)))
    dims = (1,) if per == "channel" else (0, 1)
    close(made.quantizer.positive.grad, (g * (w > d)).sum(dims))
    close(made.quantizer.negative.grad, -(g * (w < -d)).sum(dims))


def test_ttq_symmetric_and_threshold_forms() -> None:
    made = ttq(symmetric=True)
    w, grad, g = step(made)
    d = 0.3 * w.abs().max()
    close(grad, g * torch.where(w.abs() > d, 1.4, 1.0))
    close(made.quantizer.positive.grad, (g * ((w > d).double() - (w < -d).double())).sum())
    w, grad, g = step(ttq(form="thresholds", estimator={"name": "erf", "scale": 0.5}))
    bump = lambda z: torch.exp(-math.pi / 4 * (z / 0.5) ** 2) / (2 * 0.5)  # noqa: E731
    close(grad, g * (1.4 * bump(w - d) + 0.6 * bump(w + d)))


@pytest.mark.parametrize("name", ["positive", "negative"])
@pytest.mark.parametrize("training", [True, False])
def test_ttq_scale_gradients_by_finite_differences(name: str, training: bool) -> None:
    made = ttq().train(training)
    x = torch.randn(7, INSIDE, dtype=torch.float64, generator=torch.Generator().manual_seed(2))

    def loss() -> Tensor:
        return made(x).square().sum()

    loss().backward()
    scale, h = getattr(made.quantizer, name), 1e-5
    with torch.no_grad():
        scale += h
        above = loss()
        scale -= 2 * h
        below = loss()
    difference = float((above - below) / (2 * h))
    assert abs(difference) > 1 and float(scale.grad) == pytest.approx(difference, rel=1e-6)


def test_tga_gradients_by_finite_differences_and_identity() -> None:
    made = layer({"name": "tga", "factor": 0.3, "clamp": 1e9})
    w, grad, g = step(made)
    t = made.quantizer(w)[0].detach()

    def scale(weight: Tensor, delta: float) -> Tensor:
        mu, sigma = weight.mean(), weight.std()
        a = delta / sigma
        return mu + sigma * torch.exp(-a * a / 2) / math.sqrt(2 * math.pi) / (0.5 * torch.erfc(a / math.sqrt(2)))

    delta, h, of_scale = float(made.quantizer.delta.detach()), 1e-6, (g * t).sum()
    difference = (scale(w, delta + h) - scale(w, delta - h)) / (2 * h)
    close(made.quantizer.delta.grad, of_scale * difference)
    # The derivative of the inverse Mills ratio.
    a = delta / w.std()
    mills = torch.exp(-a * a / 2) / math.sqrt(2 * math.pi) / (0.5 * torch.erfc(a / math.sqrt(2)))
    close(difference, mills * (mills - a))
    leaf = w.clone().requires_grad_()
    scale(leaf, delta).backward()
    assert leaf.grad is not None
    close(grad, g + of_scale * leaf.grad)


def test_tga_clamps_the_gradient_of_its_threshold_only() -> None:
    made = layer("tga")
    _, grad, _ = step(made)
    assert made.quantizer.delta.grad.abs() == 1e-3 and grad.abs().max() > 0.1


def test_tga_parameters_split_into_two_passes() -> None:
    model = torch.nn.Sequential(layer("tga"), torch.nn.BatchNorm1d(OUT), layer("ttq"), layer("tga"))
    together, separate = split_parameters(model)
    assert [id(p) for p in separate] == [id(model[0].quantizer.delta), id(model[3].quantizer.delta)]
    assert {id(p) for p in together} | {id(p) for p in separate} == {id(p) for p in model.parameters()}
    assert len(together) + len(separate) == len(list(model.parameters()))


def test_integer_weights_are_the_identity_within_their_range() -> None:
    for bits in (2, 4, 8):
        _, grad, g = step(layer({"name": "int", "bits": bits}))
        close(grad, g)
