"""A slow and obvious interpreter of the ``.tflite`` files that we write: what TFLite's float32 operators and Larq Compute Engine's do.

It reads the bytes through the schema's own classes. Sums are taken in float64, so that it is exact where integers below 2^24 are summed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tflite
from flatbuffers import flexbuffers

KINDS = {value: name for name, value in vars(tflite.BuiltinOperator).items() if name.isupper()}
DTYPES = {0: np.float32, 2: np.int32, 3: np.uint8, 6: np.bool_, 7: np.int16, 9: np.int8}
OPTIONS = {"CONV_2D": "Conv2DOptions", "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions", "MAX_POOL_2D": "Pool2DOptions"}
SAME = 0


def operators(graph: Any, model: Any) -> list[tuple[str, Any, dict[str, int]]]:
    """(kind, the schema's operator, options) of each operator, custom ones by their own names."""
    rows = []
    for number in range(graph.OperatorsLength()):
        each = graph.Operators(number)
        code = model.OperatorCodes(each.OpcodeIndex())
        kind, options = KINDS[code.BuiltinCode()], {}
        assert code.DeprecatedBuiltinCode() == min(code.BuiltinCode(), 127) and code.Version() == 1
        if kind == "CUSTOM":
            kind = code.CustomCode().decode()
            options = flexbuffers.Loads(each.CustomOptionsAsNumpy().tobytes()) if each.CustomOptionsLength() else {}
        elif kind in OPTIONS:
            table = getattr(tflite, OPTIONS[kind])()
            table.Init(each.BuiltinOptions().Bytes, each.BuiltinOptions().Pos)
            names = (
                "StrideH",
                "StrideW",
                "Padding",
                "FilterHeight",
                "FilterWidth",
                "DilationHFactor",
                "DilationWFactor",
                "FusedActivationFunction",
            )
            options = {name: getattr(table, name)() for name in names if hasattr(table, name)}
        rows.append((kind, each, options))
    return rows


def run(content: bytes, image: np.ndarray) -> np.ndarray:
    """The output for one image [1, ...] in the layout of the file."""
    model = tflite.Model.GetRootAs(content)
    assert model.Version() == 3 and content[4:8] == b"TFL3" and model.Buffers(0).DataLength() == 0
    graph = model.Subgraphs(0)
    values: dict[int, np.ndarray] = {graph.Inputs(0): image}
    for index in range(graph.TensorsLength()):
        tensor = graph.Tensors(index)
        if tensor.Buffer():
            data = model.Buffers(tensor.Buffer()).DataAsNumpy().tobytes()
            values[index] = np.frombuffer(data, DTYPES[tensor.Type()]).reshape(tensor.ShapeAsNumpy())
    for kind, each, options in operators(graph, model):
        output = graph.Tensors(each.Outputs(0))
        shape, dtype = tuple(output.ShapeAsNumpy()), DTYPES[output.Type()]
        inputs = [values[index] if index >= 0 else None for index in each.InputsAsNumpy()]
        with np.errstate(all="ignore"):
            result = globals()[f"_{kind.lower()}"](*inputs, shape=shape, **options)
        assert result.shape == shape, (output.Name(), result.shape, shape)
        assert result.dtype == dtype, (output.Name(), result.dtype, dtype)
        values[each.Outputs(0)] = result
    return values[graph.Outputs(0)]


def _elementwise(function: Any) -> Any:
    return lambda *inputs, shape: function(*inputs)


_add, _sub, _mul, _div = map(_elementwise, (np.add, np.subtract, np.multiply, np.divide))
_maximum, _minimum, _round = map(_elementwise, (np.maximum, np.minimum, np.rint))
_equal, _greater, _logical_and, _bitwise_xor = map(_elementwise, (np.equal, np.greater, np.logical_and, np.bitwise_xor))
_select_v2 = _elementwise(np.where)
_cast = _elementwise(lambda x: x.astype(np.float32))
_relu = _elementwise(lambda x: np.maximum(x, np.float32(0)))
_prelu = _elementwise(lambda x, slope: np.where(x >= 0, x, x * slope))
_sum = _elementwise(lambda x, axes: x.sum(axis=tuple(axes), keepdims=True, dtype=np.float64).astype(np.float32))
_padv2 = _elementwise(lambda x, margins, value: np.pad(x, margins, constant_values=value[0]))
_transpose = _elementwise(np.transpose)


def _reshape(x: np.ndarray, to: np.ndarray, shape: Any) -> np.ndarray:
    return x.reshape(to)


def _concatenation(*parts: np.ndarray, shape: Any) -> np.ndarray:
    return np.concatenate(parts, axis=3)


def _windows(x: np.ndarray, kernel: Any, strides: Any, dilations: Any, padding: int, out: Any, fill: Any) -> np.ndarray:
    """[H, W, Kh, Kw, C] of a map [1, H, W, C], padded as TFLite pads."""
    margins = []
    for size, k, stride, dilation, count in zip(x.shape[1:3], kernel, strides, dilations, out, strict=True):
        total = max((count - 1) * stride + (k - 1) * dilation + 1 - size, 0)
        assert padding == SAME or total == 0
        margins.append((total // 2, total - total // 2))
    padded = np.pad(x[0], [*margins, (0, 0)], constant_values=fill)
    rows, columns = (
        np.arange(count)[:, None] * stride + np.arange(k) * dilation
        for count, stride, k, dilation in zip(out, strides, kernel, dilations, strict=True)
    )
    return padded[rows[:, None, :, None], columns[None, :, None, :]]


def _conv_2d(x: Any, filter: Any, bias: Any, shape: Any, **o: int) -> np.ndarray:
    strides, dilations = (o["StrideH"], o["StrideW"]), (o["DilationHFactor"], o["DilationWFactor"])
    patches = _windows(x.astype(np.float64), filter.shape[1:3], strides, dilations, o["Padding"], shape[1:3], 0.0)
    groups = x.shape[3] // filter.shape[3]
    parts = zip(np.split(patches, groups, axis=4), np.split(filter.astype(np.float64), groups), strict=True)
    sums = np.concatenate([np.einsum("hwklc,oklc->hwo", patch, weights) for patch, weights in parts], axis=2)
    assert np.abs(sums).max() <= 2**24
    whole = (sums + bias)[None].astype(np.float32)
    return np.maximum(whole, np.float32(0)) if o["FusedActivationFunction"] == 1 else whole


def _depthwise_conv_2d(x: Any, filter: Any, bias: Any, shape: Any, **o: int) -> np.ndarray:
    ordinary = filter[0].transpose(2, 0, 1)[..., None]  # [O, Kh, Kw, 1]
    return _conv_2d(x, ordinary, bias, shape, **o)


def _max_pool_2d(x: Any, shape: Any, **o: int) -> np.ndarray:
    kernel, strides = (o["FilterHeight"], o["FilterWidth"]), (o["StrideH"], o["StrideW"])
    return _windows(x, kernel, strides, (1, 1), o["Padding"], shape[1:3], -np.inf).max(axis=(2, 3))[None]


def pack(signs: np.ndarray) -> np.ndarray:
    """Bit i of word j is set where channel 32 j + i is below 0."""
    words = np.zeros((*signs.shape[:-1], -(-signs.shape[-1] // 32)), np.int64)
    for channel in range(signs.shape[-1]):
        words[..., channel // 32] |= (signs[..., channel] < 0).astype(np.int64) << (channel % 32)
    return words.astype(np.uint32).view(np.int32)


def unpack(words: np.ndarray, channels: int) -> np.ndarray:
    """The inverse, as float32; spare bits must be 0."""
    bits = np.unpackbits(words.astype("<i4").view(np.uint8), axis=-1, bitorder="little")
    assert not bits[..., channels:].any()
    return np.float32(1) - np.float32(2) * bits[..., :channels].astype(np.float32)


def _lcequantize(x: Any, shape: Any) -> np.ndarray:
    return pack(x)


def _lcedequantize(x: Any, shape: Any) -> np.ndarray:
    return unpack(x, shape[3])


def _lcebmaxpool2d(x: Any, shape: Any, **o: int) -> np.ndarray:
    kernel, strides = (o["filter_height"], o["filter_width"]), (o["stride_height"], o["stride_width"])
    return np.bitwise_and.reduce(_windows(x, kernel, strides, (1, 1), o["padding"], shape[1:3], -1), axis=(2, 3))[None]


def _lcebconv2d(x: Any, filter: Any, scale: Any, bias: Any, thresholds: Any, shape: Any, **o: int) -> np.ndarray:
    assert sorted(o) == [
        "channels_in", "dilation_height_factor", "dilation_width_factor", "fused_activation_function", "pad_values", "padding",
        "stride_height", "stride_width",
    ]  # fmt: skip
    assert x.shape[3] == -(-o["channels_in"] // 32) and o["fused_activation_function"] == 0
    groups = x.shape[3] // filter.shape[3]
    channels = o["channels_in"] // groups
    signs, weights = unpack(x, o["channels_in"]), unpack(filter, channels)
    strides, dilations = (o["stride_height"], o["stride_width"]), (o["dilation_height_factor"], o["dilation_width_factor"])
    if o["padding"] == SAME and not o["pad_values"]:
        extents = [(k - 1) * d + 1 for k, d in zip(weights.shape[1:3], dilations, strict=True)]
        assert thresholds is None and all(extent <= side for extent, side in zip(extents, x.shape[1:3], strict=True))
    patches = _windows(signs, weights.shape[1:3], strides, dilations, o["padding"], shape[1:3], float(o["pad_values"]))
    parts = zip(np.split(patches, groups, axis=4), np.split(weights, groups), strict=True)
    sums = np.concatenate([np.einsum("hwklc,oklc->hwo", patch, each) for patch, each in parts], axis=2)[None]
    if thresholds is None:
        return (sums * scale + bias).astype(np.float32)
    mismatches = (weights[0].size - sums) / 2
    return pack(np.where(mismatches > thresholds, -1, 1))
