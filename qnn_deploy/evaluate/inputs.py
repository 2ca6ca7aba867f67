"""Inputs that no data set holds: noise, extremes, and patches that put the first layer's accumulators exactly on their thresholds."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from qnn_deploy.ir.edit import constant_input
from qnn_deploy.ops._bits import unpack_signs

Images = NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Generated:
    """Images [N, C, H, W] in the input's dtype; ``ties`` counts the first layer's accumulators put on or beside a threshold."""

    images: Images
    ties: int


def generate(model: ir.Model, shape: tuple[int, int, int], dtype: str = "uint8", count: int = 32, seed: int = 0) -> Generated:
    """Inputs for the exact graph ``model`` (L2) with an input of ``shape`` (channels, height, width) and ``dtype`` (an integer type).

    Args:
        count: number of random images; the adversarial ones come on top.
    """
    random = np.random.default_rng(seed)
    low, high = _range(dtype)
    noise = random.integers(low, high + 1, (count - count // 2, *shape)).astype(dtype)
    extremes = np.where(random.integers(0, 2, (count // 2, *shape)) == 1, high, low).astype(dtype)
    ties, hits = threshold_ties(model, shape, dtype, random)
    return Generated(np.concatenate([noise, extremes, patterns(shape, dtype), ties]), hits)


def _range(dtype: str) -> tuple[int, int]:
    info = np.iinfo(dtype)
    return int(info.min), int(info.max)


def patterns(shape: tuple[int, int, int], dtype: str = "uint8") -> Images:
    """Constants, checkerboards, single pixels, and every set of channels at one extreme with the rest at the other (up to 3 channels)."""
    channels, height, width = shape
    low, high = _range(dtype)
    middle = (low + high) // 2
    images = [np.full(shape, value) for value in (low, middle, middle + 1, high)]
    board = np.where(np.add.outer(np.arange(height), np.arange(width)) % 2 == 1, high, low)
    images += [np.broadcast_to(board, shape), np.broadcast_to(low + high - board, shape)]
    for y, x in ((0, 0), (0, width - 1), (height - 1, 0), (height - 1, width - 1), (height // 2, width // 2)):
        for ground, point in ((low, high), (high, low)):
            image = np.full(shape, ground)
            image[:, y, x] = point
            images.append(image)
    for chosen in range(1, 2 ** min(channels, 3) - 1):
        flags = np.array([chosen >> min(channel, 2) & 1 for channel in range(channels)])
        images.append(np.broadcast_to(np.where(flags == 1, high, low)[:, None, None], shape))
    return np.stack(images).astype(dtype)


def threshold_ties(model: ir.Model, shape: tuple[int, int, int], dtype: str, random: np.random.Generator) -> tuple[Images, int]:
    """Images of patches whose first-layer accumulator is the threshold of some channel, or one beside it; and how many such there are.

    No image where the first layer is no convolution of the input, or has no switch point.
    """
    found = _first_convolution(model)
    if found is None:
        return np.zeros((0, *shape), dtype), 0
    conv, zero = found
    weights = _weights(conv)
    points = _switch_points(conv)
    _, _, kernel_h, kernel_w = weights.shape
    (stride_h, stride_w), pads = conv.attributes["strides"].as_ints(), conv.attributes["pads"].as_ints()
    rows = _starts(shape[1], kernel_h, stride_h, pads[0])
    columns = _starts(shape[2], kernel_w, stride_w, pads[1])
    if points is None or not rows or not columns or conv.attributes["group"].as_int() != 1 or len(weights[0]) != shape[0]:
        return np.zeros((0, *shape), dtype), 0
    ground = np.broadcast_to(zero.reshape(-1, 1, 1).astype(dtype), shape)
    patches = []
    for channel, kernel in enumerate(weights):
        for accumulator in range(points[channel] - 1, points[channel] + 2):
            patch = _solve(kernel, accumulator, zero, dtype, random)
            if patch is not None:
                patches.append(patch)
    places = [(y, x) for y in rows for x in columns]
    images = []
    for begin in range(0, len(patches), len(places)):
        image = ground.copy()
        for patch, (y, x) in zip(patches[begin : begin + len(places)], places, strict=False):
            image[:, y : y + kernel_h, x : x + kernel_w] = patch
        images.append(image)
    return (np.stack(images) if images else np.zeros((0, *shape), dtype)), len(patches)


def _first_convolution(model: ir.Model) -> tuple[ir.Node, NDArray[Any]] | None:
    """The convolution behind the input and its zero points [C]."""
    readers = [use.node for use in model.graph.inputs[0].uses()]
    if len(readers) == 1 and readers[0].op_type == "Unsqueeze":
        readers = [use.node for use in readers[0].outputs[0].uses()]
    if len(readers) != 1 or readers[0].op_type != "SubtractZero":
        return None
    zero = constant_input(readers[0], 1)
    readers = [use.node for use in readers[0].outputs[0].uses()]
    return (readers[0], zero) if len(readers) == 1 and readers[0].op_type in ("Conv", "BinaryConv") else None


def _weights(conv: ir.Node) -> NDArray[np.int64]:
    """Integer weights [O, I, kh, kw], unpacked where they are bits (LSB first, 1 = -1)."""
    array = constant_input(conv, 1)
    if conv.op_type == "Conv":
        return array.astype(np.int64)
    channels, (height, width) = conv.attributes["in_channels"].as_int(), conv.attributes["kernel_shape"].as_ints()
    return unpack_signs(array, channels * height * width).astype(np.int64).reshape(-1, channels, height, width)


def _switch_points(conv: ir.Node) -> list[int] | None:
    """For each output channel an accumulator at which what follows changes its mind: its threshold, or where its BatchNorm crosses zero."""
    for use in conv.outputs[0].uses():
        node = use.node
        if node.op_type == "Threshold":
            return [int(value) for value in np.clip(constant_input(node, 1).astype(np.int64), -(2**20), 2**20)]
        if node.op_type in ("Scale", "BatchNorm"):
            scale = np.ones(1)
            if node.op_type == "Scale":
                scale = constant_input(node, 1).astype(np.float64)
                following = [use.node for use in node.outputs[0].uses() if use.node.op_type == "BatchNorm"]
                if not following:
                    return None
                node = following[0]
            a, b = constant_input(node, 1).astype(np.float64) * scale, constant_input(node, 2).astype(np.float64)
            crossing = -b / np.where(a == 0, 1.0, a)
            return [int(value) for value in np.clip(np.floor(crossing), -(2**20), 2**20)]
    return None


def _starts(size: int, kernel: int, stride: int, padding: int) -> list[int]:
    """First rows (or columns) of windows that lie inside the map and do not overlap."""
    begins = [begin for begin in range(size - kernel + 1) if (begin + padding) % stride == 0]
    chosen: list[int] = []
    for begin in begins:
        if not chosen or begin >= chosen[-1] + kernel:
            chosen.append(begin)
    return chosen


def _solve(kernel: NDArray[np.int64], accumulator: int, zero: NDArray[Any], dtype: str, random: np.random.Generator) -> Images | None:
    """Pixels [C, kh, kw] with ``sum((pixel - zero) * kernel) == accumulator``; None where a few greedy tries find none."""
    low, high = _range(dtype)
    offset = np.broadcast_to(zero.reshape(-1, 1, 1).astype(np.int64), kernel.shape).reshape(-1)
    weights = kernel.reshape(-1)
    for _ in range(8):
        x = np.zeros(len(weights), np.int64)
        rest = accumulator
        # Large weights first, small ones mend what is left; ties in random order so that another try differs.
        for i in np.lexsort((random.random(len(weights)), -np.abs(weights))):
            if weights[i]:
                x[i] = np.clip(int(rest / weights[i]), low - offset[i], high - offset[i])
                rest -= int(weights[i] * x[i])
        if rest == 0:
            return (x + offset).reshape(kernel.shape).astype(dtype)
    return None
