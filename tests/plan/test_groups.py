"""Which elementwise operators become one stream: those in the runtime's order, in which a ReLU has two places. None is moved."""

from __future__ import annotations

import itertools

import numpy as np
import onnx_ir as ir
import pytest

from qnn_deploy.emit.qdm import encode
from qnn_deploy.emit.qdm_reader import decode
from qnn_deploy.evaluate.backends import predict_qdm
from qnn_deploy.evaluate.reference import run
from qnn_deploy.ir.program import IN_ORDER, NO_STEPS, Opcode, Step
from qnn_deploy.passes.pipeline import EXACT
from qnn_deploy.plan import plan
from qnn_deploy.plan.groups import STEPS, steps_of
from qnn_deploy.targets import find_target
from qnn_deploy.toolchain.compiler import build_program
from qnn_deploy.toolchain.runner import LocalRunner, available_kernels
from tests.passes._text import l1

WINDOW = "kernel_shape = [3, 3], strides = [1, 1], pads = [1, 1, 1, 1], dilations = [1, 1], group = 1"
KINDS = ("scale", "relu", "bn", "bias", "add", "clip", "prelu")


@pytest.mark.parametrize("count", range(5))
def test_steps_are_those_of_the_operators_in_their_order(count: int) -> None:
    """By trying every place of every operator."""
    for names in itertools.product(STEPS, repeat=count):
        ways = itertools.product(*([place for place in IN_ORDER if place & STEPS[name]] for name in names))
        orders = [[IN_ORDER.index(place) for place in way] for way in ways]
        rising = [order for order in orders if order == sorted(set(order))]
        found = steps_of([ir.node(name, []) for name in names])
        if not rising:
            assert found is None, names
            continue
        assert found in [sum((IN_ORDER[place] for place in order), NO_STEPS) for order in rising], names
        needed = all(IN_ORDER.index(Step.FIRST_RELU) in order for order in rising)
        assert bool(found & Step.FIRST_RELU) == needed, f"{names}: the place that only format 1.3 has, where there is another one"


def orders(count: int) -> list[tuple[str, ...]]:
    """Of ReLU, BatchNorm and addition every order; of more steps, a second ReLU among them, ``count`` drawn orders."""
    random = np.random.default_rng(0)
    drawn = [tuple(random.permutation([*KINDS, "relu"])[: random.integers(4, 9)].tolist()) for _ in range(count)]
    return [*itertools.permutations(("relu", "bn", "add")), ("scale", "relu", "bn", "add"), ("relu", "bn", "bias", "add", "relu"), *drawn]


def network(steps: tuple[str, ...], channels: int, side: int, levels: bool) -> tuple[ir.Model, np.ndarray]:
    """pixels - conv - sign - conv - ``steps`` - sign, or int8 if ``levels`` - dense layer, and inputs; what the sign saw is added."""
    random = np.random.default_rng(channels)
    constants = {"zero": np.full(2, 120, np.int16), "w0": random.integers(-3, 4, (channels, 2, 3, 3)).astype(np.float32)}
    constants |= {"low": np.float32(-0.5), "high": np.float32(3), "step": np.float32([0.03125])}

    def constant(array: np.ndarray) -> str:
        constants[f"k{len(constants)}"] = np.asarray(array, np.float32)
        return f"k{len(constants) - 1}"

    def operator(kind: str, value: str) -> str:
        vector = constant(random.normal(0, 1, channels))
        if kind == "bn":
            gamma, mean, var = random.normal(0, 1, channels), np.round(random.normal(0, 9, channels)), random.uniform(0.01, 200, channels)
            gamma[::5] = 0
            return f"BatchNormalization<epsilon = 1e-5>({value}, {constant(gamma)}, {vector}, {constant(mean)}, {constant(var)})"
        return {
            "scale": f"qnn_deploy.Scale({value}, {vector})",
            "relu": f"Relu({value})",
            "bias": f"qnn_deploy.Bias({value}, {vector})",
            "add": f"Add({value}, n)",
            "clip": f"Clip({value}, low, high)",
            "prelu": f"qnn_deploy.PRelu({value}, {vector})",
        }[kind]

    lines = [f"z = qnn_deploy.SubtractZero<to = 1>(x, zero)\n c = Conv<{WINDOW}>(z, w0)"]
    lines += [f"n = {operator('bn', 'c')}\n s = qnn_deploy.Sign<to = 1>(n)"]
    lines += [f"v = Conv<{WINDOW}>(s, {constant(random.choice([-1, 1], (channels, channels, 3, 3)))})"]
    value = "v"
    for i, kind in enumerate(steps):
        lines.append(f"v{i} = {operator(kind, value)}")
        value = f"v{i}"
    end = f"qnn_deploy.Quantize<low = -127, high = 127, to = 1>({value}, step)" if levels else f"qnn_deploy.Sign<to = 1>({value})"
    lines.append(f"t = {end}\n f = Flatten<axis = 1>(t)")
    lines.append(f"y = Gemm<transB = 1>(f, {constant(random.choice([-1, 1], (7, channels * side * side)))})")
    body = "\n ".join(lines)
    model = l1(f"net (uint8[N, 2, {side}, {side}] x) => (float[N, 7] y) {{\n {body}\n}}", constants)
    x = random.integers(0, 256, (10, 2, side, side), dtype=np.uint8)
    x[0], x[1], x[2] = 0, 255, 120
    return model, x


# Operators that are streams, the convolution's own among them, of the written orders of ReLU, BatchNorm and addition.
STREAMS = {
    ("relu", "bn", "add"): 1, ("bn", "add", "relu"): 1, ("bn", "relu", "add"): 2, ("relu", "add", "bn"): 2, ("add", "relu", "bn"): 2,
    ("add", "bn", "relu"): 2, ("scale", "relu", "bn", "add"): 1, ("relu", "bn", "bias", "add", "relu"): 1,
}  # fmt: skip


@pytest.mark.parametrize("steps", orders(24), ids=" ".join)
def test_every_order_gives_the_bits_that_were_written(steps: tuple[str, ...]) -> None:
    runner, executable = LocalRunner("host"), build_program("qd_run", find_target("host"))
    for channels, side, levels in ((3, 5, True), (16, 5, False), (40, 5, True), (72, 5, False), (24, 1, True), (64, 9, True)):
        model, x = network(steps, channels, side, levels)
        expected = run(model, x)
        for make, _ in EXACT:
            make()(model)
        program = plan(model)
        data = encode(program)
        assert (data[6] == 3) == any(op.steps & Step.FIRST_RELU for op in program.ops)
        assert [op.steps for op in decode(data).ops] == [op.steps for op in program.ops]
        if steps in STREAMS:
            streams = [op for op in program.ops[1:] if op.steps]
            assert len(streams) == STREAMS[steps] and streams[0].opcode == Opcode.CONV
        for kernels in available_kernels(runner, executable):
            assert predict_qdm(runner, executable, data, kernels)(x).tobytes() == expected.tobytes(), f"{channels} channels, {kernels}"
