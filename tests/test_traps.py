"""Every known way to lose exactness in deployment, each with the test that holds it: the traps found in published training code, and the
defects of Larq Compute Engine that were reproduced. What no other suite tests is tested here.
"""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

from qnn_deploy.emit.qdm import encode
from qnn_deploy.errors import CompileErrors
from qnn_deploy.evaluate.backends import predict_qdm
from qnn_deploy.evaluate.reference import run
from qnn_deploy.ops import BY_KEY
from qnn_deploy.passes._importing import split_scale
from qnn_deploy.passes.pipeline import EXACT
from qnn_deploy.plan import plan
from qnn_deploy.targets import find_target
from qnn_deploy.toolchain.compiler import build_program
from qnn_deploy.toolchain.runner import LocalRunner, available_kernels
from tests.passes._text import l1

ROOT = Path(__file__).parents[1]

# Trap -> the tests that would fail if we fell into it.
TRAPS: dict[str, tuple[str, ...]] = {
    "torch.sign(0) = 0, a third state (IR-Net, ReCU, ReSTE, RBNN, AdaBin, Bi-Real, FracBNN)": (
        "tests/passes/test_exact.py::test_torch_sign_is_one_bit_only_where_zero_is_out_of_reach",
        "tests/passes/test_exact.py::test_torch_sign_as_a_quantiser_is_torch_sign_of_every_float",
        "tests/frontend/test_strangers.py::test_exact",
        "tests/ops/test_integer_ops.py::test_sign_of_zero",
    ),
    "the mean of each sample subtracted at inference, a threshold that depends on the data (RBNN)": (
        "tests/test_traps.py::test_a_mean_of_the_sample_is_refused",
    ),
    "zero padding of a +-1 map, a third value": (
        "tests/test_traps.py::test_a_filter_larger_than_the_map",
        "tests/ops/test_integer_ops.py::test_binary_conv",
    ),
    "BatchNorm in front of a residual sum leaves a real-valued stream, no threshold": (
        "tests/test_chain.py::test_every_form_gives_the_same_bits",
    ),
    "the order of a float sum flips signs at thresholds": (
        "tests/passes/test_scan.py::test_thresholds_agree_with_torch_at_every_accumulator",
        "tests/test_chain.py::test_every_form_gives_the_same_bits",
    ),
    "BatchNorm folded into float weights, sums reassociated by an optimiser": (
        "tests/frontend/test_torch_export.py::test_our_networks",
        "tests/test_chain.py::test_every_form_gives_the_same_bits",
    ),
    "straight-through sums that round": (
        "tests/passes/test_resolve_straight_through.py::test_the_claims_of_the_module",
        "tests/passes/test_resolve_straight_through.py::test_others_depart",
    ),
    "a scale multiplied into the weights before the convolution": (
        "tests/frontend/test_strangers.py::test_departing",
        "tests/passes/test_normalise_conv.py::test_scales_and_biases_go_behind",
    ),
    "LCE 1: zero padding is wrong where the filter is larger than the map": ("tests/test_traps.py::test_a_filter_larger_than_the_map",),
    "LCE 2: a ternary activation is compiled as a sign": (
        "tests/test_traps.py::test_larqs_ternary_activation_is_no_sign",
        "tests/emit/test_lce_tflite.py::test_what_the_engine_has_not_is_refused_by_name",
    ),
    "LCE 3: thresholds computed in float are off by one": (
        "tests/passes/test_scan.py::test_the_textbook_formula_would_be_wrong",
        "tests/test_traps.py::test_thresholds_of_wide_layers",
    ),
    "LCE 4: a constant over the map is fused as one over the channels": ("tests/passes/test_normalise_elementwise.py::test_refused",),
    "LCE 5: a file is written that the runtime refuses": (
        "tests/test_traps.py::test_grouped_convolutions_run_where_they_are_built",
        "tests/plan/test_lowering.py::test_elementwise_steps_of_a_flattened_map_keep_its_shape",
        "tests/test_random_graphs.py::test_no_pass_changes_a_bit",
    ),
    "LCE 6: weights that are nearly binary are made binary": ("tests/test_traps.py::test_nearly_binary_weights_are_not_binary",),
    "LCE 7: the reference kernel with zero padding and packed output crashes": ("tests/test_traps.py::test_a_filter_larger_than_the_map",),
    "LCE 8: NaN becomes +1": (
        "tests/test_traps.py::test_nan_is_minus_one_as_in_torch",
        "tests/passes/test_normalise_conv.py::test_refused",
    ),
    "LCE 9: fast-math flags on one machine only": ("tests/toolchain/test_compiler.py::test_exactness_flags_are_always_there",),
}


@pytest.mark.parametrize("trap", TRAPS)
def test_each_trap_has_its_test(trap: str) -> None:
    for name in TRAPS[trap]:
        file, function = name.split("::")
        tree = ast.parse((ROOT / file).read_text())
        assert any(isinstance(node, ast.FunctionDef) and node.name == function for node in tree.body), name


def _in_c(text: str, constants: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """Logits of ``text`` by the reference; every C kernel family must give the same."""
    model = l1(text, constants)
    expected = run(model, x)
    for make, _ in EXACT:
        make()(model)
    assert run(model, x).tobytes() == expected.tobytes()
    target, packed = find_target("host"), encode(plan(model))
    runner, program = LocalRunner("host"), build_program("qd_run", target)
    for kernels in available_kernels(runner, program):
        found = predict_qdm(runner, program, packed, kernels)(x)
        assert found.tobytes() == expected.tobytes(), kernels
    return expected


@pytest.mark.parametrize(("channels", "groups"), [(64, 2), (32, 2), (12, 3), (8, 8)])
def test_grouped_convolutions_run_where_they_are_built(channels: int, groups: int) -> None:
    """Groups of 32 channels, which the engine converts and then refuses to run, of 16, of less than a byte, and of one."""
    rng = np.random.default_rng(channels)
    conv = "Conv<kernel_shape = [3, 3], strides = [1, 1], pads = [1, 1, 1, 1], dilations = [1, 1], group = {}>"
    text = f"""net (uint8[N, 3, 5, 5] x) => (float[N, 4, 5, 5] y) {{
        z = qnn_deploy.SubtractZero<to = 1>(x, zero)
        a = {conv.format(1)}(z, first)
        s = qnn_deploy.Sign<to = 1>(a)
        g = {conv.format(groups)}(s, grouped)
        t = qnn_deploy.Sign<to = 1>(g)
        y = {conv.format(1)}(t, last)
    }}"""
    shapes = {"first": (channels, 3, 3, 3), "grouped": (channels, channels // groups, 3, 3), "last": (4, channels, 3, 3)}
    constants = {name: rng.choice([-1, 1], shape).astype(np.float32) for name, shape in shapes.items()}
    logits = _in_c(text, {"zero": np.full(3, 128, np.int16), **constants}, rng.integers(0, 256, (8, 3, 5, 5), dtype=np.uint8))
    assert len(np.unique(logits)) > 4


@pytest.mark.parametrize(("height", "width", "kernel"), [(1, 1, 3), (2, 2, 3), (2, 8, 3), (1, 5, 5), (4, 4, 5)])
def test_a_filter_larger_than_the_map(height: int, width: int, kernel: int) -> None:
    """Zero-padded binary convolutions with packed output, on maps that the filter covers; torch as the judge."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(height * width)
    pad = kernel // 2
    window = f"kernel_shape = [{kernel}, {kernel}], strides = [1, 1], pads = [{pad}, {pad}, {pad}, {pad}], dilations = [1, 1], group = 1"
    text = f"""net (uint8[N, 3, {height}, {width}] x) => (float[N, 4] y) {{
        z = qnn_deploy.SubtractZero<to = 1>(x, zero)
        a = Conv<{window}>(z, first)
        r = qnn_deploy.Bias(a, half)
        s = qnn_deploy.Sign<to = 1>(r)
        b = Conv<{window}>(s, second)
        t = qnn_deploy.Bias(b, half)
        u = qnn_deploy.Sign<to = 1>(t)
        f = Flatten<axis = 1>(u)
        y = Gemm<transB = 1>(f, last)
    }}"""
    first, second = (rng.choice([-1, 1], (40, c, kernel, kernel)).astype(np.float32) for c in (3, 40))
    last = rng.choice([-1, 1], (4, 40 * height * width)).astype(np.float32)
    half, zero = rng.integers(-5, 5, 40).astype(np.float32) + 0.5, np.int16([100, 3, 255])
    x = rng.integers(0, 256, (40, 3, height, width), dtype=np.uint8)
    found = _in_c(text, {"zero": zero, "first": first, "half": half, "second": second, "last": last}, x)
    y = torch.from_numpy(x.astype(np.float32) - zero.reshape(-1, 1, 1))
    for weights in (first, second):
        y = torch.nn.functional.conv2d(y, torch.from_numpy(weights), padding=pad) + torch.from_numpy(half)[:, None, None]
        y = torch.where(y >= 0, 1.0, -1.0)
    assert np.array_equal(found, (y.flatten(1) @ torch.from_numpy(last).T).numpy())


def test_larqs_ternary_activation_is_no_sign() -> None:
    """sign(sign(x + t) + sign(x - t)) has three values; larq's own sign of 0 is +1 inside and 0 outside, torch's 0 throughout."""
    text = """net (uint8[N, 2, 1, 1] x) => (float[N, 3] y) {
        z = qnn_deploy.SubtractZero<to = 1>(x, zero)
        f = Flatten<axis = 1>(z)
        a = Gemm<transB = 1>(f, w)
        up = qnn_deploy.Bias(a, plus)
        down = qnn_deploy.Bias(a, minus)
        p = Sign(up)
        q = Sign(down)
        s = Add(p, q)
        t = Sign(s)
        y = Gemm<transB = 1>(t, last)
    }"""
    rng = np.random.default_rng(0)
    constants = {
        "zero": np.int16([100, 100]),
        "w": np.float32([[1, -1], [1, 1], [-1, 1]]),
        "plus": np.float32([30]),
        "minus": np.float32([-30]),
    }
    constants["last"] = rng.choice([-1, 1], (3, 3)).astype(np.float32)
    x = rng.integers(0, 256, (300, 2, 1, 1), dtype=np.uint8)
    a = (x.reshape(-1, 2).astype(np.float32) - 100) @ constants["w"].T
    ternary = np.sign(np.sign(a + 30) + np.sign(a - 30))
    assert set(np.unique(ternary)) == {-1, 0, 1}
    model = l1(text, constants)
    assert np.array_equal(run(model, x), ternary @ constants["last"].T)
    for make, _ in EXACT:
        make()(model)
    assert np.array_equal(run(model, x), ternary @ constants["last"].T)


@pytest.mark.parametrize("inputs", [576, 4608])
def test_thresholds_of_wide_layers(inputs: int) -> None:
    """BatchNorms whose zero crossing lies within a rounding of an attainable accumulator, where a division in float is off by one."""
    rng = np.random.default_rng(inputs)
    channels = 64
    mean = rng.integers(-inputs // 4, inputs // 4, channels).astype(np.float32)
    var = rng.uniform(1, inputs, channels).astype(np.float32)
    gamma = rng.normal(0, 1, channels).astype(np.float32)
    # beta so that the crossing is the accumulator mean + 2, up to float's own rounding
    beta = (-2 * gamma / np.sqrt(var + np.float32(1e-5))).astype(np.float32)
    text = f"""net (uint8[N, {inputs}, 1, 1] x) => (float[N, {channels}] y) {{
        z = qnn_deploy.SubtractZero<to = 1>(x, zero)
        f = Flatten<axis = 1>(z)
        a = Gemm<transB = 1>(f, w)
        n = BatchNormalization<epsilon = 1e-5>(a, gamma, beta, mean, var)
        s = qnn_deploy.Sign<to = 1>(n)
        y = Gemm<transB = 1>(s, eye)
    }}"""
    # Inputs of 0 and 1: the accumulator of channel c is the number of ones, less the number of ones where its weight is -1.
    weights = np.ones((channels, inputs), np.float32)
    constants = {"zero": np.zeros(inputs, np.int16), "w": weights, "gamma": gamma, "beta": beta, "mean": np.abs(mean), "var": var}
    constants["eye"] = np.eye(channels, dtype=np.float32)
    counts = np.unique(np.concatenate([np.abs(mean) + step for step in range(5)])).astype(int)
    x = (np.arange(inputs)[None] < counts[:, None]).astype(np.uint8).reshape(len(counts), inputs, 1, 1)
    model = l1(text, constants)
    expected = run(model, x)
    assert 0.2 < (expected > 0).mean() < 0.8
    for make, _ in EXACT:
        make()(model)
    assert "Threshold" in [node.op_type for node in model.graph]
    assert run(model, x).tobytes() == expected.tobytes()


def test_nearly_binary_weights_are_not_binary() -> None:
    """A tenth of a percent off is another number; roundings of s * sign(w) - w + w are a departure, which is named."""
    rng = np.random.default_rng(0)
    signs = rng.choice([-1, 1], (4, 8, 3, 3)).astype(np.float32)
    assert split_scale(signs * rng.uniform(0.998, 1.002, signs.shape).astype(np.float32)) is None
    found = split_scale(signs * np.float32(0.37))
    assert found is not None and np.array_equal(found[0], signs)


def test_nan_is_minus_one_as_in_torch() -> None:
    torch = pytest.importorskip("torch")
    x = np.float32([np.nan, -np.nan, 0, -0.0, np.inf, -np.inf])
    ours = BY_KEY["qnn_deploy", "Sign"].reference([x], {"to": 1})
    assert np.array_equal(ours, torch.where(torch.from_numpy(x) >= 0, 1.0, -1.0).numpy())


def test_a_mean_of_the_sample_is_refused() -> None:
    torch = pytest.importorskip("torch")
    from qnn_deploy.frontend import load_module
    from qnn_deploy.passes.canonicalise import canonicalise

    class Rotated(torch.nn.Module):  # type: ignore[misc, name-defined]
        def forward(self, x: torch.Tensor) -> torch.Tensor:  # type: ignore[name-defined]
            x = x - x.mean((1, 2, 3), keepdim=True)
            return torch.where(x >= 0, 1.0, -1.0).flatten(1)

    with pytest.raises(CompileErrors) as caught:
        canonicalise(load_module(Rotated().eval(), "1x3x4x4:uint8").model)
    assert any("averages" in finding.message and "test_traps.py:" in finding.where for finding in caught.value.findings)
