"""Activation quantisers: their integers, and the published gradients of x and of what is learned."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402

from qnn_deploy.nn.quantizers import ACTIVATION_QUANTIZERS, activation_quantizer  # noqa: E402

# Halves of steps and ends of ranges among them.
X = torch.cat(
    [torch.randn(90, generator=torch.Generator().manual_seed(0)) * 2, torch.tensor([0.0, -0.0, 0.5, -0.5, 1.0, 1.5, 6.0, 7.0, -9.0, 2.5])]
)
G = torch.randn(100, generator=torch.Generator().manual_seed(1))


def real(quantizer: nn.Module, x: Tensor) -> Tensor:
    """The real value that the integers stand for, differentiable in the scale."""
    return quantizer(x[None]) * quantizer.scale


def gradients(quantizer: nn.Module) -> tuple[Tensor, Tensor]:
    """(dL/dx, dL/dparameter) with dL/d(real value) = G."""
    x = X.clone().requires_grad_()
    (real(quantizer, x) * G).sum().backward()
    assert x.grad is not None and quantizer.parameter.grad is not None
    return x.grad, quantizer.parameter.grad


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize(
    "spec,scale,low,high",
    [
        ("pact", 6 / 15, 0, 15),
        ({"name": "pact", "bits": 2, "alpha": 3.0}, 1.0, 0, 3),
        ({"name": "pact", "bits": 3, "power_of_two": True}, 1.0, 0, 7),
        ({"name": "pact", "bits": 8, "power_of_two": True}, 2.0**-5, 0, 255),
        ({"name": "lsq", "step": 0.3}, 0.3, 0, 15),
        ({"name": "lsq", "bits": 3, "signed": True, "step": 0.5}, 0.5, -3, 3),
        ({"name": "lsq", "bits": 8, "signed": True, "step": 0.04, "power_of_two": True}, 2.0**-5, -127, 127),
        ("lsq", 2 * math.sqrt(2 / math.pi) / math.sqrt(15), 0, 15),
        ("ternary", 1.0, -1, 1),
        ({"name": "ternary", "scale": 1.7}, 1.7, -1, 1),
    ],
)
def test_integers_are_rounded_half_to_even_and_clamped(spec: Any, scale: float, low: int, high: int, grad: bool) -> None:
    quantizer = activation_quantizer(spec)
    assert quantizer.levels == (low, high)
    with torch.set_grad_enabled(grad):
        found = quantizer(X[None])[0].detach().numpy()
        assert float(quantizer.scale) == np.float32(scale)
    expected = np.clip(np.round(X.numpy() / np.float32(scale)), low, high)
    assert np.array_equal(found, expected) and found.min() == low and (found.max() == high or high == 255)


def test_pact_gradients() -> None:
    alpha = 3.0
    of_x, of_alpha = gradients(activation_quantizer({"name": "pact", "bits": 3, "alpha": alpha}))
    torch.testing.assert_close(of_x, G * ((X >= 0) & (alpha >= X)))
    torch.testing.assert_close(of_alpha, (G * (alpha < X)).sum(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("signed", [False, True])
def test_lsq_gradients(signed: bool) -> None:
    s, low, high = 0.5, -3 if signed else 0, 3 if signed else 7
    of_x, of_s = gradients(activation_quantizer({"name": "lsq", "bits": 3, "signed": signed, "step": s}))
    v = X / s
    torch.testing.assert_close(of_x, G * ((v >= low) & (v <= high)))
    published = torch.where(v < low, low, torch.where(v > high, high, v.round() - v))
    torch.testing.assert_close(of_s, (G * published).sum() / math.sqrt(len(X) * high), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["pact", "lsq"])
def test_with_batch_norm_behind_it_the_scale_need_not_be_multiplied_back(name: str) -> None:
    """What follows may drop the scale where it does not see it: the gradients are the same."""
    torch.manual_seed(0)
    x, c = torch.randn(64, 5) * 2, torch.randn(64, 5)
    found = []
    for multiply in (True, False):
        quantizer, norm = activation_quantizer({"name": name, "bits": 3}), nn.BatchNorm1d(5, eps=1e-12)
        y = quantizer(x)
        (norm(y * quantizer.scale if multiply else y) * c).sum().backward()
        found.append(quantizer.parameter.grad)
    torch.testing.assert_close(found[0], found[1], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["pact", "lsq"])
def test_power_of_two_learns_the_exponent(name: str) -> None:
    quantizer = activation_quantizer({"name": name, "bits": 4, "power_of_two": True})
    plain = activation_quantizer({"name": name, "bits": 4})
    with torch.no_grad():
        quantizer.parameter.fill_(-1.4)
        plain.parameter.fill_(0.5 * (15 if name == "pact" else 1))
    _, of_exponent = gradients(quantizer)
    _, of_plain = gradients(plain)
    assert float(quantizer.scale) == 0.5
    # By the scale: PACT's parameter is 15 times as large. d scale / d exponent = scale ln 2.
    torch.testing.assert_close(of_exponent, of_plain * (15 if name == "pact" else 1) * 0.5 * math.log(2), rtol=1e-4, atol=1e-5)


def test_power_of_two_stays_within_the_table() -> None:
    quantizer = activation_quantizer({"name": "lsq", "power_of_two": True})
    for exponent, scale in ((1000.0, 2.0**24), (-1000.0, 2.0**-24), (0.5, 1.0), (1.5, 4.0)):
        with torch.no_grad():
            quantizer.parameter.fill_(exponent)
            assert float(quantizer.scale) == scale


def test_a_scale_that_crosses_zero_stays_positive() -> None:
    quantizer = activation_quantizer({"name": "lsq", "step": 0.5})
    with torch.no_grad():
        quantizer.parameter.fill_(-0.25)
        assert float(quantizer.scale) == 0.25
        quantizer.parameter.zero_()
        assert float(quantizer.scale) == np.float32(1e-8) and bool(torch.isfinite(quantizer(X[None])).all())


def test_shifted_sign_learns_a_threshold_for_each_channel() -> None:
    quantizer = activation_quantizer("shifted-sign", channels=3)
    with torch.no_grad():
        quantizer.shift.copy_(torch.tensor([0.5, 0.0, -0.5]))
    for shape in ((2, 3), (2, 3, 4, 5)):
        x = (torch.randn(shape) / 2).requires_grad_()
        quantizer.zero_grad()
        g = torch.randn(shape)
        y = quantizer(x)
        (y * g).sum().backward()
        shifted = x.detach() + quantizer.shift.detach().reshape(1, 3, *[1] * (len(shape) - 2))
        assert torch.equal(y, torch.where(shifted >= 0, 1.0, -1.0))
        expected = g * (2 - 2 * shifted.abs()).clamp(min=0)
        torch.testing.assert_close(x.grad, expected)
        torch.testing.assert_close(quantizer.shift.grad, expected.sum([d for d in range(len(shape)) if d != 1]))


def test_ternary_activation_gradient() -> None:
    for scale in (1.0, 2.0):
        x = X.clone().requires_grad_()
        (activation_quantizer({"name": "ternary", "scale": scale})(x[None]) * G).sum().backward()
        # Two steps of half a scale to each side touch at 0 and end at one scale (the one inside counts both where it is 0).
        inside = (X.abs() <= scale).float() + (X == 0)
        torch.testing.assert_close(x.grad, G * inside / scale)


@pytest.mark.parametrize("name", ACTIVATION_QUANTIZERS)
def test_values_lie_within_the_levels(name: str) -> None:
    quantizer = activation_quantizer(name, channels=4).eval()
    x = torch.randn(8, 4, 3, 3, generator=torch.Generator().manual_seed(0)) * 100
    with torch.no_grad():
        y = quantizer(x)
    low, high = quantizer.levels
    assert torch.equal(y, y.round()) and low <= float(y.min()) < float(y.max()) <= high


def test_bad_arguments() -> None:
    from qnn_deploy.errors import UserError

    for spec, text in (
        ("singn", "unknown activation quantiser 'singn'"),
        ({"name": "sign", "estimater": "tanh"}, "unknown argument of the activation quantiser 'sign' 'estimater'"),
        ("shifted-sign", "needs 'channels'"),
        ({"name": "pact", "bits": 9}, "1 to 8 bits, not 9"),
        ({"name": "lsq", "bits": 1, "signed": True}, "2 to 8 bits, not 1"),
        ({"name": "ternary", "scale": 0.0}, "positive"),
        ({"bits": 3}, "a name or a table"),
        (3, "a name or a table"),
    ):
        with pytest.raises(UserError, match=text) as caught:
            activation_quantizer(spec)  # type: ignore[arg-type]
        assert caught.value.code == "QD0202"
