"""The scan against brute force through torch's own BatchNorm, with the statistics that break algebra."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from qnn_deploy.ops import BY_KEY
from qnn_deploy.ops.batch_norm import fold_batchnorm
from qnn_deploy.passes.scan import ALWAYS, NEVER, scan, scan_levels


def constant(array: np.ndarray) -> ir.Value:
    tensor = ir.tensor(array)
    return ir.Value(name="c", const_value=tensor, shape=ir.Shape(array.shape), type=ir.TensorType(tensor.dtype))


def batch_norm(a: np.ndarray, b: np.ndarray) -> ir.Node:
    return ir.node("BatchNorm", [ir.Value(name="x"), constant(a), constant(b)], domain="qnn_deploy")


@pytest.mark.parametrize("seed", range(6))
def test_thresholds_agree_with_torch_at_every_accumulator(seed: int) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(seed)
    channels, bound = 64, 300
    mean = np.round(rng.normal(0, 60, channels)).astype(np.float32)  # integers: thresholds fall on attainable accumulators
    var = rng.choice([1e-12, 0.5, 37.0, 9000.0], channels).astype(np.float32)
    gamma = rng.normal(0, 1, channels).astype(np.float32)
    gamma[::7] = 0
    beta = np.where(rng.random(channels) < 0.5, 0, rng.normal(0, 2, channels)).astype(np.float32)
    a, b = fold_batchnorm(gamma, beta, mean, var, 1e-5)
    low, high = np.full(channels, -bound), rng.integers(10, bound, channels)
    result = scan([batch_norm(a, b)], low, high, 4)
    assert result.broken is None and result.violations == 0
    assert result.checked == int((high - low + 1).sum())

    layer = torch.nn.BatchNorm2d(channels).eval()
    for name, array in (("weight", gamma), ("bias", beta), ("running_mean", mean), ("running_var", var)):
        getattr(layer, name).data = torch.from_numpy(array)
    x = np.repeat(np.arange(-bound, bound + 1)[:, None], channels, 1)
    with torch.no_grad():
        positive = (layer(torch.from_numpy(x.astype(np.float32))[:, :, None, None]) >= 0).numpy()[:, :, 0, 0]
    ours = result.direction * x >= result.threshold
    inside = (x >= low) & (x <= high)
    assert np.array_equal(ours[inside], positive[inside])
    assert {ALWAYS, NEVER} & set(result.threshold.tolist()), "no constant channel in this case: the test lost its point"
    assert (result.direction < 0).any()


@pytest.mark.parametrize("one", [False, True])
def test_prelu_between_agrees_with_torch(one: bool) -> None:
    """sign(BN(PReLU(BN(acc)))): channels of negative slope fold where they switch once, else the first switch back is found."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    channels, bound = 96, 120
    slopes = (
        np.array([-0.5], np.float32) if one else rng.choice([-2.0, -0.1, -0.0, 0.0, 1e-40, 0.25, 1.0, 3.0], channels).astype(np.float32)
    )
    a, b, c, d = (rng.normal(0, scale, channels).astype(np.float32) for scale in (0.1, 3, 1, 2))
    prelu = ir.node("PRelu", [ir.Value(name="x"), constant(slopes)], domain="qnn_deploy")
    cast = ir.node("Cast", [ir.Value(name="x")], {"to": 1})
    x = np.repeat(np.arange(-bound, bound + 1)[:, None], channels, 1)
    first = torch.from_numpy(BY_KEY[("qnn_deploy", "BatchNorm")].reference([x.astype(np.int32), a, b], {}))
    values = torch.nn.functional.prelu(first, torch.from_numpy(slopes)).numpy()
    positive = BY_KEY[("qnn_deploy", "BatchNorm")].reference([values, c, d], {}) >= 0
    switches = (positive[1:] != positive[:-1]).sum(0)
    assert (switches > 1).any() and (switches == 1).any() and (switches == 0).any()
    assert one or ((switches == 1) & (slopes < 0)).any()
    for channel in range(channels):
        own = slice(channel, channel + 1)
        slope = prelu if one else ir.node("PRelu", [ir.Value(name="x"), constant(slopes[own])], domain="qnn_deploy")
        chain = [batch_norm(a[own], b[own]), slope, batch_norm(c[own], d[own])]
        result = scan([cast, *chain], np.array([-bound]), np.array([bound]), 4)
        assert (result.broken is None) == (switches[channel] <= 1)
        if result.broken is None:
            assert np.array_equal(result.direction[0] * x[:, channel] >= result.threshold[0], positive[:, channel])


def test_the_textbook_formula_would_be_wrong() -> None:
    """Algebra's threshold, ceil(mean - beta / a), disagrees with the scan somewhere: what the scan is for."""
    rng = np.random.default_rng(1)
    channels = 512
    mean = rng.integers(-60, 60, channels).astype(np.float32)
    var, gamma = rng.uniform(0.1, 900, channels).astype(np.float32), rng.uniform(0.1, 2, channels).astype(np.float32)
    a, b = fold_batchnorm(gamma, np.zeros(channels, np.float32), mean, var, 1e-5)
    result = scan([batch_norm(a, b)], np.full(channels, -100), np.full(channels, 100), 4)
    algebra = np.ceil(mean.astype(np.float64))
    assert 0 < int((algebra != result.threshold).sum()) < channels


def test_a_function_that_switches_back_is_named() -> None:
    hump = ir.node("Clip", [ir.Value(name="x"), constant(np.float32(-1)), constant(np.float32(1))])
    a, b = np.array([1, -1], np.float32), np.zeros(2, np.float32)
    assert scan([batch_norm(a, b), hump], np.array([-5, -5]), np.array([5, 5]), 2).broken is None
    from qnn_deploy.ops import _base

    op = BY_KEY[("", "Relu")]
    folded = _base.OpDef("test", "Fold", op.infer, lambda inputs, _: 2 - np.abs(inputs[0].astype(np.float32)))
    BY_KEY[("test", "Fold")] = folded  # type: ignore[index]
    try:
        result = scan([ir.node("Fold", [ir.Value(name="x")], domain="test")], np.array([-5]), np.array([5]), 2)
    finally:
        del BY_KEY[("test", "Fold")]  # type: ignore[attr-defined]
    assert result.broken == (0, 3) and result.violations == 1


@pytest.mark.parametrize(("low", "high", "step"), [(-1, 1, 1.0), (0, 15, 0.4), (-7, 7, 0.31), (0, 1, 2.0), (0, 3, 40.0)])
def test_levels_agree_with_torch_at_every_accumulator(low: int, high: int, step: float) -> None:
    """Ties at half a step, channels that fall, that never leave a level, and that skip some."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(high)
    channels, bound = 48, 150
    a = rng.choice([-1.0, -0.5, -0.01, 0.0, 0.01, 0.1, 0.5, 7.0], channels).astype(np.float32)
    b = rng.choice([0.0, 0.5, -0.25, 3.7, 900.0], channels).astype(np.float32)
    quantizer = ir.node(
        "Quantize", [ir.Value(name="x"), constant(np.array([step], np.float32))], {"low": low, "high": high, "to": 3}, domain="qnn_deploy"
    )
    below, above = np.full(channels, -bound), rng.integers(10, bound, channels)
    result = scan_levels([batch_norm(a, b), quantizer], below, above, 4, (low, high))
    assert result.broken is None and result.violations == 0
    assert result.thresholds.shape == (high - low, channels) and (np.diff(result.thresholds, axis=0) >= 0).all()
    x = np.repeat(np.arange(-bound, bound + 1)[:, None], channels, 1)
    real = torch.from_numpy(BY_KEY[("qnn_deploy", "BatchNorm")].reference([x.astype(np.int32), a, b], {}))
    expected = torch.clamp(torch.round(real / torch.tensor(step)), low, high).numpy()
    ours = low + (result.direction * x >= result.thresholds[:, None]).sum(0)
    inside = (x >= below) & (x <= above)
    assert np.array_equal(ours[inside], expected[inside])
    assert (result.direction < 0).any() and (result.thresholds == NEVER).any() and (result.thresholds == ALWAYS).any()


def test_levels_that_step_back_are_named() -> None:
    """2 |x| rounded: falls, then rises."""
    slope = ir.node("PRelu", [ir.Value(name="x"), constant(np.array([-1], np.float32))], domain="qnn_deploy")
    cast = ir.node("Cast", [ir.Value(name="x")], {"to": 1})
    quantizer = ir.node(
        "Quantize", [ir.Value(name="x"), constant(np.ones(1, np.float32))], {"low": 0, "high": 3, "to": 3}, domain="qnn_deploy"
    )
    result = scan_levels([cast, slope, quantizer], np.array([-5]), np.array([5]), 2, (0, 3))
    assert result.broken == (0, 1) and result.violations == 3
