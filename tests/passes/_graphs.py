"""Random networks at L1 for hypothesis: every operator of the level, residuals and branches, constants that are hard, shapes that are tiny."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import onnx_ir as ir
from hypothesis import strategies as st

from tests.passes._text import l1

LEVELS = ((-1, 1), (0, 1), (0, 3), (-4, 3), (0, 15), (-127, 127), (-32767, 32767))
WEIGHTS = (1, 1, 1, 3, 127)


@dataclasses.dataclass(frozen=True)
class Value:
    """A value of the graph: its shape behind the batch, and whether it is "pixels", "bits" (a sign), "int" (small integers), "acc" (a sum
    of them) or "stream".
    """

    name: str
    shape: tuple[int, ...]
    kind: str


class Builder:
    """Grows one graph by the choices that hypothesis draws; numbers come from a generator whose seed it draws too.

    With ``packed`` it mostly keeps to what the runtime has kernels for.
    """

    def __init__(self, draw: Any, packed: bool) -> None:
        self.draw, self.packed = draw, packed
        self.random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        self.lines: list[str] = []
        self.constants: dict[str, np.ndarray] = {}
        self.values: list[Value] = []

    def choose(self, *options: Any) -> Any:
        return self.draw(st.sampled_from(options))

    def constant(self, array: Any) -> str:
        name = f"k{len(self.constants)}"
        self.constants[name] = np.asarray(array, np.float32)
        return name

    def add(self, op: str, inputs: str, shape: tuple[int, ...], kind: str) -> Value:
        value = Value(f"v{len(self.lines)}", shape, kind)
        self.lines.append(f"{value.name} = {op}({inputs})")
        self.values.append(value)
        return value

    def channel_vector(self, channels: int, scale: float = 1.0) -> np.ndarray:
        """[channels] or [1] numbers of both signs, some of them 0 or integers."""
        vector = self.random.normal(0, scale, self.choose(channels, channels, 1))
        vector = np.where(self.random.random(len(vector)) < 0.2, np.round(vector), vector)
        return vector.astype(np.float32)

    # -- steps: each takes a value and returns the next one

    def reduce(self, x: Value) -> Value:
        """Conv, Gemm or SumPool over integers."""
        largest = self.choose(*WEIGHTS)
        if len(x.shape) == 3 and self.choose(True, True, False):
            channels, height, width = x.shape
            out, kernel = self.choose(1, 2, 3, 9), [self.choose(1, 2, 3), self.choose(1, 2, 3)]
            pads = [int(self.random.integers(0, k)) for k in kernel * 2]
            sides = [height + pads[0] + pads[2], width + pads[1] + pads[3]]
            if kernel[0] <= sides[0] and kernel[1] <= sides[1]:
                strides = [self.choose(1, 1, 2), self.choose(1, 1, 2)]
                shape = (out, *(int(side - k) // stride + 1 for side, k, stride in zip(sides, kernel, strides, strict=True)))
                window = f"kernel_shape = {kernel}, strides = {strides}, pads = {pads}, dilations = [1, 1], group = 1"
                weights = self.constant(self.integers(x, (out, channels, *kernel), largest))
                return self.add(f"Conv<{window}>", f"{x.name}, {weights}", shape, "acc")
        if len(x.shape) == 3 and self.choose(True, False, False):
            return self.transpose(x, largest)
        if len(x.shape) == 3 and x.kind in ("int", "bits") and self.choose(True, False):
            return self.add("qnn_deploy.SumPool<to = 1>", x.name, (x.shape[0],), "acc")
        x = self.flatten(x)
        out = self.choose(1, 2, 5)
        return self.add("Gemm<transB = 1>", f"{x.name}, {self.constant(self.integers(x, (out, x.shape[0]), largest))}", (out,), "acc")

    def transpose(self, x: Value, largest: int) -> Value:
        """A transposed convolution."""
        out, kernel, strides = self.choose(1, 2, 9), [self.choose(1, 2, 3), self.choose(1, 2, 4)], [self.choose(1, 2, 3), self.choose(1, 2)]
        more = [int(self.random.integers(0, stride)) for stride in strides]
        full = [(int(side) - 1) * s + k + m for side, s, k, m in zip(x.shape[1:], strides, kernel, more, strict=True)]
        pads = [int(self.random.integers(0, min(k, (side + 1) // 2))) for k, side in zip(kernel * 2, full * 2, strict=True)]
        shape = (out, *(side - pads[i] - pads[i + 2] for i, side in enumerate(full)))
        window = f"strides = {strides}, pads = {pads}, output_padding = {more}, group = 1, to = 1"
        weights = self.constant(self.integers(x, (out, x.shape[0], *kernel), largest))
        return self.add(f"qnn_deploy.ConvTranspose<{window}>", f"{x.name}, {weights}", shape, "acc")

    def move(self, x: Value) -> Value:
        """Channels and pixels in any other order: mostly what people write, at times whatever a Rearrange can say."""
        channels, *sides = (*x.shape, 1, 1)[:3]
        block, strides = (
            ((1, 1), (1, 1)) if len(x.shape) == 1 else self.choose(((1, 1), (1, 1)), ((2, 2), (1, 1)), ((1, 2), (1, 1)), ((1, 1), (2, 1)))
        )
        large = [side // s * b for side, s, b in zip(sides, strides, block, strict=True)]
        if min(large) < 1:
            return x
        places, sources = block[0] * block[1], strides[0] * strides[1] * channels
        index = np.broadcast_to(self.random.permutation(sources), (places, sources))
        if self.choose(True, False):
            index = self.random.integers(0, sources, (places, self.choose(1, 3, channels, 9)))
        size = [side if self.choose(True, True, False) else int(self.random.integers(1, side + 1)) for side in large]
        offset = [int(self.random.integers(0, side - kept + 1)) for side, kept in zip(large, size, strict=True)]
        name = f"k{len(self.constants)}"
        self.constants[name] = np.ascontiguousarray(index, np.int32)
        attributes = f"block = {list(block)}, strides = {list(strides)}, offset = {offset}, size = {size}"
        shape = (index.shape[1], *size)[: len(x.shape)]
        return self.add(f"qnn_deploy.Rearrange<{attributes}>", f"{x.name}, {name}", shape, x.kind)

    def beside(self, x: Value) -> Value:
        """Integers beside others of the same map, up to six of them."""
        alike = [value for value in self.values if value.kind in ("bits", "int") and value.shape[1:] == x.shape[1:]]
        parts = [x, *(self.choose(*alike) for _ in range(self.choose(1, 1, 5)))]
        kind = "bits" if all(part.kind == "bits" for part in parts) else "int"
        shape = (sum(part.shape[0] for part in parts), *x.shape[1:])
        return self.add("Concat<axis = 1>", ", ".join(part.name for part in parts), shape, kind)

    def integers(self, x: Value, shape: tuple[int, ...], largest: int) -> np.ndarray:
        if self.packed and x.kind == "bits":
            return self.random.choice([-1, 1], shape)
        if largest == 1 and self.choose(True, False):
            return self.random.choice([-1, 1], shape)
        return self.random.integers(-largest, largest + 1, shape)

    def flatten(self, x: Value) -> Value:
        return x if len(x.shape) == 1 else self.add("Flatten<axis = 1>", x.name, (int(np.prod(x.shape)),), x.kind)

    def max_pool(self, x: Value) -> Value:
        if len(x.shape) == 1:
            return x
        kernel = [min(int(side), self.choose(1, 2)) for side in x.shape[1:]]
        strides, pads = [self.choose(1, 2), self.choose(1, 2)], [0, 0, 0, 0]
        if self.choose(True, False):
            pads = [int(self.random.integers(0, k)) for k in kernel * 2]
        sides = [side + pads[i] + pads[i + 2] for i, side in enumerate(x.shape[1:])]
        shape = (x.shape[0], *((side - k) // stride + 1 for side, k, stride in zip(sides, kernel, strides, strict=True)))
        window = f"kernel_shape = {kernel}, strides = {strides}, pads = {pads}, dilations = [1, 1], ceil_mode = 0"
        return self.add(f"MaxPool<{window}>", x.name, shape, x.kind)

    def step(self, x: Value) -> Value:
        """One elementwise step of an accumulator or a stream."""
        channels = x.shape[0]
        kind = self.choose("bn", "bn", "scale", "bias", "relu", "prelu", "clip", "pool", "pool", "add", "concat", "move")
        if kind == "move":
            return self.move(x)
        if kind == "bn":
            gamma, beta = self.random.normal(0, 1, channels), self.random.normal(0, 1, channels)
            gamma[self.random.random(channels) < 0.15] = 0
            beta[self.random.random(channels) < 0.4] = 0
            mean = np.round(self.random.normal(0, 10, channels))
            var = np.where(self.random.random(channels) < 0.1, 1e-12, self.random.uniform(0.01, 200, channels))
            names = ", ".join(self.constant(array) for array in (gamma, beta, mean, var))
            return self.add("BatchNormalization<epsilon = 1e-5>", f"{x.name}, {names}", x.shape, "stream")
        if kind == "scale":
            return self.add("qnn_deploy.Scale", f"{x.name}, {self.constant(self.channel_vector(channels))}", x.shape, "stream")
        if kind == "bias":
            return self.add("qnn_deploy.Bias", f"{x.name}, {self.constant(self.channel_vector(channels, 5))}", x.shape, "stream")
        if kind == "prelu":
            return self.add("qnn_deploy.PRelu", f"{x.name}, {self.constant(self.channel_vector(channels))}", x.shape, "stream")
        if kind == "relu":
            return self.add("Relu", x.name, x.shape, "stream")
        if kind == "clip":
            low, high = sorted(float(each) for each in np.round(self.random.normal(0, 4, 2), self.choose(0, 3)))
            return self.add("Clip", f"{x.name}, {self.constant(low)}, {self.constant(high)}", x.shape, "stream")
        if kind == "pool":
            return self.max_pool(x)
        others = [
            value for value in self.values if value.kind == "stream" and value.shape[1:] == x.shape[1:] and len(value.shape) == len(x.shape)
        ]
        if x.kind != "stream" or not others:
            return x
        other = self.choose(*others[-3:])
        if kind == "concat":
            return self.add("Concat<axis = 1>", f"{x.name}, {other.name}", (channels + other.shape[0], *x.shape[1:]), "stream")
        return self.add("Add", f"{x.name}, {other.name}", x.shape, "stream") if other.shape == x.shape else x

    def activate(self, x: Value) -> Value:
        """Sign, torch.sign or a quantiser."""
        kind = self.choose("sign", "sign", "torch", "quantize", "quantize")
        if kind == "sign":
            return self.add("qnn_deploy.Sign<to = 1>", x.name, x.shape, "bits")
        if kind == "torch":
            return self.add("Sign", x.name, x.shape, "int")
        low, high = self.choose(*LEVELS)
        scale = self.constant([self.choose(1.0, 0.5, 0.3, 7.7, 2.0**-149 if high == 1 and low == -1 else 3.0)])
        return self.add(f"qnn_deploy.Quantize<low = {low}, high = {high}, to = 1>", f"{x.name}, {scale}", x.shape, "int")


@st.composite
def networks(draw: Any, packed: bool = False) -> tuple[ir.Model, np.ndarray]:
    """(a model at L1, 12 inputs: noise, both extremes, values around the zero point)."""
    build = Builder(draw, packed)
    shape = (build.choose(1, 2, 3), build.choose(1, 2, 4), build.choose(1, 3, 4))
    dtype = build.choose("uint8", "uint8", "int8")
    limits = np.iinfo(dtype)
    zero = build.random.integers(0, 256, shape[0]) if dtype == "uint8" else np.zeros(shape[0])  # other zero points have no kernel
    build.constants["zero"] = zero.astype(np.int16)
    x = build.add("qnn_deploy.SubtractZero<to = 1>", "x, zero", shape, "pixels")
    for _ in range(build.choose(1, 2, 3)):
        if x.kind in ("int", "bits"):
            x = build.choose(lambda x: x, build.max_pool, build.move, build.beside)(x)
        x = build.reduce(x)
        for _ in range(build.choose(0, 1, 2, 3)):
            x = build.step(x)
        x = build.activate(x)
    x = build.reduce(x if build.choose(True, False, False) else build.flatten(x))
    for _ in range(build.choose(0, 1, 2)):
        x = build.step(x)
    if build.choose(True, False, False, False):
        x = build.add("qnn_deploy.ArgMax<to = 1>", x.name, (1, *x.shape[1:]), "stream")
    body = "\n ".join(build.lines)
    head = f"net ({dtype}[N, {', '.join(map(str, shape))}] x) => (float[N, {', '.join(map(str, x.shape))}] {x.name})"
    model = l1(f"{head} {{\n {body}\n}}", build.constants)
    images = build.random.integers(limits.min, limits.max + 1, (12, *shape))
    images[0], images[1] = limits.min, limits.max
    images[2:5] = np.clip(zero.reshape(-1, 1, 1) + build.random.integers(-2, 3, (3, *shape)), limits.min, limits.max)
    return model, images.astype(dtype)
