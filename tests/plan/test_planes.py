"""Which maps and weights are stored as bit-planes: sizes, and that nothing ternary is read as if it were binary."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from qnn_deploy.emit.manifest import describe
from qnn_deploy.emit.qdm import encode
from qnn_deploy.emit.qdm_reader import decode
from qnn_deploy.errors import CompileErrors
from qnn_deploy.ir.program import DType, Opcode, Program, Slot, Weights
from qnn_deploy.passes.pipeline import EXACT
from qnn_deploy.plan import plan
from qnn_deploy.plan.planes import weights_form
from tests.passes._text import l1

WINDOW = "strides = [1, 1], pads = [1, 1, 1, 1], dilations = [1, 1], group = 1, kernel_shape = [3, 3]"
POOL = "kernel_shape = [2, 2], strides = [2, 2], pads = [0, 0, 0, 0], dilations = [1, 1], ceil_mode = 0"


@pytest.mark.parametrize(
    ("values", "source", "form"),
    [
        ([-1, 1], DType.TRITS, Weights.BITS),
        ([-1, 0, 1], DType.BITS, Weights.TRITS),
        ([0, 1], DType.BITS, Weights.TRITS),
        ([0, 1], DType.I8, Weights.MASKS),
        ([-1, 1], DType.I8, Weights.BITS),
        ([0, 0], DType.I8, Weights.MASKS),
        ([-1, 0], DType.I16, Weights.TRITS),
        ([-8, 7], DType.I8, Weights.INT4),
        ([-8, 8], DType.I8, Weights.INT8),
        ([-9, 0], DType.I8, Weights.INT8),
        ([-1, 0, 1], DType.U8, Weights.INT8),
    ],
)
def test_weights_take_the_smallest_form(values: list[int], source: DType, form: Weights) -> None:
    weights = np.resize(np.array(values, np.int8), (4, 9, 8))
    assert weights_form(weights, source) == form
    if source == DType.U8:
        assert weights_form(np.resize(weights, (64, 9, 8)), source) == Weights.TRITS, "a large layer of pixels too"


@pytest.mark.parametrize(("source", "form"), [(DType.I8, Weights.MASKS), (DType.BITS, Weights.MASKS), (DType.U8, Weights.INT8)])
def test_depthwise_weights_take_it_whatever_they_read(source: DType, form: Weights) -> None:
    assert weights_form(np.resize(np.int8([0, 1]), (8, 9, 1)), source, groups=8) == form


def lowered(body: str, constants: dict[str, np.ndarray]) -> ir.Model:
    """pixels - conv - ternary quantiser ``q``, then ``body``, which gives y."""
    text = f"""net (uint8[N, 3, 8, 8] x) => (float[N, 4] y) {{
        z = qnn_deploy.SubtractZero<to = 1>(x, zero)
        c = Conv<{WINDOW}>(z, w)
        q = qnn_deploy.Quantize<low = -1, high = 1, to = 1>(c, s)
        {body}
    }}"""
    rng = np.random.default_rng(0)
    first = {"zero": np.zeros(3, np.int16), "w": rng.integers(-3, 4, (16, 3, 3, 3)).astype(np.float32), "s": np.array([300], np.float32)}
    model = l1(text, {**first, **constants})
    for make, _ in EXACT:
        make()(model)
    return model


def weights(low: int, high: int, *shape: int) -> np.ndarray:
    values = np.random.default_rng(1).integers(low, high + 1, shape).astype(np.float32)
    values.flat[0] = low
    return values


HEAD = f"""d = Conv<{WINDOW}>(q, v)
    r = qnn_deploy.Quantize<low = -127, high = 127, to = 1>(d, t)
    f = Flatten<axis = 1>(r)
    y = Gemm<transB = 1>(f, u)"""
TAIL = {"t": np.array([0.5], np.float32), "u": weights(-1, 1, 4, 256)}


@pytest.mark.parametrize(
    ("readers", "stored"),
    [
        (f"p = MaxPool<{POOL}>(q) f = Flatten<axis = 1>(p) y = Gemm<transB = 1>(f, v)", DType.TRITS),
        ("f = Flatten<axis = 1>(q) y = Gemm<transB = 1>(f, v)", DType.TRITS),
        (f"p = MaxPool<{POOL}>(q) g = qnn_deploy.SumPool<to = 1>(p) y = Gemm<transB = 1>(h, v)", None),
    ],
)
def test_ternary_maps_are_planes_where_every_reader_takes_them(readers: str, stored: DType | None) -> None:
    if stored is None:
        readers = readers.replace("y =", "h = qnn_deploy.Quantize<low = -127, high = 127, to = 1>(g, t) y =")
    inputs = {True: 16, False: 256 if "MaxPool" in readers else 1024}[stored is None]
    program = plan(lowered(readers, {"v": weights(-1, 1, 4, inputs), "t": TAIL["t"]}))
    maps = {program.buffers[op.output].dtype for op in program.ops if op.opcode in (Opcode.CONV, Opcode.BIT_POOL)}
    assert (DType.TRITS in maps) == (stored is DType.TRITS) and DType.BITS not in maps


@pytest.mark.parametrize(("low", "high"), [(-1, 1), (-3, 3), (-127, 127)])
def test_ternary_digits_are_never_read_as_signs(low: int, high: int) -> None:
    """Weights of more bits have no kernel on planes: the map is then stored as integers, whose zeros are zeros."""
    program = plan(lowered(HEAD, {"v": weights(low, high, 4, 16, 3, 3), **TAIL}))
    source = program.buffers[program.ops[1].inputs[0]]
    assert source.dtype == (DType.TRITS if high == 1 else DType.I8)
    assert program.ops[1].weights == (Weights.TRITS if high == 1 else Weights.INT4 if high == 3 else Weights.INT8)
    assert decode(encode(program)).ops[1].weight_bits == program.ops[1].weight_bits == (2 if high == 1 else 4 if high == 3 else 8)


def test_a_sum_of_ternary_maps_is_refused_by_name() -> None:
    body = f"a = Add(q, q) d = Conv<{WINDOW}>(a, v) f = Flatten<axis = 1>(d) y = Gemm<transB = 1>(f, u)"
    with pytest.raises(CompileErrors) as caught:
        plan(lowered(body, {"v": weights(-1, 1, 4, 16, 3, 3), "u": TAIL["u"]}))
    assert {finding.code for finding in caught.value.findings} <= {"QD0301", "QD0307"}


CNV: dict[str, object] = {"channels": [64, 128], "dense": [256], "size": 16, "padding": 1}
RESNET: dict[str, object] = {"blocks": 1, "channels": [16, 32, 64], "activations": "int8"}


def ratio(program: Program) -> float:
    """Weights as stored, over what their values need."""
    totals = describe(program)["totals"]
    assert totals["weight_bytes"] == sum(program.constants[dict(op.constants)[Slot.WEIGHTS]].nbytes for op in program.ops if op.parameters)
    return float(totals["weight_bytes"] / totals["weight_information_bytes"])


@pytest.mark.parametrize(
    ("architecture", "arguments", "bits"),
    [
        (
            "cnv",
            {**CNV, "weights": "fixed-threshold", "activations": "ternary"},
            2,
        ),
        ("cnv", {**CNV, "activations": {"name": "pact", "bits": 2}}, 1),
        ("resnet", {**RESNET, "weights": "twn"}, 2),
        ("resnet", {**RESNET, "weights": "ttq"}, 2),
        ("resnet", {**RESNET, "weights": {"name": "int", "bits": 4}}, 4),
    ],
    ids=["ternary cnv", "binary weights on 2 bits", "twn", "ttq", "int4"],
)
def test_files_hold_weights_at_their_information(architecture: str, arguments: dict[str, object], bits: int) -> None:
    """At most 1.05 times it, and no more than ``bits`` a weight where a layer is large; the arena at most 1.10 times its lower bound."""
    pytest.importorskip("torch")
    from qnn_deploy.frontend import torch_export
    from qnn_deploy.nn.layers import fold
    from qnn_deploy.passes.pipeline import lower
    from tests.nn._networks import network

    latent = fold(network(architecture, 0, arguments))
    program = plan(lower(torch_export.export(latent, latent.input_shape, "uint8", "net")).model)
    assert ratio(program) <= 1.05
    assert program.arena <= 1.10 * program.lower_bound
    assert len(encode(program)) <= 1.05 * describe(program)["totals"]["constant_bytes"] + 200 * len(program.ops)
    doubled = 2 if arguments.get("weights") == "ttq" else 1  # two sums of weights 0 and 1
    middle = [op for op in program.ops[1:-1] if op.parameters]
    assert middle and {op.weight_bits * doubled for op in middle} == {bits}
