"""Convolutions and dense layers of a ``.tflite``: bits by bits on Larq Compute Engine's LceBconv2d, anything wider on CONV_2D in float32.

A dense layer is a convolution whose kernel is the whole map. Sums of integers below 2^24 are exact in float32, in any order.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from qnn_deploy.emit.tflite_file import ABSENT, Graph

WORD = 32
SAME, VALID = 0, 1
_FLOAT_INTEGERS = 2**24


@dataclasses.dataclass(frozen=True)
class Map:
    """A value of the graph [N, C, H, W] as tensors [1, H, W, C], in one of two forms or in both.

    Attributes:
        shape: (H, W, C).
        floats: float32; None where there are only bits.
        bits: int32, 32 channels a word, bit 1 = -1, spare bits 0; None where there are only floats.
        limit: the largest magnitude, where all values are integers.
    """

    shape: tuple[int, int, int]
    floats: int | None = None
    bits: int | None = None
    limit: int | None = None


@dataclasses.dataclass(frozen=True)
class Window:
    """Geometry of a convolution: (rows, columns) each; pads as ONNX has them, (top, left, bottom, right)."""

    kernel: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    dilations: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    group: int = 1

    def padding(self, source: tuple[int, ...], result: tuple[int, ...]) -> int | None:
        """`SAME` or `VALID` where one of them is this geometry, for maps of these (rows, columns); else None."""
        sides = list(zip(source, result, self.extent, self.strides, self.pads[:2], strict=False))
        if all(before == 0 and (out - 1) * stride + extent <= size for size, out, extent, stride, before in sides):
            return VALID
        for size, out, extent, stride, before in sides:
            if out != -(-size // stride) or before != max((out - 1) * stride + extent - size, 0) // 2:
                return None
        return SAME

    @property
    def extent(self) -> tuple[int, int]:
        """What the kernel spans."""
        rows, columns = ((kernel - 1) * dilation + 1 for kernel, dilation in zip(self.kernel, self.dilations, strict=True))
        return rows, columns


@dataclasses.dataclass(frozen=True)
class Affine:
    """``sum * scale + bias`` behind a convolution, each float32 [O]."""

    scale: NDArray[np.float32]
    bias: NDArray[np.float32]


def pack_words(signs: NDArray[np.int8]) -> NDArray[np.int32]:
    """+1 and -1 [..., C] to int32 words [..., ceil(C / 32)], bit 1 = -1, least significant bit first, spare bits 0."""
    spare = -signs.shape[-1] % WORD
    bits = np.pad(signs < 0, [*[(0, 0)] * (signs.ndim - 1), (0, spare)])
    return np.packbits(bits, axis=-1, bitorder="little").view("<i4").astype(np.int32)


def outside(weights: NDArray[np.int8], window: Window, source: tuple[int, ...], result: tuple[int, ...]) -> NDArray[np.float32]:
    """Per output pixel and channel the sum of the weights [O, Ci, Kh, Kw] that lie outside the map: float32 [1, H, W, O]."""
    inside = []
    for axis in (0, 1):
        taps = np.arange(result[axis])[:, None] * window.strides[axis] - window.pads[axis]
        taps = taps + np.arange(window.kernel[axis]) * window.dilations[axis]
        inside.append(((taps >= 0) & (taps < source[axis])).astype(np.int64))
    per_tap = weights.astype(np.int64).sum(axis=1)
    covered = np.einsum("hk,wl,okl->hwo", *inside, per_tap)
    return np.asarray((per_tap.sum(axis=(1, 2)) - covered)[None], np.float32)


def pad(graph: Graph, source: int, pads: tuple[int, int, int, int], fill: NDArray[np.float32] | NDArray[np.int32], name: str) -> int:
    """A tensor [1, H, W, C] with margins of the one value ``fill`` [1], of the tensor's type."""
    top, left, bottom, right = pads
    _, height, width, channels = graph.shape(source)
    margins = graph.constant(f"{name}.margins", np.array([[0, 0], [top, bottom], [left, right], [0, 0]], np.int32))
    value = graph.constant(f"{name}.fill", fill)
    shape = (1, height + top + bottom, width + left + right, channels)
    return graph.add("PADV2", (source, margins, value), name, shape, fill.dtype.name)


def binary(
    graph: Graph,
    source: Map,
    weights: NDArray[np.int8],
    window: Window,
    result: tuple[int, int, int],
    name: str,
    *,
    thresholds: NDArray[np.int32] | None = None,
    affine: Affine | None = None,
) -> Map:
    """Signs by weights +1 and -1 [O, C / group, Kh, Kw]: the sums, ``affine`` of them, or with ``thresholds`` the signs of ``sum >= t``.

    Zero padding is LCE's own where it has that geometry and gets it right (its kernel corrects sums over +1, but not where the kernel is
    larger than the map); elsewhere the map gets a margin of +1, and what that adds is taken away, pixel by pixel.
    """
    assert source.bits is not None
    outputs, taps = weights.shape[0], weights[0].size
    sides, padding, bits = source.shape[:2], window.padding(source.shape[:2], result[:2]), source.bits
    correction = None
    if padding is None or (padding == SAME and any(extent > side for extent, side in zip(window.extent, sides, strict=True))):
        correction = outside(weights, window, sides, result[:2])
        bits, padding = pad(graph, bits, window.pads, np.zeros(1, np.int32), f"{name}.padded"), VALID
    filter = graph.constant(f"{name}.weights", pack_words(weights.transpose(0, 2, 3, 1)))
    options = {
        "channels_in": source.shape[2],
        "dilation_height_factor": window.dilations[0],
        "dilation_width_factor": window.dilations[1],
        "fused_activation_function": 0,
        "pad_values": 0 if padding == SAME else 1,
        "padding": padding,
        "stride_height": window.strides[0],
        "stride_width": window.strides[1],
    }
    limits = None if thresholds is None else np.clip(thresholds.astype(np.int64), -taps, taps + 1)
    if limits is not None and padding == VALID and correction is None:
        # sum = taps - 2 * accumulator, and bit 1 where the accumulator is above its threshold.
        above = graph.constant(f"{name}.thresholds", ((taps - limits) // 2).astype(np.int32))
        words = -(-outputs // WORD)
        inputs = (bits, filter, ABSENT, ABSENT, above)
        packed = graph.add("LceBconv2d", inputs, name, (1, *result[:2], words), "int32", options)
        return Map(result, bits=packed, limit=1)
    if affine is None:
        affine = Affine(np.ones(outputs, np.float32), np.zeros(outputs, np.float32) if limits is None else -limits.astype(np.float32))
    scale, bias = graph.constant(f"{name}.scale", affine.scale), graph.constant(f"{name}.bias", affine.bias)
    shape = (1, *result)
    sums = graph.add("LceBconv2d", (bits, filter, scale, bias, ABSENT), name, shape, options=options)
    if correction is not None:
        sums = graph.add("SUB", (sums, graph.constant(f"{name}.outside", correction * affine.scale)), f"{name}.corrected", shape)
    if limits is not None:
        return quantize(graph, sums, f"{name}.threshold")
    return Map(result, sums, limit=taps)


def wide(
    graph: Graph,
    source: Map,
    floats: int,
    weights: NDArray[np.float32],
    window: Window,
    result: tuple[int, int, int],
    name: str,
    *,
    thresholds: NDArray[np.int32] | None = None,
    affine: Affine | None = None,
    relu: bool = False,
) -> Map:
    """The same for any values, the tensor ``floats``, by float32 weights; ``affine`` is multiplied into these, and a ReLU may follow."""
    outputs = weights.shape[0]
    padding = window.padding(source.shape[:2], result[:2])
    if padding is None:
        floats, padding = pad(graph, floats, window.pads, np.zeros(1, np.float32), f"{name}.padded"), VALID
    limit = None
    if source.limit is not None:
        limit = int(np.abs(weights).reshape(outputs, -1).sum(axis=1).max()) * source.limit
    bias, limits = np.zeros(outputs, np.float32), None
    if thresholds is not None:
        limits = thresholds.astype(np.int64)
        if limit is not None and 2 * limit + 1 < _FLOAT_INTEGERS:  # any order of the sum is exact, the threshold included
            bias, limits = -np.clip(limits, -limit, limit + 1).astype(np.float32), None
    if affine is not None:
        weights, bias, limit = weights * affine.scale[:, None, None, None], affine.bias, None
    options = {"Padding": padding, "StrideH": window.strides[0], "StrideW": window.strides[1]}
    options |= {"DilationHFactor": window.dilations[0], "DilationWFactor": window.dilations[1], "FusedActivationFunction": int(relu)}
    kind, order = "CONV_2D", (0, 2, 3, 1)
    if window.group > 1 and window.group == source.shape[2]:
        kind, order, options["DepthMultiplier"] = "DEPTHWISE_CONV_2D", (1, 2, 3, 0), outputs // window.group
    filter = graph.constant(f"{name}.weights", np.ascontiguousarray(weights.transpose(order), np.float32))
    inputs = (floats, filter, graph.constant(f"{name}.bias", bias))
    sums = graph.add(kind, inputs, name, (1, *result), options=options)
    if thresholds is None:
        return Map(result, sums, limit=limit)
    return quantize(graph, sums if limits is None else below(graph, sums, limits, name), f"{name}.threshold")


def below(graph: Graph, sums: int, thresholds: NDArray[np.int64], name: str) -> int:
    """``sums - thresholds``; a rounded difference still has the sign of the difference."""
    # A sum is at most 2^24: what lies beyond goes where float32 still tells it apart.
    far = np.where(np.abs(thresholds) > _FLOAT_INTEGERS, np.sign(thresholds) * 2 * _FLOAT_INTEGERS, thresholds)
    limits = graph.constant(f"{name}.thresholds", far.astype(np.float32))
    return graph.add("SUB", (sums, limits), f"{name}.difference", graph.shape(sums))


def quantize(graph: Graph, floats: int, name: str) -> Map:
    """Signs of a float tensor as bits; sign(0) is +1."""
    _, height, width, channels = graph.shape(floats)
    packed = graph.add("LceQuantize", (floats,), name, (1, height, width, -(-channels // WORD)), "int32")
    return Map((height, width, channels), bits=packed, limit=1)
