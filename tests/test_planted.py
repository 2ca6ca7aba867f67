"""Planted mistakes of the kinds that cost others their exactness. Each must be seen by the comparison that guards against it."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from qnn_deploy.ops._fma import fma
from qnn_deploy.ops.batch_norm import fold_batchnorm
from qnn_deploy.passes.scan import scan

torch = pytest.importorskip("torch")


def statistics(channels: int, seed: int) -> list[np.ndarray]:
    """gamma, beta, mean, var whose thresholds fall on attainable accumulators."""
    rng = np.random.default_rng(seed)
    gamma, var = rng.uniform(0.1, 2, channels), rng.uniform(0.1, 900, channels)
    return [a.astype(np.float32) for a in (gamma, np.zeros(channels), rng.integers(-40, 40, channels), var)]


def test_batchnorm_folded_into_the_weights_by_an_optimiser() -> None:
    """ONNX Runtime's ConvBNFusion: the same file, with and without its optimiser, gives different activations."""
    ort = pytest.importorskip("onnxruntime")
    rng = np.random.default_rng(0)
    channels = 64
    gamma, beta, mean, var = statistics(channels, 0)
    weights = rng.choice([-1, 1], (channels, 8, 3, 3)).astype(np.float32)
    model = onnx.parser.parse_model("""<ir_version: 10, opset_import: ["" : 20]>
        net (float[N, 8, 8, 8] x, float[64, 8, 3, 3] w, float[64] g, float[64] b, float[64] m, float[64] v) => (float[N, 64, 6, 6] y) {
            c = Conv(x, w)
            n = BatchNormalization<epsilon = 1e-5>(c, g, b, m, v)
            zero = Constant<value = float {0}>()
            up = GreaterOrEqual(n, zero)
            one = Constant<value = float {1}>()
            down = Constant<value = float {-1}>()
            y = Where(up, one, down)
        }""")
    del model.graph.input[1:]
    for name, array in zip("wgbmv", (weights, gamma, beta, mean, var), strict=True):
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    x = rng.choice([-1, 1], (32, 8, 8, 8)).astype(np.float32)
    outputs = {}
    for level in (ort.GraphOptimizationLevel.ORT_DISABLE_ALL, ort.GraphOptimizationLevel.ORT_ENABLE_ALL):
        options = ort.SessionOptions()
        options.graph_optimization_level = level
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        outputs[level] = session.run(None, {"x": x})[0]
    layer = _layer(gamma, beta, mean, var)
    with torch.no_grad():
        expected = torch.where(layer(torch.conv2d(torch.from_numpy(x), torch.from_numpy(weights))) >= 0, 1.0, -1.0).numpy()
    assert (outputs[ort.GraphOptimizationLevel.ORT_ENABLE_ALL] != expected).sum() > 0


def test_batchnorm_as_multiply_then_add() -> None:
    gamma, beta, mean, var = statistics(64, 1)
    a, b = fold_batchnorm(gamma, beta, mean, var, 1e-5)
    x = np.random.default_rng(1).integers(-576, 577, (1000, 64)).astype(np.float32)
    with torch.no_grad():
        expected = _layer(gamma, beta, mean, var)(torch.from_numpy(x)[:, :, None, None])[:, :, 0, 0].numpy()
    assert (fma(x, a, b).view(np.uint32) != expected.view(np.uint32)).sum() == 0
    assert ((x * a + b).view(np.uint32) != expected.view(np.uint32)).sum() > 0
    assert ((x * a + b >= 0) != (expected >= 0)).sum() > 0, "the difference reaches the next layer's signs"


def test_threshold_off_by_one() -> None:
    """Planted in the numbers that a scan gives: the same scan, run against them, finds every one."""
    import onnx_ir as ir

    gamma, beta, mean, var = statistics(16, 2)
    a, b = fold_batchnorm(gamma, beta, mean, var, 1e-5)
    constants = [ir.Value(name=n, const_value=ir.tensor(v), shape=ir.Shape(v.shape)) for n, v in (("a", a), ("b", b))]
    node = ir.node("BatchNorm", [ir.Value(name="x"), *constants], domain="qnn_deploy")
    bound = np.full(16, 72)
    result = scan([node], -bound, bound, 4)
    x = np.repeat(np.arange(-72, 73)[:, None], 16, 1)
    with torch.no_grad():
        expected = _layer(gamma, beta, mean, var)(torch.from_numpy(x.astype(np.float32))[:, :, None, None])[:, :, 0, 0].numpy() >= 0
    assert np.array_equal(x >= result.threshold, expected)
    for channel in range(16):
        planted = result.threshold.copy()
        planted[channel] += 1
        assert not np.array_equal(x >= planted, expected)


def _layer(gamma: np.ndarray, beta: np.ndarray, mean: np.ndarray, var: np.ndarray) -> torch.nn.Module:
    layer = torch.nn.BatchNorm2d(len(gamma)).eval()
    for name, array in (("weight", gamma), ("bias", beta), ("running_mean", mean), ("running_var", var)):
        getattr(layer, name).data = torch.from_numpy(array)
    return layer
