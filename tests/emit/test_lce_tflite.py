"""A ``.tflite`` gives the reference's bits: in the slow interpreter beside this file, and on Larq Compute Engine where it is."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from qnn_deploy.emit import FORMATS, lce_tflite, tflite_fma
from qnn_deploy.emit.tflite_file import Graph
from qnn_deploy.errors import CompileErrors, Exit, QnnDeployError
from qnn_deploy.evaluate import lce, reference
from qnn_deploy.evaluate.backends import predict_onnx
from qnn_deploy.evaluate.float_twin import float_twin
from qnn_deploy.evaluate.tflite_twin import tflite_twin
from qnn_deploy.ops._bits import pack_signs
from qnn_deploy.ops._fma import fma
from qnn_deploy.plan import plan
from tests.emit.test_onnx_model import NETWORKS, build, images

pytest.importorskip("tflite", reason="the schema of .tflite files is not installed")
from tests.emit import _tflite_reference as slow

needs_lce = pytest.mark.skipif(not os.environ.get(lce.PYTHON), reason=f"{lce.PYTHON} names no Python with Larq Compute Engine")

# kernel, strides, dilations, pads, groups, channels, outputs, map
GEOMETRIES = [
    ((3, 3), (1, 1), (1, 1), (0, 0, 0, 0), 1, 32, 8, (6, 7)),
    ((3, 3), (1, 1), (1, 1), (1, 1, 1, 1), 1, 33, 40, (5, 6)),
    ((3, 3), (2, 2), (1, 1), (1, 1, 1, 1), 1, 16, 7, (8, 8)),  # ONNX pads above, TFLite below
    ((3, 3), (2, 2), (1, 1), (0, 0, 1, 1), 1, 16, 7, (8, 8)),
    ((3, 3), (2, 2), (1, 1), (1, 1, 1, 1), 1, 5, 32, (7, 9)),
    ((3, 3), (1, 1), (1, 1), (1, 1, 1, 1), 1, 40, 5, (2, 2)),  # larger than the map, where LCE's own correction is wrong
    ((5, 1), (1, 1), (1, 1), (2, 0, 2, 0), 1, 8, 3, (6, 4)),
    ((3, 3), (1, 1), (2, 2), (2, 2, 2, 2), 1, 24, 9, (7, 6)),
    ((2, 2), (1, 1), (1, 1), (1, 0, 0, 1), 1, 31, 4, (5, 5)),
    ((1, 1), (2, 2), (1, 1), (0, 0, 0, 0), 1, 64, 10, (5, 5)),
    ((3, 3), (1, 1), (1, 1), (1, 1, 1, 1), 2, 64, 10, (5, 5)),
]


def layer(geometry: tuple, ending: str) -> tuple[ir.Model, np.ndarray]:
    """One binary convolution between signs and its sums, their signs or their BatchNorm; and an input."""
    kernel, strides, dilations, pads, groups, channels, outputs, (height, width) = geometry
    rng = np.random.default_rng([*kernel, *pads, channels])
    window = f"strides: ints = {list(strides)}, pads: ints = {list(pads)}, dilations: ints = {list(dilations)}, group: int = {groups}"
    endings = {
        "sums": "[end] out = Cast <to = 1> (c)",
        "signs": "[end] t = qnn_deploy.Threshold (c, t0)\n [out] out = Cast <to = 1> (t)",
        "stream": "[end] out = qnn_deploy.BatchNorm (c, a, b)",
    }
    text = f"""
    <ir_version: 10, opset_import: ["" : 20, "qnn_deploy" : 1]>
    net (int8[N, {channels}, {height}, {width}] x) => (float[N, {outputs}, H, W] out)
    {{
        [zero] z = qnn_deploy.SubtractZero <to: int = 5> (x, zero)
        [sign] s = qnn_deploy.Sign <to: int = 3> (z)
        [conv] c = qnn_deploy.BinaryConv <kernel_shape: ints = {list(kernel)}, in_channels: int = {channels // groups}, {window}> (s, w)
        {endings[ending]}
    }}"""
    thresholds = rng.integers(-9, 9, outputs, dtype=np.int32)
    thresholds[:2] = np.iinfo(np.int32).min, np.iinfo(np.int32).max
    constants = {
        "zero": np.zeros(channels, np.int16),
        "w": pack_signs(rng.choice([-1, 1], (outputs, channels // groups, *kernel))),
        "t0": thresholds,
        "a": rng.standard_normal(outputs).astype(np.float32) / 10,
        "b": rng.standard_normal(outputs).astype(np.float32),
    }
    return build(text, constants), rng.integers(-128, 128, (3, channels, height, width), dtype=np.int8)


def play(content: bytes, samples: np.ndarray) -> np.ndarray:
    """Logits [N, classes] or [N, classes, H, W] in the slow interpreter."""
    outputs = np.concatenate([slow.run(content, np.moveaxis(samples[i : i + 1], 1, -1)) for i in range(len(samples))])
    return np.moveaxis(outputs, -1, 1) if outputs.ndim > 2 else outputs


MOVES = """
<ir_version: 10, opset_import: ["" : 20, "qnn_deploy" : 1]>
net (int8[N, 32, 6, 6] x) => (float[N, 11] out)
{
    [zero] z = qnn_deploy.SubtractZero <to: int = 5> (x, zero)
    [sign] s = qnn_deploy.Sign <to: int = 3> (z)
    [minus] m = qnn_deploy.Pad <pads: ints = [1, 1, 1, 1], value: int = -1> (s)
    [plus] p = qnn_deploy.Pad <pads: ints = [1, 1, 1, 1], value: int = 1> (s)
    [join] j = Concat <axis = 1> (m, p)
    [conv] c = qnn_deploy.BinaryConv <kernel_shape: ints = [3, 3], in_channels: int = 64, strides: ints = [1, 1], pads: ints = [0, 0, 0, 0],
        dilations: ints = [1, 1], group: int = 1> (j, w)
    [bits] t = qnn_deploy.Threshold (c, thr)
    [odd] o = Concat <axis = 1> (t, t)
    [pool] q = qnn_deploy.BipolarMaxPool <kernel_shape: ints = [3, 3], strides: ints = [2, 2], pads: ints = [0, 0, 1, 1]> (o, minimum)
    [depth] d = qnn_deploy.Conv <strides: ints = [1, 1], pads: ints = [1, 1, 1, 1], dilations: ints = [1, 1], group: int = 32> (z, wd)
    [groups] g = qnn_deploy.Conv <strides: ints = [2, 2], pads: ints = [1, 1, 1, 1], dilations: ints = [1, 1], group: int = 2> (z, wg)
    [slopes] f = qnn_deploy.Scale (g, one)
    [prelu] r = qnn_deploy.PRelu (f, slope)
    [relu] e = Relu (r)
    [float_pool] l = MaxPool <kernel_shape = [2, 2], strides = [1, 1], pads = [0, 0, 1, 1], dilations = [1, 1], ceil_mode = 0> (e)
    [eight] i = qnn_deploy.Quantize <low: int = -128, high: int = 127, to: int = 3> (l, one1)
    [flat] k = Flatten <axis = 1> (i)
    [dense] n = qnn_deploy.Dense (k, w2)
    [flat_bits] u = Flatten <axis = 1> (q)
    [binary] v = qnn_deploy.BinaryDense <in_features: int = 126> (u, w3)
    [eight_bits] w8 = qnn_deploy.Dense (u, w6)
    [sum] y = qnn_deploy.SumPool <to: int = 6> (z)
    [sum_sign] ys = qnn_deploy.Threshold (y, thr32)
    [sum_dense] yd = qnn_deploy.BinaryDense <in_features: int = 32> (ys, w4)
    [d_sign] ds = qnn_deploy.Threshold (d, thr32)
    [d_flat] df = Flatten <axis = 1> (ds)
    [d_dense] dd = qnn_deploy.BinaryDense <in_features: int = 1152> (df, w5)
    [n1] n1 = Cast <to = 1> (n)
    [v1] v1 = Cast <to = 1> (v)
    [y1] y1 = Cast <to = 1> (yd)
    [d1] d1 = Cast <to = 1> (dd)
    [a1] a1 = Add (n1, v1)
    [a2] a2 = Add (a1, y1)
    [w1] wf = Cast <to = 1> (w8)
    [a3] a3 = Add (a2, d1)
    [a4] out = Add (a3, wf)
}
"""


def moves() -> ir.Model:
    rng = np.random.default_rng(5)

    def signs(*shape: int) -> np.ndarray:
        return pack_signs(rng.choice([-1, 1], shape))

    def small(*shape: int) -> np.ndarray:
        return rng.integers(-7, 8, shape, dtype=np.int8)

    return build(
        MOVES,
        {
            "zero": np.full(32, 3, np.int16),
            "w": signs(7, 64, 3, 3),
            "thr": rng.integers(-9, 9, 7, dtype=np.int32),
            "minimum": rng.integers(0, 2, 14, dtype=np.uint8),
            "wd": small(32, 1, 3, 3),
            "wg": small(6, 16, 3, 3),
            "one": np.float32([0.125]),
            "slope": np.linspace(-0.5, 0.5, 6).astype(np.float32),
            "one1": np.float32([3]),
            "w2": small(11, 54),
            "w3": signs(11, 126),
            "thr32": rng.integers(-99, 99, 32, dtype=np.int32),
            "w4": signs(11, 32),
            "w5": signs(11, 1152),
            "w6": rng.integers(-127, 128, (11, 126), dtype=np.int8),
        },
    )


def subjects() -> dict[str, tuple[ir.Model, np.ndarray]]:
    """Graphs with inputs for them."""
    found = {f"{ending} {number}": layer(each, ending) for number, each in enumerate(GEOMETRIES) for ending in ("sums", "signs", "stream")}
    found |= {name: (make(), images(5)) for name, make in NETWORKS.items()}
    head = found["stream"][0].graph.initializers["head"]
    assert head.const_value is not None
    head.const_value = ir.tensor(head.const_value.numpy() // 16, name="head")  # sums below 2^24, as the compiler sees to
    return found | {"moves": (moves(), np.random.default_rng(1).integers(-128, 128, (3, 32, 6, 6), dtype=np.int8))}


SUBJECTS = subjects()


@pytest.mark.parametrize("name", SUBJECTS)
def test_the_references_bits(name: str) -> None:
    model, samples = SUBJECTS[name]
    expected = reference.run(model, samples)
    assert len(np.unique(expected)) > 1
    content = lce_tflite.encode(model)
    assert content == lce_tflite.encode(model)
    assert play(content, samples).tobytes() == expected.tobytes()


@pytest.mark.parametrize("name", ["stream", "stream 1", "stream 2", "stream 5"])
def test_folded_for_benchmarks(name: str) -> None:
    """Not exact, and shorter; but the same function."""
    model, samples = SUBJECTS[name]
    quick, content = lce_tflite.encode(model, exact=False), lce_tflite.encode(model)
    assert len(quick) < len(content)
    expected = reference.run(model, samples)
    assert np.abs(play(quick, samples) - expected).max() < 1e-5 * np.abs(expected).max()


@needs_lce
def test_larq_compute_engine_gives_the_references_bits() -> None:
    for name, (model, samples) in SUBJECTS.items():
        predict = lce.predict_tflite(lce.find(), lce_tflite.encode(model), samples.shape[1:])
        assert predict(samples).tobytes() == reference.run(model, samples).tobytes(), name


def test_operators_of_a_binary_network() -> None:
    """Signs by signs are on the engine's operators, with thresholds where nothing is padded by zeros; no BatchNorm is left."""
    import tflite

    model = tflite.Model.GetRootAs(lce_tflite.encode(SUBJECTS["thresholds"][0]))
    rows = slow.operators(model.Subgraphs(0), model)
    kinds = [kind for kind, _, _ in rows]
    assert kinds[:4] == ["CAST", "SUB", "CONV_2D", "LceQuantize"] and kinds.count("LceBconv2d") == 3 and kinds.count("LceBMaxPool2d") == 1
    layers = [(each.Inputs(4), options["padding"], options["pad_values"]) for kind, each, options in rows if kind == "LceBconv2d"]
    assert [(thresholds >= 0, padding, value) for thresholds, padding, value in layers] == [(False, 0, 0), (True, 1, 1), (False, 1, 1)]
    flat = next(options for kind, _, options in rows[::-1] if kind == "LceBconv2d")
    assert flat["channels_in"] == 33
    pool = next(options for kind, _, options in rows if kind == "LceBMaxPool2d")
    assert pool == {"padding": 1, "stride_width": 2, "stride_height": 2, "filter_width": 2, "filter_height": 2}


def float_steps(graph: Graph, values: dict[int, np.ndarray]) -> np.ndarray:
    """The last tensor of a graph of elementwise operators."""
    values |= {index: each.data for index, each in enumerate(graph.tensors) if each.data is not None}
    with np.errstate(all="ignore"):
        for each in graph.operators:
            inputs = [values[index] for index in each.inputs]
            values[each.output] = getattr(slow, f"_{each.kind.lower()}")(*inputs, shape=None)
    return values[graph.operators[-1].output]


def ties(rng: np.random.Generator, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """a and b for which x * a + b lies on, or next to, the middle of two floats."""
    a = rng.standard_normal(x.size).astype(np.float32)
    target = rng.standard_normal(x.size).astype(np.float32) * np.float32(4.0) ** rng.integers(-3, 8, x.size)
    middle = target.astype(np.float64) + np.spacing(target).astype(np.float64) / 2
    return a, (middle - x.astype(np.float64) * a).astype(np.float32)


@pytest.mark.parametrize("narrow", [True, False])
def test_fused_multiply_add(narrow: bool) -> None:
    rng = np.random.default_rng(7)
    x = rng.integers(-4096, 4097, 100_000).astype(np.float32)
    if not narrow:
        x = (x * rng.standard_normal(x.size)).astype(np.float32)
    for a, b in ((rng.standard_normal(x.size).astype(np.float32), rng.standard_normal(x.size).astype(np.float32)), ties(rng, x)):
        graph = Graph()
        start = graph.tensor("x", "float32", (1, 1, 1, x.size))
        tflite_fma.fma(graph, start, a, b, "bn", narrow=narrow)
        found = float_steps(graph, {start: x.reshape(1, 1, 1, -1)}).reshape(-1)
        assert found.tobytes() == fma(x, a, b).tobytes()


def test_the_known_tie() -> None:
    """Where a double goes wrong, see `ops._fma`; checked with exact arithmetic."""
    x, a, b = np.float32([97]), np.float32([172961]), np.float32([0.9 * 2.0**-28])
    graph = Graph()
    start = graph.tensor("x", "float32", (1, 1, 1, 1))
    tflite_fma.fma(graph, start, a, b, "bn", narrow=True)
    found = float_steps(graph, {start: x.reshape(1, 1, 1, 1)}).reshape(-1)
    truth = Fraction(float(x[0])) * Fraction(float(a[0])) + Fraction(float(b[0]))
    other = np.nextafter(found, np.float32(np.inf)) if truth > Fraction(float(found[0])) else np.nextafter(found, np.float32(-np.inf))
    assert abs(Fraction(float(found[0])) - truth) < abs(Fraction(float(other[0])) - truth)


TERNARY = """
<ir_version: 10, opset_import: ["" : 20, "qnn_deploy" : 1]>
net (int8[N, 3, 4, 4] x) => (float[N, 2] out)
{
    [zero] z = qnn_deploy.SubtractZero <to: int = 5> (x, zero)
    [first] c = qnn_deploy.BinaryConv <kernel_shape: ints = [3, 3], in_channels: int = 3, strides: ints = [1, 1], pads: ints = [1, 1, 1, 1],
        dilations: ints = [1, 1], group: int = 1> (z, w)
    [trits] t = qnn_deploy.MultiThreshold <low: int = -1> (c, levels)
    [signs] s = qnn_deploy.Threshold (c, thr)
    [ternary_weights] e = qnn_deploy.Conv <strides: ints = [1, 1], pads: ints = [1, 1, 1, 1], dilations: ints = [1, 1],
        group: int = 1> (s, wt)
    [levels] l = qnn_deploy.Quantize <low: int = 0, high: int = 3, to: int = 3> (e, step)
    [join] j = Concat <axis = 1> (t, l)
    [sum] p = qnn_deploy.SumPool <to: int = 6> (j)
    [few] f = Cast <to = 1> (p)
    [dense] out = qnn_deploy.FloatDense (f, head)
}
"""


def test_what_the_engine_has_not_is_refused_by_name() -> None:
    rng = np.random.default_rng(3)
    constants = {
        "zero": np.zeros(3, np.int16),
        "w": pack_signs(rng.choice([-1, 1], (4, 3, 3, 3))),
        "levels": np.array([[-2] * 4, [3] * 4], np.int32),
        "thr": np.zeros(4, np.int32),
        "wt": rng.integers(-1, 2, (4, 4, 3, 3), dtype=np.int8),
        "step": np.float32([2]),
        "head": rng.standard_normal((2, 8)).astype(np.float32),
    }
    with pytest.raises(CompileErrors) as caught:
        lce_tflite.encode(build(TERNARY, constants))
    messages = [str(finding).split("\n")[0] for finding in caught.value.findings]
    assert [message.split(":")[1].strip() for message in messages] == ["trits", "ternary_weights", "levels", "dense"]
    assert {finding.code for finding in caught.value.findings} == {"QD0311"} and caught.value.exit_code == Exit.UNDEPLOYABLE
    assert "3 values" in messages[0] and "signs by signs only" in messages[1] and "4 values" in messages[2] and "FloatDense" in messages[3]


def test_a_batch_norm_out_of_reach_is_refused() -> None:
    model, _ = layer(GEOMETRIES[0], "stream")
    value = model.graph.initializers["a"]
    value.const_value = ir.tensor(np.full(8, 1e-30, np.float32), name="a")
    with pytest.raises(CompileErrors, match="outside"):
        lce_tflite.encode(model)


def test_a_trained_network(small_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from qnn_deploy.evaluate import subjects

    trained = subjects.open_trained(str(small_checkpoint))
    (row,) = [row for row in FORMATS if row.name == "tflite"]
    content = row.encode(trained.lowered.model, plan(trained.lowered.model))
    samples = np.random.default_rng(0).integers(0, 256, (8, 1, 8, 8), np.uint8)
    truth = trained.oracle(samples)
    assert play(content, samples).tobytes() == truth.tobytes()
    twins = play(tflite_twin(trained.lowered.l1), samples), predict_onnx(float_twin(trained.lowered.l1))(samples)
    assert np.abs(twins[0] - twins[1]).max() < 1e-5 * np.abs(twins[1]).max()
    if os.environ.get(lce.PYTHON):
        backend = subjects.chain_backends(trained, {"tflite": content}, reference_limit=1, onnx_limit=1)[-1]
        assert backend.predict is not None and backend.predict(samples).tobytes() == truth.tobytes()
    monkeypatch.delenv(lce.PYTHON, raising=False)
    backend = subjects.chain_backends(trained, {"tflite": content}, reference_limit=1, onnx_limit=1)[-1]
    assert backend.artefact == row.file and backend.predict is None and "larq-compute-engine" in backend.not_run


def test_a_python_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(lce.PYTHON, "/nowhere/python")
    predict = lce.predict_tflite(lce.find(), b"", (1, 1, 1))
    with pytest.raises(QnnDeployError) as caught:
        predict(np.zeros((1, 1, 1, 1), np.uint8))
    assert caught.value.code == "QD0403" and "numpy<2" in caught.value.help
