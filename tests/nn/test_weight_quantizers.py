"""Every weight quantiser against its paper's formula, in numpy float64, on random and on hard weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

torch = pytest.importorskip("torch")

from qnn_deploy.nn.quantizers import WEIGHT_QUANTIZERS, weight_quantizer  # noqa: E402

Array = NDArray[np.float64]
# (integers, scale that broadcasts over the first axis, or [2]), both float64
Result = tuple[Array, Array | float | None]


def sign(w: Array) -> Array:
    return np.where(w >= 0, 1.0, -1.0)


def rows(w: Array) -> Array:
    return w.reshape(len(w), -1)


def ternary(w: Array, threshold: Any) -> Array:
    return np.where(w > threshold, 1.0, np.where(w < -threshold, -1.0, 0.0))


def xnor(w: Array) -> Result:
    centred = np.clip(w - w.mean(1, keepdims=True) if w.shape[1] > 1 else w, -1, 1)
    return sign(centred), np.abs(rows(centred)).mean(1)


def ir_net(w: Array) -> Result:
    normal = (rows(w) - rows(w).mean(1, keepdims=True)) / rows(w).std(1, ddof=1, keepdims=True)
    return sign(normal).reshape(w.shape), 2 ** np.round(np.log2(np.abs(normal).mean(1)))


def recu(w: Array) -> Result:
    return sign(rows(w) - rows(w).mean(1, keepdims=True)).reshape(w.shape), np.ones(len(w))


def dorefa(bits: int) -> Callable[[Array], Result]:
    def formula(w: Array) -> Result:
        if bits == 1:
            return sign(w), np.abs(w).mean()
        n = 2**bits - 1
        scaled = np.tanh(w) / (2 * np.abs(np.tanh(w)).max()) + 0.5
        return np.round((2 * np.round(n * scaled) / n - 1) * n), 1 / n

    return formula


def twn(factor: float, channel: bool = False) -> Callable[[Array], Result]:
    def formula(w: Array) -> Result:
        parts = rows(w) if channel else w.reshape(1, -1)
        thresholds = factor * np.abs(parts).mean(1)
        scales = np.array([np.abs(p)[np.abs(p) > d].mean() for p, d in zip(parts, thresholds, strict=True)])
        return ternary(parts, thresholds[:, None]).reshape(w.shape), scales if channel else scales[0]

    return formula


def fixed(w: Array) -> Result:
    threshold = 0.05 * np.abs(w).max()
    return ternary(w, threshold), np.abs(w)[np.abs(w) > threshold].mean()


def absmean(w: Array) -> Result:
    gamma = np.abs(w).mean()
    return np.clip(np.round(w / gamma), -1, 1), gamma


def ttq(w: Array) -> Result:
    return ternary(w, 0.05 * np.abs(w).max()), np.ones(2)


def tga(w: Array) -> Result:
    mu, sigma = w.mean(), w.std(ddof=1)
    d = min(0.05 * np.abs(w).max(), 3 * sigma)
    a = d / sigma
    tail = 0.5 * math.erfc(a / math.sqrt(2))
    alpha = mu + sigma * math.exp(-a * a / 2) / math.sqrt(2 * math.pi) / tail
    return np.where(w > mu + d, 1.0, np.where(w < mu - d, -1.0, 0.0)), alpha


def integer(bits: int, channel: bool = True) -> Callable[[Array], Result]:
    def formula(w: Array) -> Result:
        n = 2 ** (bits - 1) - 1
        scale = np.abs(rows(w)).max(1) / n if channel else np.full(len(w), np.abs(w).max() / n)
        return np.round(rows(w) / scale[:, None]).reshape(w.shape), scale if channel else scale[0]

    return formula


CASES: list[tuple[Any, Callable[[Array], Result]]] = [
    ("binary", lambda w: (sign(w), None)),
    ("binary-connect", lambda w: (sign(w), None)),
    ({"name": "binary-connect", "bound": 0.25}, lambda w: (sign(w), 0.25)),
    ({"name": "binary-connect", "bound": "glorot"}, lambda w: (sign(w), math.sqrt(1.5 / (5 * 9 + 6 * 9)))),
    ("xnor", xnor),
    ("ir-net", ir_net),
    ("recu", recu),
    ("dorefa", dorefa(1)),
    ({"name": "dorefa", "bits": 2}, dorefa(2)),
    ({"name": "dorefa", "bits": 5}, dorefa(5)),
    ("twn", twn(0.7)),
    ({"name": "twn", "per": "channel"}, twn(0.7, channel=True)),
    ("fixed-threshold", fixed),
    ("absmean", absmean),
    ("ttq", ttq),
    ("tga", tga),
    ("int8", integer(8)),
    ({"name": "int", "bits": 4}, integer(4)),
    ({"name": "int", "bits": 2, "per": "layer"}, integer(2, channel=False)),
]
NAMES = [name if isinstance(name, str) else " ".join(str(v) for v in name.values()) for name, _ in CASES]


def random_weight(seed: int) -> Array:
    generator = np.random.default_rng(seed)
    w = generator.normal(0.02, 0.3, (6, 5, 3, 3)) * generator.uniform(0.5, 2, (6, 1, 1, 1))
    return w.astype(np.float32).astype(float)


@pytest.mark.parametrize("spec,formula", CASES, ids=NAMES)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("training", [True, False])
def test_integers_and_scale_are_the_papers(spec: Any, formula: Callable[[Array], Result], seed: int, training: bool) -> None:
    w = random_weight(seed)
    quantizer = weight_quantizer(spec).train(training)
    weight = torch.tensor(w, dtype=torch.float32)
    quantizer.attach(weight)
    with torch.set_grad_enabled(training):
        integers, scale = quantizer(weight)
    expected, expected_scale = formula(w)
    assert np.array_equal(integers.detach().numpy(), expected)
    assert (scale is None) == (expected_scale is None)
    if scale is not None:
        assert scale.shape == np.shape(expected_scale)
        np.testing.assert_allclose(scale.detach().numpy(), expected_scale, rtol=2e-6)
    assert (integers.min(), integers.max()) == quantizer.levels or quantizer.bits > 4


def test_ir_net_scales_are_powers_of_two() -> None:
    w = torch.randn(64, 3, 3, 3) ** 3  # heavy tails, so that not all scales are the same
    _, scale = weight_quantizer("ir-net").eval()(w)
    assert set(scale.log2().tolist()) == {-1.0, 0.0} and torch.equal(torch.frexp(scale).mantissa, torch.full((64,), 0.5))


def test_tga_scale_is_the_mean_of_a_truncated_gaussian() -> None:
    generator = torch.Generator().manual_seed(0)
    w = torch.randn(4_000_000, generator=generator) * 0.07 + 0.003
    quantizer = weight_quantizer("tga")
    quantizer.attach(w)
    with torch.no_grad():
        for share in (0.01, 0.05, 0.1, 0.2):
            quantizer.delta.fill_(share)
            _, scale = quantizer(w)
            assert float(scale) == pytest.approx(float(w[w > w.mean() + share].double().mean()), rel=3e-3)


def test_tga_threshold_is_held_within_three_sigma() -> None:
    w = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    quantizer = weight_quantizer("tga")
    with torch.no_grad():
        quantizer.delta.fill_(-100.0)
        integers, _ = quantizer(w)
        assert torch.equal(integers.abs(), ((w - w.mean()).abs() > 3 * w.std()).float())


def test_stochastic_binary_connect_is_random_in_training_only() -> None:
    torch.manual_seed(0)
    quantizer = weight_quantizer({"name": "binary-connect", "stochastic": True, "bound": 0.5})
    w = torch.full((200_000,), 0.2)
    integers, scale = quantizer(w)
    assert float(integers.detach().mean()) == pytest.approx(0.4, abs=0.01) and float(scale) == 0.5
    assert quantizer.eval()(w)[0].unique().tolist() == [1.0]


EDGES = {
    "zero": np.zeros((3, 4, 2, 2)),
    "one element": np.full((1, 1, 1, 1), -0.3),
    "constant": np.full((3, 4, 2, 2), 0.7),
    "denormal": np.random.default_rng(0).normal(size=(3, 4, 2, 2)) * 1e-40,
    "huge": np.random.default_rng(0).normal(size=(3, 4, 2, 2)) * 1e30,
    "dense": np.random.default_rng(0).normal(size=(3, 4)),
}


def check_sound(name: str, w: Any) -> None:
    """In training and in ``eval()``: legal integers, a finite scale, finite gradients; and the same integers twice."""
    quantizer = weight_quantizer(name)
    weight = torch.tensor(np.asarray(w), dtype=torch.float32).requires_grad_()
    quantizer.attach(weight.detach())
    for training in (True, False):
        weight.grad = None
        integers, scale = quantizer.train(training)(weight)
        low, high = quantizer.levels
        real = training and getattr(quantizer, "must_anneal", ())
        assert real or (bool(((integers >= low) & (integers <= high)).all()) and torch.equal(integers, integers.round()))
        assert scale is None or bool(torch.isfinite(scale).all())
        y = integers if scale is None else integers * scale.sum()
        if y.requires_grad:
            y.sum().backward()
        assert weight.grad is None or bool(torch.isfinite(weight.grad).all())
    with torch.no_grad():
        first, second = quantizer(weight), quantizer(weight)
    assert torch.equal(first[0], second[0]) and torch.equal(first[0], integers)
    if quantizer.bits == 1:
        assert bool((first[0].abs() == 1).all())


@pytest.mark.parametrize("name", WEIGHT_QUANTIZERS)
@pytest.mark.parametrize("edge", EDGES)
def test_hard_weights(name: str, edge: str) -> None:
    check_sound(name, EDGES[edge])


NUMBERS = st.floats(-(2.0**99), 2.0**99, width=32) | st.floats(-2, 2, width=32) | st.sampled_from([0.0, -0.0, 1e-45, 0.5, -0.5])


@pytest.mark.parametrize("name", WEIGHT_QUANTIZERS)
@settings(max_examples=25, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_weights(name: str, data: st.DataObject) -> None:
    out, inside = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 6)))
    check_sound(name, np.array(data.draw(st.lists(NUMBERS, min_size=out * inside, max_size=out * inside))).reshape(out, inside))


def test_negative_zero_and_zero_are_positive() -> None:
    w = torch.tensor([[0.0, -0.0, 1.0, -1.0]])
    for name in ("binary", "binary-connect", "dorefa"):
        assert weight_quantizer(name)(w)[0].tolist() == [[1, 1, 1, -1]]
