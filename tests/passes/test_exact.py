"""L1 to L2: same values bit for bit before and after every pass, and every refusal by name."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from qnn_deploy.errors import CompileErrors
from qnn_deploy.evaluate.reference import run
from qnn_deploy.ir.edit import STRAIGHT
from qnn_deploy.ops import BY_KEY
from qnn_deploy.passes.departures import departures_of
from qnn_deploy.passes.move_scales import MoveScales
from qnn_deploy.passes.pipeline import EXACT
from qnn_deploy.passes.prove_signs import SMALLEST
from qnn_deploy.passes.prove_straight_through import ProveStraightThrough
from tests.passes._text import l1

WINDOW = "strides = [1, 1], pads = [1, 1, 1, 1], dilations = [1, 1], group = 1, kernel_shape = [3, 3]"
POOL = "kernel_shape = [2, 2], strides = [2, 2], pads = [0, 0, 0, 0], dilations = [1, 1], ceil_mode = 0"


def norm(rng: np.random.Generator, name: str, channels: int) -> dict[str, np.ndarray]:
    """BatchNorm constants whose thresholds fall on attainable integers, with negative and zero gamma."""
    gamma = rng.normal(0, 1, channels)
    gamma[1] = 0
    beta = np.where(rng.random(channels) < 0.5, 0, rng.normal(0, 1, channels))
    values = {"g": gamma, "b": beta, "m": np.round(rng.normal(0, 6, channels)), "v": rng.uniform(0.01, 50, channels)}
    return {f"{name}_{key}": value.astype(np.float32) for key, value in values.items()}


def network(pool: str, seed: int) -> ir.Model:
    """pixels - conv - [pool] - BN - sign - conv - BN - sign - flatten - dense; ``pool`` says where the max-pool stands."""
    rng = np.random.default_rng(seed)
    before = {"bn": ("y1 = MaxPool<{P}>(c1)", "y1", "n1"), "sign": ("", "c1", "p1"), "after": ("", "c1", "n1")}[pool]
    sign_input = before[2]
    lines = [
        "z = qnn_deploy.SubtractZero<to = 1>(x, zero)",
        f"c1 = Conv<{WINDOW}>(z, w1)",
        before[0].format(P=POOL),
        f"n1 = BatchNormalization<epsilon = 1e-5>({before[1]}, a_g, a_b, a_m, a_v)",
        f"p1 = MaxPool<{POOL}>(n1)" if pool == "sign" else "",
        f"s1 = qnn_deploy.Sign<to = 1>({sign_input})",
        f"q1 = MaxPool<{POOL}>(s1)" if pool == "after" else "",
        f"c2 = Conv<{WINDOW}>({'q1' if pool == 'after' else 's1'}, w2)",
        "n2 = BatchNormalization<epsilon = 1e-5>(c2, b_g, b_b, b_m, b_v)",
        "s2 = qnn_deploy.Sign<to = 1>(n2)",
        "f = Flatten<axis = 1>(s2)",
        "y = Gemm<transB = 1>(f, w3)",
    ]
    constants = {
        "zero": np.array([3, 120], np.int16),
        "w1": rng.integers(-3, 4, (6, 2, 3, 3)).astype(np.float32),
        "w2": rng.choice([-1, 1], (5, 6, 3, 3)).astype(np.float32),
        "w3": rng.choice([-1, 1], (4, 45)).astype(np.float32),
        **norm(rng, "a", 6),
        **norm(rng, "b", 5),
    }
    return l1("net (uint8[N, 2, 6, 6] x) => (float[N, 4] y) {\n" + "\n".join(line for line in lines if line) + "\n}", constants)


@pytest.mark.parametrize("pool", ["bn", "sign", "after"])
@pytest.mark.parametrize("seed", range(4))
def test_every_pass_keeps_every_logit(pool: str, seed: int) -> None:
    model = network(pool, seed)
    x = np.random.default_rng(seed).integers(0, 256, (40, 2, 6, 6), dtype=np.uint8)
    x[0], x[1] = 0, 255
    expected = run(model, x)
    assert len(np.unique(expected)) > 4
    for make, _ in EXACT:
        make()(model)
        assert np.array_equal(run(model, x), expected), make.__name__
    kinds = [node.op_type for node in model.graph]
    assert kinds.count("Threshold") == 2 and "BatchNorm" not in kinds and "Sign" not in kinds
    assert kinds.count("BipolarMaxPool") == 1 and "MaxPool" not in kinds
    assert kinds.count("BinaryConv") == 1 and kinds.count("BinaryDense") == 1


def test_a_real_valued_stream_keeps_its_formula() -> None:
    rng = np.random.default_rng(0)
    text = f"""net (uint8[N, 2, 6, 6] x) => (float[N, 4] y) {{
        z = qnn_deploy.SubtractZero<to = 1>(x, zero)
        c1 = Conv<{WINDOW}>(z, w1)
        k1 = qnn_deploy.Scale(c1, s1)
        n1 = BatchNormalization<epsilon = 1e-5>(k1, a_g, a_b, a_m, a_v)
        b1 = qnn_deploy.Sign<to = 1>(n1)
        c2 = Conv<{WINDOW}>(b1, w2)
        n2 = BatchNormalization<epsilon = 1e-5>(c2, b_g, b_b, b_m, b_v)
        r = Add(n2, n1)
        q = qnn_deploy.Quantize<low = -127, high = 127, to = 1>(r, s2)
        p = qnn_deploy.SumPool<to = 1>(q)
        h = qnn_deploy.Quantize<low = -127, high = 127, to = 1>(p, s3)
        d = Gemm<transB = 1>(h, w3)
        y = qnn_deploy.Bias(d, o)
    }}"""
    constants = {
        "zero": np.array([3, 120], np.int16),
        "w1": rng.integers(-127, 128, (6, 2, 3, 3)).astype(np.float32),
        "s1": rng.uniform(0.001, 0.01, 6).astype(np.float32),
        "w2": rng.choice([-1, 1], (6, 6, 3, 3)).astype(np.float32),
        "s2": np.array([0.07], np.float32),
        "s3": np.array([9.0], np.float32),
        "w3": rng.integers(-127, 128, (4, 6)).astype(np.float32),
        "o": rng.normal(size=4).astype(np.float32),
        **norm(rng, "a", 6),
        **norm(rng, "b", 6),
    }
    model = l1(text, constants)
    x = rng.integers(0, 256, (40, 2, 6, 6), dtype=np.uint8)
    expected = run(model, x)
    for make, _ in EXACT:
        make()(model)
        assert run(model, x).tobytes() == expected.tobytes(), make.__name__


PRELU_LINES = {
    "once": "n1 = BatchNormalization<epsilon = 1e-5>(c1, a_g, a_b, a_m, a_v) last = qnn_deploy.PRelu(n1, slopes)",
    "twice": "p1 = qnn_deploy.PRelu(c1, slopes) last = BatchNormalization<epsilon = 1e-5>(p1, a_g, a_b, a_m, a_v)",
    "pool in front": f"m1 = MaxPool<{POOL}>(c1) p1 = qnn_deploy.PRelu(m1, slopes) last = BatchNormalization<epsilon = 1e-5>(p1, a_g, a_b, a_m, a_v)",
    "pool behind": f"p1 = qnn_deploy.PRelu(c1, slopes) m1 = MaxPool<{POOL}>(p1) last = BatchNormalization<epsilon = 1e-5>(m1, a_g, a_b, a_m, a_v)",
}


@pytest.mark.parametrize("form", PRELU_LINES)
@pytest.mark.parametrize(
    ("slopes", "rising"), [([0.5, 3, 0, 1e-40, 1, 0.01], True), ([0.5, -3, -0.0, -0.1, -1, 0.01], False), ([-0.2], False)]
)
@pytest.mark.parametrize("seed", range(2))
def test_signs_behind_prelu(form: str, slopes: list[float], rising: bool, seed: int) -> None:
    """Slopes of 0 and above are folded; negative ones where the function still switches once; the others stay, exact as they are."""
    rng = np.random.default_rng(seed)
    text = f"""net (uint8[N, 2, 6, 6] x) => (float[N, 4] y) {{
        z = qnn_deploy.SubtractZero<to = 1>(x, zero)
        c1 = Conv<{WINDOW}>(z, w1)
        {PRELU_LINES[form]}
        s = qnn_deploy.Sign<to = 1>(last)
        f = Flatten<axis = 1>(s)
        y = Gemm<transB = 1>(f, w2)
    }}"""
    constants = {
        "zero": np.array([3, 120], np.int16),
        "w1": rng.integers(-3, 4, (6, 2, 3, 3)).astype(np.float32),
        "slopes": np.array(slopes, np.float32),
        "w2": rng.choice([-1, 1], (4, 54 if "pool" in form else 216)).astype(np.float32),
        **norm(rng, "a", 6),
    }
    constants["a_m"] = 60 + 20 * np.abs(constants["a_m"])  # accumulators of both signs reach it, so that functions that turn switch twice
    model = l1(text, constants)
    x = rng.integers(0, 256, (60, 2, 6, 6), dtype=np.uint8)
    x[0], x[1] = 0, 255
    expected = run(model, x)
    assert len(np.unique(expected)) > 4 or not rising
    for make, _ in EXACT:
        make()(model)
        assert run(model, x).tobytes() == expected.tobytes(), make.__name__
    kinds = [node.op_type for node in model.graph]
    # A BatchNorm alone decides the sign behind "once": a negative slope makes it constant.
    folds = rising or form == "once"
    assert (kinds.count("Threshold"), kinds.count("PRelu")) == ((1, 0) if folds else (0, 1))


def test_prelu_of_integers_is_cast_first() -> None:
    body = "a = Gemm<transB = 1>(f, w)\n y = qnn_deploy.PRelu(a, k)"
    model = l1(dense(body), {**ZERO, **ONES, "k": np.array([0.3, -0.7], np.float32)})
    x = np.random.default_rng(0).integers(0, 256, (50, 2, 1, 1), dtype=np.uint8)
    expected = run(model, x)
    for make, _ in EXACT:
        make()(model)
    assert run(model, x).tobytes() == expected.tobytes()
    assert [node.op_type for node in model.graph][-2:] == ["Cast", "PRelu"]


def dense(body: str) -> str:
    head = "net (uint8[N, 2, 1, 1] x) => (float[N, 2] y)"
    return f"{head} {{\n z = qnn_deploy.SubtractZero<to = 1>(x, zero)\n f = Flatten<axis = 1>(z)\n{body}\n}}"


def refused(body: str, constants: dict[str, np.ndarray]) -> CompileErrors:
    model = l1(dense(body), constants)
    with pytest.raises(CompileErrors) as caught:
        for make, _ in EXACT:
            make()(model)
    return caught.value


ZERO = {"zero": np.zeros(2, np.int16)}
ONES = {"w": np.ones((2, 2), np.float32)}


def test_refuses_a_float_reduction() -> None:
    error = refused("s = qnn_deploy.Bias(f, k)\n y = Gemm<transB = 1>(s, w)", {**ZERO, **ONES, "k": np.array([0.1], np.float32)})
    assert error.code == "QD0307" and "y" in error.where


def test_refuses_an_accumulator_over_2_to_24() -> None:
    body = """a = Gemm<transB = 1>(f, w)
        q = qnn_deploy.Quantize<low = -32767, high = 32767, to = 1>(a, k)
        r = Concat<axis = 1>(q, q, q)
        y = Gemm<transB = 1>(r, v)"""
    error = refused(body, {**ZERO, **ONES, "k": np.ones(1, np.float32), "v": np.full((2, 6), 127, np.float32)})
    assert error.code == "QD0303" and str(6 * 127 * 32767) in error.message


def test_refuses_a_layer_on_bare_accumulators() -> None:
    assert refused("a = Gemm<transB = 1>(f, w)\n y = Gemm<transB = 1>(a, w)", {**ZERO, **ONES}).code == "QD0301"


def test_refuses_weights_over_int8() -> None:
    assert refused("y = Gemm<transB = 1>(f, w)", {**ZERO, "w": np.full((2, 2), 200, np.float32)}).code == "QD0305"


def test_lists_every_reason() -> None:
    body = "s = qnn_deploy.Bias(f, k)\n a = Gemm<transB = 1>(s, w)\n b = qnn_deploy.Scale(a, k)\n y = Gemm<transB = 1>(b, w)"
    error = refused(body, {**ZERO, **ONES, "k": np.array([0.1], np.float32)})
    assert [finding.code for finding in error.findings] == ["QD0307", "QD0307"]


def test_a_scale_in_front_goes_behind() -> None:
    """Past a pool and a ReLU; another reader keeps the scaled values. 0.5 leaves every bit, 0.1 is a departure, with its layer."""
    text = """net (uint8[N, 2, 4, 4] x) => (float[N, 3] y) {
        z = qnn_deploy.SubtractZero<to = 1>(x, zero)
        q = qnn_deploy.Quantize<low = -8, high = 7, to = 1>(z, t)
        s = qnn_deploy.Scale(q, k)
        r = Relu(s)
        p = MaxPool<kernel_shape = [2, 2], strides = [2, 2], pads = [0, 0, 0, 0], dilations = [1, 1], ceil_mode = 0>(r)
        f = Flatten<axis = 1>(p)
        y = Gemm<transB = 1>(f, w)
    }"""
    weights = np.random.default_rng(0).integers(-1, 2, (3, 8)).astype(np.float32)
    for factor, departs in ((0.5, False), (0.1, True)):
        model = l1(text, {**ZERO, "t": np.array([20], np.float32), "k": np.array([factor], np.float32), "w": weights})
        x = np.random.default_rng(1).integers(0, 256, (50, 2, 4, 4), dtype=np.uint8)
        steps = np.clip(np.rint(x / np.float32(20)), -8, 7).astype(np.float32) * np.float32(factor)
        pooled = np.maximum(steps, 0).reshape(50, 2, 2, 2, 2, 2).max(axis=(3, 5)).reshape(50, 8)
        expected = (pooled.astype(np.float64) @ weights.T).astype(np.float32)
        MoveScales()(model)
        assert [node.op_type for node in model.graph][-2:] == ["Gemm", "Scale"]
        assert [each.layer for each in departures_of(model.graph)] == (["y"] if departs else [])
        moved = run(model, x)
        assert np.array_equal(moved, expected) or (departs and np.allclose(moved, expected, rtol=1e-5, atol=1e-5))


def test_a_straight_through_trick_owes_a_bound() -> None:
    body = "a = Gemm<transB = 1>(f, w)\n b = qnn_deploy.Scale(a, k)\n s = qnn_deploy.Sign<to = 1>(b)\n y = Gemm<transB = 1>(s, w)"
    for factor, departs in ((1000, 0), (1e9, 1)):
        model = l1(dense(body), {**ZERO, **ONES, "k": np.array([factor], np.float32)})
        (sign,) = [node for node in model.graph if node.op_type == "Sign"]
        sign.metadata_props[STRAIGHT] = "y"
        ProveStraightThrough()(model)
        assert STRAIGHT not in sign.metadata_props
        assert len(departures_of(model.graph)) == departs


def test_torch_sign_is_one_bit_only_where_zero_is_out_of_reach() -> None:
    reachable = l1(dense("a = Gemm<transB = 1>(f, w)\n s = Sign(a)\n y = Gemm<transB = 1>(s, w)"), {**ZERO, **ONES})
    x = np.stack([np.zeros((2, 1, 1), np.uint8), np.ones((2, 1, 1), np.uint8)])
    expected = run(reachable, x)
    assert expected.tolist() == [[0, 0], [2, 2]]
    for make, _ in EXACT:
        make()(reachable)
    assert np.array_equal(run(reachable, x), expected)
    assert "Sign" not in [node.op_type for node in reachable.graph]
    body = "a = Gemm<transB = 1>(f, w)\n o = qnn_deploy.Bias(a, h)\n s = Sign(o)\n y = Gemm<transB = 1>(s, w)"
    model = l1(dense(body), {**ZERO, **ONES, "h": np.array([-0.5], np.float32)})
    x = np.random.default_rng(0).integers(0, 3, (50, 2, 1, 1), dtype=np.uint8)
    expected = run(model, x)
    for make, _ in EXACT:
        make()(model)
    assert np.array_equal(run(model, x), expected)


def test_torch_sign_as_a_quantiser_is_torch_sign_of_every_float() -> None:
    x = np.concatenate([np.float32([0, -0.0, 2**-149, -(2**-149), 1e-40, 3e38, -3e38]), np.random.default_rng(0).normal(size=999)])
    x = x.astype(np.float32)
    quantised = BY_KEY[("qnn_deploy", "Quantize")].reference([x, np.array([SMALLEST], np.float32)], {"low": -1, "high": 1, "to": 1})
    assert np.array_equal(quantised, np.sign(x))


@pytest.mark.parametrize("pool", ["", "first", "last", "behind"])
@pytest.mark.parametrize(("low", "high", "step"), [(-1, 1, 0.8), (0, 15, 0.1), (-7, 7, 0.3)])
def test_small_quantisers_become_thresholds(pool: str, low: int, high: int, step: float) -> None:
    """conv - [pool] - BN - [pool] - quantiser - [pool] - conv: integers only, the same logits behind every pass."""
    rng = np.random.default_rng(high)
    quantizer = f"qnn_deploy.Quantize<low = {low}, high = {high}, to = 1>"
    x = np.random.default_rng(0).integers(0, 256, (20, 2, 6, 6), dtype=np.uint8)
    text = f"""net (uint8[N, 2, 6, 6] x) => (float[N, 4] y) {{
        z = qnn_deploy.SubtractZero<to = 1>(x, zero)
        c1 = Conv<{WINDOW}>(z, w1)
        {f"p1 = MaxPool<{POOL}>(c1)" if pool == "first" else ""}
        n1 = BatchNormalization<epsilon = 1e-5>({"p1" if pool == "first" else "c1"}, a_g, a_b, a_m, a_v)
        {f"p2 = MaxPool<{POOL}>(n1)" if pool == "last" else ""}
        q1 = {quantizer}({"p2" if pool == "last" else "n1"}, s)
        {f"p3 = MaxPool<{POOL}>(q1)" if pool == "behind" else ""}
        c2 = Conv<{WINDOW}>({"p3" if pool == "behind" else "q1"}, w2)
        q2 = {quantizer}(c2, s2)
        f = Flatten<axis = 1>(q2)
        y = Gemm<transB = 1>(f, w3)
    }}"""
    constants = {
        "zero": np.array([3, 120], np.int16),
        "w1": rng.integers(-3, 4, (6, 2, 3, 3)).astype(np.float32),
        "s": np.array([step], np.float32),
        "w2": rng.integers(-1, 2, (5, 6, 3, 3)).astype(np.float32),
        "s2": np.array([3], np.float32),
        "w3": rng.integers(-1, 2, (4, 45 if pool else 180)).astype(np.float32),
        **norm(rng, "a", 6),
    }
    model = l1(text, constants)
    expected = run(model, x)
    assert len(np.unique(expected)) > 4
    for make, _ in EXACT:
        make()(model)
        assert np.array_equal(run(model, x), expected), make.__name__
    kinds = [node.op_type for node in model.graph]
    assert kinds.count("MultiThreshold") == 2 and "Quantize" not in kinds and "BatchNorm" not in kinds
    assert kinds.count("BipolarMaxPool") == bool(pool)
