"""Each estimator against its formula, written a second time here in float64."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch")

from qnn_deploy.errors import UserError  # noqa: E402
from qnn_deploy.nn.estimators import ESTIMATORS, FURTHER, PUBLISHED  # noqa: E402
from qnn_deploy.nn.functional import psi, sign, stochastic_sign, ternary  # noqa: E402

Array = NDArray[np.float64]
Formula = Callable[[Array], Array]


def _fda(u: Array, w: float = 1.0, n: int = 9) -> Array:
    total = sum(np.cos((2 * i + 1) * w * u) for i in range(n + 1))
    return np.where(np.abs(w * u) < np.pi / 2, 4 * w / np.pi * total, 0)


def _swish(u: Array, b: float = 5.0) -> Array:
    v = np.clip(b * u, -500, 500)
    return b * (2 - v * np.tanh(v / 2)) / (1 + np.cosh(v))


def _reste(u: Array, o: float = 3.0, m: float = 0.1, t: float = 1.5) -> Array:
    size = np.abs(u)
    outer = 1 / o * np.maximum(size, 1e-9) ** ((1 - o) / o)
    return np.where(size <= np.float32(m), m ** (1 / o) / m, np.where(size <= t, outer, 0))


def _ede(u: Array, t: float = 1.0) -> Array:
    return max(1 / t, 1) * t * (1 - np.tanh(t * u) ** 2)


def _quadratic(u: Array, t: float = 1.0) -> Array:
    return np.maximum(0, max(1 / t, 1) * (2 * math.sqrt(t**2 / 2) - t**2 * np.abs(u)))


def _dsq(u: Array, alpha: float = 0.2) -> Array:
    s, k = 1 / (1 - alpha), math.log(2 / alpha - 1) / 2
    return np.where(np.abs(u) <= 1, s * k * (1 - np.tanh(k * u) ** 2), 0)


FORMULAS: dict[str, Formula] = {
    "identity": np.ones_like,
    "clipped": lambda u: (np.abs(u) <= 1).astype(float),
    "leaky-clipped": lambda u: np.where(np.abs(u) < 1, 1, 0.1),
    "polynomial": lambda u: np.maximum(0, 2 - 2 * np.abs(u)),
    "tanh": lambda u: 1 - np.tanh(u) ** 2,
    "sigmoid": lambda u: 2 * np.exp(-np.abs(u)) / (1 + np.exp(-np.abs(u))) ** 2,
    "swish": _swish,
    "erf": lambda u: np.exp(-np.pi * u**2 / 4),
    "arctan": lambda u: 1 / (1 + (np.pi * u / 2) ** 2),
    "fda": _fda,
    "reste": _reste,
    "ede": _ede,
    "quadratic": _quadratic,
    "dsq": _dsq,
    "relu": lambda u: (u > 0).astype(float),
    "clipped-relu": lambda u: ((u > 0) & (u < 1)).astype(float),
}
PARAMETERS: list[tuple[str, dict[str, float], Formula]] = [
    ("clipped", {"clip": 1.3}, lambda u: (np.abs(u) <= np.float32(1.3)).astype(float)),
    ("leaky-clipped", {"a": 0.25}, lambda u: np.where(np.abs(u) < 1, 1, 0.25)),
    ("tanh", {"b": 2.5}, lambda u: 2.5 * (1 - np.tanh(2.5 * u) ** 2)),
    ("sigmoid", {"b": 4.0}, lambda u: 2 * (1 - np.tanh(2 * u) ** 2)),  # sigmoid with b is tanh with b / 2
    ("swish", {"b": 2.0}, lambda u: _swish(u, 2.0)),
    ("fda", {"w": 0.5, "n": 4}, lambda u: _fda(u, 0.5, 4)),
    ("reste", {"o": 1.0}, lambda u: (np.abs(u) <= 1.5).astype(float)),
    ("reste", {"o": 2.0, "m": 0.25, "t": 2.0}, lambda u: _reste(u, 2.0, 0.25, 2.0)),
    ("ede", {"t": 0.01}, lambda u: _ede(u, 0.01)),
    ("ede", {"t": 10.0}, lambda u: _ede(u, 10.0)),
    ("quadratic", {"t": 0.1}, lambda u: _quadratic(u, 0.1)),
    ("quadratic", {"t": 3.0}, lambda u: _quadratic(u, 3.0)),
    ("dsq", {"alpha": 0.5}, lambda u: _dsq(u, 0.5)),
]
# The ends of every support, exactly, and a cloud between.
POINTS = np.concatenate([np.random.default_rng(0).normal(0, 1, 400), [0, 0.1, -0.1, 0.25, 1, -1, 1.3, 1.5, -1.5, 1.57, 2, -2, 30, -1e4]])


def gradient(x: Array, name: str, **options: object) -> Array:
    leaf = torch.tensor(x, dtype=torch.float32, requires_grad=True)
    sign(leaf, name, **options).sum().backward()
    assert leaf.grad is not None
    return leaf.grad.numpy().astype(float)


def test_the_eleven_and_the_rest_are_registered() -> None:
    assert [e.name for e in PUBLISHED] == list(FORMULAS)[:11]
    assert {*FORMULAS, "ewgs"} == set(ESTIMATORS) == {e.name for e in (*PUBLISHED, *FURTHER)}


@pytest.mark.parametrize("name", FORMULAS)
def test_gradient_is_the_formula(name: str) -> None:
    x = POINTS.astype(np.float32).astype(float)
    np.testing.assert_allclose(gradient(x, name), FORMULAS[name](x), rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("name,parameters,formula", PARAMETERS)
@pytest.mark.parametrize("as_tensor", [False, True])
def test_parameters_enter_the_formula(name: str, parameters: dict[str, float], formula: Formula, as_tensor: bool) -> None:
    given = {key: torch.tensor(value) if as_tensor and key != "n" else value for key, value in parameters.items()}
    x = POINTS.astype(np.float32).astype(float)
    np.testing.assert_allclose(gradient(x, name, parameters=given), formula(x), rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("name", FORMULAS)
def test_value_at_zero_and_area_are_as_stated(name: str) -> None:
    row = ESTIMATORS[name]
    at_zero = row.psi(torch.zeros((), dtype=torch.float64), **row.parameters)
    assert float(at_zero) == pytest.approx(row.at_zero, rel=1e-12)
    # u = sinh(v) reaches far into slow tails.
    v = torch.linspace(-18, 18, 720_001, dtype=torch.float64)
    area = float(torch.trapezoid(row.psi(torch.sinh(v), **row.parameters) * torch.cosh(v), v))
    if math.isinf(row.area):
        assert area > 1e5
    else:
        assert area == pytest.approx(row.area, rel=2e-4)


def test_scheduled_quantities_are_parameters() -> None:
    assert {e.name: e.scheduled for e in ESTIMATORS.values() if e.scheduled} == {"reste": ("o",), "ede": ("t",), "quadratic": ("t",)}
    assert all(key in e.parameters for e in ESTIMATORS.values() for key in e.scheduled)


@pytest.mark.parametrize("name", [name for name in FORMULAS if ESTIMATORS[name].at_zero])
def test_unit_gain_is_one_at_zero(name: str) -> None:
    x = POINTS.astype(np.float32).astype(float)
    unit = FORMULAS[name](x) / FORMULAS[name](np.zeros(1))
    np.testing.assert_allclose(gradient(x, name, gain="unit"), unit, rtol=3e-5, atol=2e-6)


def test_scale_divides_the_argument_only() -> None:
    x = POINTS.astype(np.float32).astype(float)
    np.testing.assert_allclose(gradient(x, "tanh", scale=4.0), FORMULAS["tanh"](x / 4), rtol=2e-5, atol=1e-6)


def test_ewgs_looks_at_the_sign_of_the_gradient() -> None:
    x = torch.tensor([0.25, -0.75, 1.5, -3.0, 0.5], requires_grad=True)
    grad = torch.tensor([2.0, 2.0, -2.0, -2.0, 0.0])
    sign(x, "ewgs", parameters={"d": 0.1}).backward(grad)
    # 1 + 0.1 * sign(g) * (x - q), q = 1 1 or -1 by the sign of x.
    expected = [2 * (1 + 0.1 * (0.25 - 1)), 2 * (1 + 0.1 * (-0.75 + 1)), -2 * (1 - 0.1 * (1.5 - 1)), -2 * (1 - 0.1 * (-3 + 1)), 0]
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-6)


def test_extreme_arguments_give_finite_gradients() -> None:
    x = np.array([0.0, 1e-45, -1e-38, 1e19, -1e30, 3e38])
    for name in ESTIMATORS:
        assert np.isfinite(gradient(x, name)).all(), name


@pytest.mark.parametrize("name", ["clipped", "tanh", "ewgs", "fda"])
def test_gradient_keeps_the_dtype_that_came_in(name: str) -> None:
    x = torch.linspace(-1, 1, 9, dtype=torch.bfloat16).requires_grad_()
    y = sign(x, name)
    y.sum().backward()
    assert (y.dtype, x.grad.dtype) == (torch.bfloat16, torch.bfloat16)  # type: ignore[union-attr]
    exact = psi(ESTIMATORS[name], x.detach().float(), "raw", ESTIMATORS[name].parameters)
    if name != "ewgs":
        assert torch.equal(x.grad, exact.to(torch.bfloat16)), "psi is computed in float32 and rounded once"


def test_stochastic_sign_has_the_published_probabilities() -> None:
    torch.manual_seed(0)
    x = torch.tensor([-2.0, -0.5, 0.0, 0.25, 1.0]).repeat_interleave(40_000).requires_grad_()
    y = stochastic_sign(x, "identity")
    share = (y.detach().reshape(5, -1) > 0).double().mean(1)
    np.testing.assert_allclose(share.numpy(), [0, 0.25, 0.5, 0.625, 1], atol=0.01)
    assert share[0] == 0 and share[-1] == 1 and set(y.unique().tolist()) == {-1.0, 1.0}
    y.sum().backward()
    assert bool((x.grad == 1).all())


X = np.random.default_rng(1).normal(0, 1, 500)


def ternary_gradient(threshold: float, name: str, **options: object) -> Array:
    x = torch.tensor(X, dtype=torch.float32, requires_grad=True)
    ternary(x, threshold, name, **options).sum().backward()
    assert x.grad is not None
    return x.grad.numpy().astype(float)


@pytest.mark.parametrize("grad", [True, False])
def test_ternary_thresholds_belong_to_zero(grad: bool) -> None:
    x = torch.tensor([-1.0, -0.5, -0.49, 0.0, 0.5, 0.51], requires_grad=grad)
    with torch.set_grad_enabled(grad):
        assert ternary(x, 0.5).tolist() == [-1, 0, 0, 0, 0, 1]


@pytest.mark.parametrize("name", ["tanh", "polynomial", "fda", "reste"])
def test_envelope_is_the_native_gradient_times_psi(name: str) -> None:
    native = np.where(X > 0.3, 1.5, np.where(X < -0.3, 0.7, 1.1))
    expected = native * FORMULAS[name](X / 2) / FORMULAS[name](np.zeros(1))
    found = ternary_gradient(0.3, name, form="envelope", scale=2.0, gains=(1.5, 1.1, 0.7))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["clipped", "erf", "arctan", "swish"])
def test_threshold_sum_is_a_density_at_each_step(name: str) -> None:
    density = lambda u: FORMULAS[name](u) / 2  # noqa: E731
    expected = (1.5 * density((X - 0.3) / 0.8) + 0.7 * density((X + 0.3) / 0.8)) / 0.8
    found = ternary_gradient(0.3, name, form="thresholds", scale=0.8, gains=(1.5, 99.0, 0.7))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_threshold_sum_of_two_touching_steps_is_the_clipped_estimator() -> None:
    assert np.array_equal(ternary_gradient(0.5, "clipped", form="thresholds", scale=0.5), (np.abs(X) < 1).astype(float))


def test_bad_names_say_what_exists() -> None:
    x = torch.zeros(1)
    for call, text in (
        (lambda: sign(x, "polinomial"), "unknown estimator 'polinomial'"),
        (lambda: sign(x, "tanh", gain="twice"), "unknown gain 'twice'"),
        (lambda: sign(x, "relu", gain="unit"), "'relu' is 0 at 0"),
        (lambda: sign(x, "tanh", parameters={"c": 1.0}), "unknown parameter 'c'"),
        (lambda: ternary(x, 0.1, form="sum"), "unknown form 'sum'"),
    ):
        with pytest.raises(UserError, match=text) as caught:
            call()
        assert caught.value.code == "QD0202" and caught.value.help
    with pytest.raises(UserError) as caught:
        sign(x, "polinomial")
    assert "'polynomial'" in caught.value.help
