"""Additive noise annealing against its formulas written out, and against the estimators that it contains."""

from __future__ import annotations

import itertools
import math

import pytest

torch = pytest.importorskip("torch")
from torch import Tensor, nn  # noqa: E402

from qnn_deploy.errors import UserError  # noqa: E402
from qnn_deploy.nn.ana import STRATEGIES, levels_of, noisy_stair  # noqa: E402
from qnn_deploy.nn.ana_noise import NOISES  # noqa: E402
from qnn_deploy.nn.ana_schedules import INTERVALS, ana_schedules  # noqa: E402
from qnn_deploy.nn.anneal import Scheduler, quantities  # noqa: E402
from qnn_deploy.nn.functional import sign  # noqa: E402
from qnn_deploy.nn.layers import QuantLinear  # noqa: E402
from qnn_deploy.nn.quantizers import AnaActivation, AnaWeight, activation_quantizer, weight_quantizer  # noqa: E402

POINTS = torch.tensor([-3.0, -1.5, -1.0, -0.999, -0.7, -0.5, -0.31, -1e-6, 0.0, 1e-6, 0.2, 0.5, 0.51, 0.9, 1.0, 1.001, 2.5])
TERNARY, BINARY = (-1, 0, 1), (-1, 1)

# F(z; s) and f(z; s), in double, not from torch.
CDF = {
    "uniform": lambda z, s: min(max((z + s) / (2 * s), 0.0), 1.0),
    "triangular": lambda z, s: (
        0.0 if z <= -s else 1.0 if z >= s else (z + s) ** 2 / (2 * s * s) if z < 0 else 1 - (s - z) ** 2 / (2 * s * s)
    ),
    "normal": lambda z, s: 0.5 * math.erfc(-z / (s * math.sqrt(2))),
    "logistic": lambda z, s: 1 / (1 + math.exp(-z / s)),
}
PDF = {
    "uniform": lambda z, s: 1 / (2 * s) if abs(z) <= s else 0.0,
    "triangular": lambda z, s: max(0.0, s - abs(z)) / (s * s),
    "normal": lambda z, s: math.exp(-((z / s) ** 2) / 2) / (s * math.sqrt(2 * math.pi)),
    "logistic": lambda z, s: 1 / (4 * s * math.cosh(z / (2 * s)) ** 2),
}


def gradient(module: nn.Module, x: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    y = module.train()(x)
    (y[0] if isinstance(y, tuple) else y).sum().backward()
    assert x.grad is not None
    return x.grad


def weight(bits: int, noise: str, scale: float | None = None, strategy: str = "expectation") -> AnaWeight:
    return AnaWeight(bits, noise=noise, scale=scale, strategy=strategy)


def test_levels() -> None:
    assert levels_of(1) == (-1, 1) and levels_of(1, signed=False) == (0, 1)
    assert levels_of(2) == (-1, 0, 1) and levels_of(2, balanced=False) == (-2, -1, 0, 1)
    assert levels_of(3) == (-3, -2, -1, 0, 1, 2, 3) and levels_of(3, signed=False) == tuple(range(8))


def test_binary_uniform_noise_is_the_clipped_estimator() -> None:
    x = POINTS.clone().requires_grad_()
    sign(x, "clipped").sum().backward()
    assert torch.equal(gradient(weight(1, "uniform"), POINTS), x.grad)


def test_binary_triangular_noise_is_the_polynomial_estimator() -> None:
    x = POINTS.clone().requires_grad_()
    sign(x, "polynomial").sum().backward()
    assert torch.equal(gradient(weight(1, "triangular"), POINTS), x.grad)


def test_ternary_uniform_noise_is_the_clipped_estimator() -> None:
    inside = (POINTS.abs() <= 1).float()
    inside[POINTS == 0] = 2  # where both thresholds' closed intervals meet
    assert torch.equal(gradient(weight(2, "uniform"), POINTS), inside)


@pytest.mark.parametrize("b", [0.5, 1.0, 2.0])
def test_binary_logistic_noise_is_the_tanh_estimator(b: float) -> None:
    x = POINTS.double()
    expected = torch.tensor([b / math.cosh(b * v) ** 2 for v in x.tolist()], dtype=torch.float64)
    torch.testing.assert_close(gradient(weight(1, "logistic", 1 / (2 * b)), x), expected, rtol=1e-12, atol=0)


def test_binary_normal_noise_is_the_erf_estimator() -> None:
    x = POINTS.double()
    quantizer = weight(1, "normal", math.sqrt(2 / math.pi))
    s = float(quantizer.sigma * quantizer.initial_scale)
    expected = torch.tensor([2 * PDF["normal"](v, s) for v in x.tolist()], dtype=torch.float64)
    found = gradient(quantizer, x)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(found, torch.exp(-math.pi * x * x / 4), rtol=1e-6, atol=0)


def masses(x: float, levels: tuple[int, ...], noise: str, mean: float, s: float) -> list[float]:
    over = [1.0, *[CDF[noise](x - mean - (a + b) / 2, s) for a, b in itertools.pairwise(levels)], 0.0]
    return [a - b for a, b in itertools.pairwise(over)]


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("levels", [BINARY, TERNARY, levels_of(3, signed=False)])
def test_expectation_mode_and_slope_follow_the_formulas(noise: str, levels: tuple[int, ...]) -> None:
    x = torch.linspace(-2.03, 8.11, 53, dtype=torch.float64).requires_grad_()
    mean, s = torch.tensor(-0.375), torch.tensor(0.4375)
    y = noisy_stair(x, levels, noise, "expectation", mean, s)
    y.sum().backward()
    mode = noisy_stair(x.detach(), levels, noise, "mode", mean, s)
    for i, v in enumerate(x.tolist()):
        pmf = masses(v, levels, noise, -0.375, 0.4375)
        assert float(y.detach()[i]) == pytest.approx(sum(p * q for p, q in zip(pmf, levels, strict=True)), rel=1e-12, abs=1e-12)
        assert float(mode[i]) == max(zip(pmf, levels, strict=True))[1]
        slope = sum((b - a) * PDF[noise](v + 0.375 - (a + b) / 2, 0.4375) for a, b in itertools.pairwise(levels))
        assert float(x.grad[i]) == pytest.approx(slope, rel=1e-12, abs=1e-13)


@pytest.mark.parametrize("noise", NOISES)
def test_random_levels_have_their_probabilities(noise: str) -> None:
    count = 40_000
    module = AnaActivation(2, noise=noise, strategy="random", scale=0.5, seed=5).train()
    for v in (-0.6, 0.1, 0.45):
        y = module(torch.full((count,), v))
        for level, p in zip(TERNARY, masses(v, TERNARY, noise, 0.0, 0.5), strict=True):
            assert abs(int((y == level).sum()) - count * p) <= 5 * math.sqrt(count * p * (1 - p)) + 1e-6


def test_random_levels_repeat_with_the_state_only() -> None:
    x = torch.randn(64, generator=torch.Generator().manual_seed(0))
    a, b = AnaActivation(strategy="random", seed=1).train(), AnaActivation(strategy="random", seed=2).train()
    first, second = a(x), a(x)
    assert not torch.equal(first, second) and not torch.equal(b(x), first)
    b.load_state_dict(a.state_dict())
    assert torch.equal(a(x), b(x))


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("bits", [1, 2])
def test_without_noise_it_is_the_stair_and_still(noise: str, strategy: str, bits: int) -> None:
    module = AnaWeight(bits, noise=noise, strategy=strategy)
    module.sigma.zero_()
    expected = (
        [1.0 if v >= 0 else -1.0 for v in POINTS.tolist()] if bits == 1 else [float((v >= 0.5) - (v < -0.5)) for v in POINTS.tolist()]
    )
    assert module.train()(POINTS)[0].tolist() == expected
    assert gradient(module, POINTS).tolist() == [0.0] * len(POINTS)
    if bits == 2:
        expected[POINTS.tolist().index(0.5)] = 0.0  # a tie
    assert module.eval()(POINTS)[0].tolist() == expected
    module.sigma.fill_(1.0)
    assert module.eval()(POINTS)[0].tolist() == expected  # noise is training's alone


def test_the_mode_between_two_equal_levels_is_the_upper() -> None:
    for noise in ("uniform", "triangular"):
        module = AnaWeight(2, noise=noise, strategy="mode").train()
        assert module(torch.tensor([-0.5, 0.5]))[0].tolist() == [0.0, 1.0]


def test_the_quantum_divides_before_the_noise_and_is_the_scale() -> None:
    y, scale = AnaWeight(2, noise="uniform", eps=0.25).train()(torch.tensor([-0.25, 0.0625, 0.125]))
    assert y.tolist() == [-1.0, 0.25, 0.5] and scale.item() == 0.25


def test_the_initial_scale_covers_half_a_step() -> None:
    # F(half a step) - F(-half a step): all of a bounded variable, 95 % of an unbounded one.
    expected = {"uniform": 0.5, "triangular": 0.5, "normal": 0.25511, "logistic": 0.13648}
    for noise, scale in expected.items():
        assert weight(2, noise).initial_scale == pytest.approx(scale, abs=5e-6)
        assert weight(1, noise).initial_scale == 2 * weight(2, noise).initial_scale
    for noise in ("normal", "logistic"):
        s = weight(2, noise).initial_scale
        assert CDF[noise](0.5, s) - CDF[noise](-0.5, s) == pytest.approx(0.95, rel=1e-9)


def test_the_dynamic_mean_moves_half_a_step() -> None:
    module = AnaWeight(2, noise="uniform", mean="dynamic").train()
    x = torch.tensor([-1.0, -0.75, 0.0, 0.25])
    assert module(x)[0].tolist() == [-0.5, -0.25, 0.5, 0.75]  # x + 0.5 within the range
    module.mean.zero_()
    assert module(x)[0].tolist() == [-1.0, -0.75, 0.0, 0.25]


def test_latent_weights_start_at_thresholds_once() -> None:
    torch.manual_seed(0)
    for mean, shift in (("static", 0.0), ("dynamic", -0.5)):
        layer = QuantLinear(64, 32, AnaWeight(2, mean=mean, eps=0.25))
        offset = (layer.weight.detach() / 0.25 - shift).abs() - 0.5
        assert float(offset.abs().max()) <= 1 / 8 + 1e-6
        assert float(offset.abs().max()) > 0.9 / 8 and offset.min() < 0 < offset.max()
        before = layer.weight.detach().clone()
        layer.reset_quantizer()
        assert torch.equal(layer.weight, before)


@pytest.mark.parametrize("spec", [{"bits": 1}, {"bits": 2}, {"bits": 2, "eps": 0.125}, {"bits": 3, "balanced": False, "strategy": "mode"}])
def test_eval_is_the_folded_form_bit_for_bit(spec: dict[str, object]) -> None:
    torch.manual_seed(1)
    layer = QuantLinear(40, 12, weight_quantizer({"name": "ana", **spec})).eval()
    x = torch.randint(-20, 21, (16, 40)).float()
    integers, scale = layer.quantized_weight()
    assert torch.equal(integers, integers.round())
    assert scale is None or scale.item() == 0.125
    with torch.no_grad():
        before = layer(x)
        layer.fold()
        assert torch.equal(layer(x), before)


@pytest.mark.parametrize("intervals", INTERVALS)
@pytest.mark.parametrize("power_law", ["homogeneous", "progressive"])
def test_schedules_are_those_of_the_experiment(intervals: str, power_law: str) -> None:
    layers, period = 7, 50
    epochs = period * (layers + 3)
    modules: list[nn.Module] = []
    for _ in range(layers):
        modules += [QuantLinear(2, 2, AnaWeight(mean="dynamic")), AnaActivation(mean="dynamic")]
    model = nn.Sequential(*modules)
    scheduler = Scheduler(model, ana_schedules(mean="dynamic", intervals=intervals, power_law=power_law), epochs)
    found = quantities(model)
    for epoch in (0, 1, 49, 50, 51, 175, 299, 349, 350, 499):
        scheduler.set_progress((epoch + 0.5) / epochs)
        for layer in range(layers):
            begin = {"overlapped": 0, "same_start": 0, "same_end": layers - layer - 1, "partition": layer}[intervals] * period
            end = {"overlapped": layers, "same_start": layer + 1, "same_end": layers, "partition": layer + 1}[intervals] * period
            power = 1 if power_law == "homogeneous" else layers - layer
            share = (end - min(max(epoch, begin), end)) / (end - begin)
            for path in (f"{2 * layer}.quantizer", f"{2 * layer + 1}"):
                assert float(found[f"{path}.mean"].buffer) == pytest.approx(share**power, rel=1e-6, abs=1e-30)
                assert float(found[f"{path}.sigma"].buffer) == pytest.approx(share ** (2 * power), rel=1e-6, abs=1e-30)


def test_what_is_static_has_no_schedule() -> None:
    assert ana_schedules(variance="static") == []
    assert AnaWeight(variance="static", strategy="mode").annealed == ()
    assert [s.target for s in ana_schedules()] == ["*.sigma"] and AnaWeight().annealed == ("sigma",)
    with pytest.raises(UserError, match="sigma has no schedule"):
        Scheduler(AnaWeight(), [])


@pytest.mark.parametrize(
    "spec",
    [
        {"variance": "static"},
        {"noise": "gaussian"},
        {"strategy": "mean"},
        {"bits": 5},
        {"bits": 1, "balanced": False},
        {"signed": False},
        {"eps": 0.0},
        {"scale": -1.0},
        {"nois": "normal"},
    ],
)
def test_bad_specs_are_refused(spec: dict[str, object]) -> None:
    with pytest.raises(UserError) as caught:
        weight_quantizer({"name": "ana", **spec})
    assert caught.value.code == "QD0202"


def test_bad_schedules_are_refused() -> None:
    for bad in ({"intervals": "together"}, {"power_law": "theory"}):
        with pytest.raises(UserError):
            ana_schedules(**bad)


def test_bfloat16_activations_keep_their_dtype_and_are_computed_in_float32() -> None:
    x = (POINTS * 1.1).bfloat16()
    for strategy in STRATEGIES:
        module = activation_quantizer({"name": "ana", "noise": "normal", "strategy": strategy, "seed": 3})
        other = activation_quantizer({"name": "ana", "noise": "normal", "strategy": strategy, "seed": 3})
        y = module.train()(x)
        assert y.dtype == torch.bfloat16 and torch.equal(y, other.train()(x.float()).bfloat16())
        slope = gradient(module, x)
        assert slope.dtype == torch.bfloat16 and torch.equal(slope, gradient(other, x.float()).bfloat16())
