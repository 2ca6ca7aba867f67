"""Emit an exact graph as TFLite with the custom operators of Larq Compute Engine 0.16, for who has that engine and must keep it.

Signs by signs run on LceBconv2d, with thresholds where they follow; everything else is float32, which is exact: sums are integers
below 2^24, each elementwise step rounds once in the contract's order, and a BatchNorm on a stream is a fused multiply-add made of such
steps (`emit.tflite_fma`). The engine has no operator of ternary or few-bit values: such layers are refused by name.

Tensors are [1, H, W, C]; the input is named "input", the output "logits" is [1, classes] or a map.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from qnn_deploy import __version__
from qnn_deploy.emit import lce_conv, tflite_fma
from qnn_deploy.emit.lce_conv import Affine, Map, Window
from qnn_deploy.emit.tflite_file import Graph, write
from qnn_deploy.errors import CompileErrors, QnnDeployError
from qnn_deploy.ir.edit import constant_input
from qnn_deploy.ir.levels import SOURCE, Level, attributes_of, spec_of, verify
from qnn_deploy.ops._bits import unpack_signs

INPUT, OUTPUT = "input", "logits"
_LAYERS = ("Conv", "BinaryConv", "Dense", "BinaryDense", "Gemm")
_AFFINE = ("Cast", "Scale", "BatchNorm", "BatchNormalization", "Bias")
# A few-bit activation has at most so many values and few-bit weights stay below half of that; wider ones are integers in float32.
_FEW = 16
_HELP = "emit qdm, onnx or exe, which have it"


def encode(model: ir.Model, *, exact: bool = True) -> bytes:
    """Serialise an exact (L2) graph as a ``.tflite`` file; the same graph gives the same bytes.

    Args:
        exact: False folds scales, BatchNorm and biases into the convolutions, as LCE's own converter does: quicker, and logits differ in
            their last bits. For benchmarks.

    Raises:
        QnnDeployError: QD0901, the graph is not of L2.
        CompileErrors: QD0311, with every layer that Larq Compute Engine cannot express.
        UserError: QD0111 where the schema's package is not installed.
    """
    verify(model, Level.L2)
    return Lowering(model.graph, HANDLERS, exact).encode()


class Lowering:
    """A graph on its way to TFLite: `Map` by value, a handler by operator; what follows a layer is fused into it.

    Attributes:
        exact: keep the bits; else scales, BatchNorm, biases and ``rectifiers`` behind a layer go into it.
        rectifiers: operators that are a ReLU.
    """

    def __init__(self, source: ir.Graph, handlers: Mapping[str, Handler], exact: bool, rectifiers: tuple[str, ...] = ("Relu",)) -> None:
        self.source, self.handlers, self.exact, self.rectifiers, self.graph = source, handlers, exact, rectifiers, Graph()
        self.maps: dict[ir.Value, Map] = {}
        self.done: set[ir.Node] = set()
        self.findings: list[QnnDeployError] = []

    def encode(self) -> bytes:
        """The file's bytes.

        Raises:
            CompileErrors: QD0311. UserError: QD0111.
        """
        given, last = self.source.inputs[0], self.source.outputs[0]
        source = self.graph.tensor(INPUT, spec_of(given).dtype, (1, *_shape(given)))
        self.maps[given] = Map(_shape(given), source)
        for node in self.source:
            if node not in self.done:
                self.maps[node.outputs[0]] = self._node(node)
        if self.findings:
            raise CompileErrors(self.findings)
        result = self.floats(last)
        height, width, channels = _shape(last)
        shape = (1, channels) if height * width == 1 else (1, height, width, channels)
        to = self.graph.constant("logits.shape", np.array(shape, np.int32))
        output = self.graph.add("RESHAPE", (result, to), OUTPUT, shape)
        return write(self.graph, [source], [output], f"qnn-deploy {__version__}, for Larq Compute Engine 0.16")

    def _node(self, node: ir.Node) -> Map:
        handler = self.handlers.get(node.op_type)
        if handler is None:
            return self.refuse(node, f"{node.op_type} has no form in Larq Compute Engine here")
        return handler(self, node)

    def refuse(self, node: ir.Node, what: str, help: str = _HELP) -> Map:
        """Note a finding and go on with a value that nobody will compute."""
        self.findings.append(QnnDeployError("QD0311", f"{node.name}: {what}", where=node.metadata_props.get(SOURCE, ""), help=help))
        shape = _shape(node.outputs[0])
        return Map(shape, self.graph.tensor(f"{node.name}.refused", "float32", (1, *shape)))

    def floats(self, value: ir.Value) -> int:
        """The value as a float32 tensor."""
        known = self.maps[value]
        if known.floats is None:
            assert known.bits is not None
            tensor = self.graph.add("LceDequantize", (known.bits,), f"{value.name}.floats", (1, *known.shape))
            self.maps[value] = known = Map(known.shape, tensor, known.bits, known.limit)
        assert known.floats is not None
        return known.floats

    def step(self, node: ir.Node, kind: str, *inputs: int, limit: int | None = None) -> Map:
        """An elementwise operator."""
        shape = _shape(node.outputs[0])
        return Map(shape, self.graph.add(kind, inputs, _name(node), (1, *shape)), limit=limit)

    def vector(self, node: ir.Node, number: int) -> NDArray[np.float32]:
        """A constant input [C] or [1] as float32."""
        return np.asarray(constant_input(node, number), np.float32).reshape(-1)

    def fixed(self, node: ir.Node, number: int) -> int:
        """The same as a tensor."""
        return self.graph.constant(f"{_name(node)}.{number}", self.vector(node, number))

    def follow(self, node: ir.Node, op_types: tuple[str, ...]) -> ir.Node | None:
        """The only reader of ``node`` where it is one of ``op_types``; it then counts as done."""
        value = node.outputs[0]
        uses = list(value.uses())
        if len(uses) != 1 or value.is_graph_output() or uses[0].node.op_type not in op_types:
            return None
        self.done.add(uses[0].node)
        return uses[0].node

    def affine(self, node: ir.Node) -> tuple[ir.Node, Affine | None]:
        """The last of the scales, BatchNorms and biases behind a layer, and all of them in one; nothing of it where bits must be kept."""
        scale, bias, last = np.ones(1, np.float32), np.zeros(1, np.float32), node
        while not self.exact and (reader := self.follow(last, _AFFINE)) is not None:
            if reader.op_type == "Bias":
                bias = bias + self.vector(reader, 1)
            elif reader.op_type != "Cast":
                factor, term = batch_norm(reader) if "Batch" in reader.op_type else (self.vector(reader, 1), np.float32(0))
                scale, bias = scale * factor, bias * factor + term
            last = reader
        channels = _shape(node.outputs[0])[2]
        whole = Affine(*(np.broadcast_to(each, (channels,)).astype(np.float32) for each in (scale, bias)))
        return last, whole if last is not node else None


def _layer(self: Lowering, node: ir.Node) -> Map:
    value = node.inputs[0]
    assert value is not None
    source, attributes = self.maps[value], attributes_of(node)
    weights = _weights(node, source.shape)
    window = Window((weights.shape[2], weights.shape[3]))
    if node.op_type in ("Conv", "BinaryConv"):
        strides, dilations, pads = (tuple(attributes[name]) for name in ("strides", "dilations", "pads"))
        window = Window(window.kernel, strides, dilations, pads, attributes["group"])
    binary = source.bits is not None and node.op_type.startswith("Binary")
    if source.bits is not None and not binary and np.abs(weights).max() < _FEW // 2:
        return self.refuse(node, "signs by few-bit weights; Larq Compute Engine multiplies signs by signs only")
    if binary and window.group > 1 and weights.shape[1] % lce_conv.WORD:
        return self.refuse(node, f"groups of {weights.shape[1]} channels; Larq Compute Engine takes multiples of {lce_conv.WORD}")
    threshold = self.follow(node, ("Threshold",))
    last, affine = (threshold, None) if threshold is not None else self.affine(node)
    thresholds = None if threshold is None else constant_input(threshold, 1)
    shape, name = _shape(node.outputs[0]), _name(node)
    if binary:
        result = lce_conv.binary(self.graph, source, weights, window, shape, name, thresholds=thresholds, affine=affine)
    else:
        tensor, floats = self.floats(value), weights.astype(np.float32)
        relu = None if self.exact else self.follow(last, self.rectifiers)
        last = relu or last
        result = lce_conv.wide(
            self.graph, source, tensor, floats, window, shape, name, thresholds=thresholds, affine=affine, relu=relu is not None
        )
    self.maps[node.outputs[0]] = self.maps[last.outputs[0]] = result
    return result


def _threshold(self: Lowering, node: ir.Node) -> Map:
    thresholds = constant_input(node, 1).astype(np.int64)
    return lce_conv.quantize(self.graph, lce_conv.below(self.graph, self.floats(_input(node)), thresholds, _name(node)), _name(node))


def _sign(self: Lowering, node: ir.Node) -> Map:
    return lce_conv.quantize(self.graph, self.floats(_input(node)), _name(node))


def _multi_threshold(self: Lowering, node: ir.Node) -> Map:
    values = constant_input(node, 1).shape[0] + 1
    return self.refuse(node, f"an activation of {values} values; Larq Compute Engine has those of two")


def _quantize(self: Lowering, node: ir.Node) -> Map:
    attributes = attributes_of(node)
    low, high = attributes["low"], attributes["high"]
    if high - low < _FEW:
        return self.refuse(node, f"an activation of {high - low + 1} values; Larq Compute Engine has those of two")
    name, shape = _name(node), (1, *_shape(node.outputs[0]))
    value = self.graph.add("DIV", (self.floats(_input(node)), self.fixed(node, 1)), f"{name}.ratio", shape)
    value = self.graph.add("ROUND", (value,), f"{name}.rounded", shape)
    value = self.graph.add("MAXIMUM", (value, self.graph.constant(f"{name}.low", np.array([low], np.float32))), f"{name}.above", shape)
    return self.step(
        node, "MINIMUM", value, self.graph.constant(f"{name}.high", np.array([high], np.float32)), limit=max(abs(low), abs(high))
    )


def _subtract_zero(self: Lowering, node: ir.Node) -> Map:
    value, zero = _input(node), constant_input(node, 1)
    limits = np.iinfo(spec_of(value).dtype)
    limit = max(abs(int(side) - int(each)) for side in (limits.min, limits.max) for each in zero.reshape(-1))
    floats = self.graph.add("CAST", (self.floats(value),), f"{_name(node)}.floats", (1, *self.maps[value].shape))
    return self.step(node, "SUB", floats, self.fixed(node, 1), limit=limit)


def _pad(self: Lowering, node: ir.Node) -> Map:
    source, attributes = self.maps[_input(node)], attributes_of(node)
    axes = len(attributes["pads"]) // 2
    before, behind = ((*attributes["pads"][part], 0)[:2] for part in (slice(axes), slice(axes, None)))
    pads, value = (before[0], before[1], behind[0], behind[1]), attributes["value"]
    shape, name = _shape(node.outputs[0]), _name(node)
    if source.bits is None:
        assert source.floats is not None
        tensor = lce_conv.pad(self.graph, source.floats, pads, np.array([value], np.float32), name)
        return Map(shape, tensor, limit=None if source.limit is None else max(source.limit, abs(value)))
    if abs(value) != 1 or (value == -1 and source.shape[2] % lce_conv.WORD):
        return self.refuse(node, f"signs with a margin of {value}", help="pad with +1, or zero padding of the convolution")
    fill = np.array([0 if value == 1 else -1], np.int32)  # all bits of a word
    return Map(shape, bits=lce_conv.pad(self.graph, source.bits, pads, fill, name), limit=1)


def _bit_pool(self: Lowering, node: ir.Node) -> Map:
    source, attributes, minimum = self.maps[_input(node)], attributes_of(node), constant_input(node, 1)
    shape, name = _shape(node.outputs[0]), _name(node)
    kernel, strides = attributes["kernel_shape"], attributes["strides"]
    if source.bits is None:
        return self.refuse(node, "a max-pool of few-bit activations")
    bits = source.bits
    # Outside is left out, as +1 would not be: a margin of -1.
    padding = Window(tuple(kernel), tuple(strides), pads=tuple(attributes["pads"])).padding(source.shape[:2], shape[:2])
    if padding is None:
        return self.refuse(node, "a padded max-pool of signs that TFLite's SAME padding does not give")
    flip = None
    if minimum.any():  # the least of signs is the largest of their opposites
        flip = self.graph.constant(f"{name}.minimum", lce_conv.pack_words(1 - 2 * minimum.astype(np.int8)))
        bits = self.graph.add("BITWISE_XOR", (bits, flip), f"{name}.flipped", self.graph.shape(bits), "int32")
    options = {"padding": padding, "stride_width": strides[1], "stride_height": strides[0]}
    options |= {"filter_width": kernel[1], "filter_height": kernel[0]}
    packed = (1, *shape[:2], -(-shape[2] // lce_conv.WORD))
    bits = self.graph.add("LceBMaxPool2d", (bits,), name, packed, "int32", options)
    if flip is not None:
        bits = self.graph.add("BITWISE_XOR", (bits, flip), f"{name}.back", packed, "int32")
    return Map(shape, bits=bits, limit=1)


def _max_pool(self: Lowering, node: ir.Node) -> Map:
    source, attributes = self.maps[_input(node)], attributes_of(node)
    shape, kernel, strides = _shape(node.outputs[0]), attributes["kernel_shape"], attributes["strides"]
    window = Window(tuple(kernel), tuple(strides), tuple(attributes["dilations"]), tuple(attributes["pads"]))
    padding = window.padding(source.shape[:2], shape[:2])
    if padding is None or window.dilations != (1, 1):
        return self.refuse(node, "a max-pool with padding or dilation that TFLite does not have")
    options = {"Padding": padding, "StrideH": strides[0], "StrideW": strides[1], "FilterHeight": kernel[0], "FilterWidth": kernel[1]}
    return Map(shape, self.graph.add("MAX_POOL_2D", (self.floats(_input(node)),), _name(node), (1, *shape), options=options))


def _batch_norm(self: Lowering, node: ir.Node) -> Map:
    source, name = self.maps[_input(node)], _name(node)
    x, (a, b) = self.floats(_input(node)), batch_norm(node)
    if not self.exact:
        product = self.graph.add("MUL", (x, self.graph.constant(f"{name}.a", a)), f"{name}.product", self.graph.shape(x))
        return self.step(node, "ADD", product, self.graph.constant(f"{name}.b", b))
    if not (tflite_fma.in_reach(a) and tflite_fma.in_reach(b)):
        return self.refuse(node, f"BatchNorm by numbers outside [{tflite_fma.LEAST:.0e}, {tflite_fma.MOST:.0e}]")
    narrow = source.limit is not None and source.limit <= tflite_fma.NARROW
    return Map(source.shape, tflite_fma.fma(self.graph, x, a, b, name, narrow=narrow))


def _prelu(self: Lowering, node: ir.Node) -> Map:
    x, slope = self.floats(_input(node)), self.vector(node, 1)
    if not self.exact or slope.min() >= 0:
        slopes = np.broadcast_to(slope, (self.maps[_input(node)].shape[2],)).reshape(1, 1, -1)
        return self.step(node, "PRELU", x, self.graph.constant(f"{_name(node)}.slope", np.ascontiguousarray(slopes)))
    # TFLite keeps +0, which torch multiplies by the slope.
    name, shape = _name(node), self.graph.shape(x)
    above = self.graph.add("GREATER", (x, self.graph.constant("zero", np.zeros(1, np.float32))), f"{name}.above", shape, "bool")
    return self.step(node, "SELECT_V2", above, x, self.graph.add("MUL", (x, self.fixed(node, 1)), f"{name}.product", shape))


def _clip(self: Lowering, node: ir.Node) -> Map:
    low = self.graph.add("MAXIMUM", (self.floats(_input(node)), self.fixed(node, 1)), f"{_name(node)}.above", (1, *_shape(_input(node))))
    return self.step(node, "MINIMUM", low, self.fixed(node, 2))


def _sum_pool(self: Lowering, node: ir.Node) -> Map:
    source = self.maps[_input(node)]
    axes = self.graph.constant("sum.axes", np.array([1, 2], np.int32))
    channels = source.shape[2]
    tensor = self.graph.add("SUM", (self.floats(_input(node)), axes), _name(node), (1, 1, 1, channels), options={"KeepDims": True})
    return Map((1, 1, channels), tensor, limit=None if source.limit is None else source.limit * source.shape[0] * source.shape[1])


def _concat(self: Lowering, node: ir.Node) -> Map:
    parts = [self.maps[value] for value in node.inputs if value is not None]
    shape, name, options = _shape(node.outputs[0]), _name(node), {"Axis": 3}
    if attributes_of(node)["axis"] != 1:
        return self.refuse(node, "a concatenation along another axis than the channels")
    limit = None if any(part.limit is None for part in parts) else max(part.limit or 0 for part in parts)
    if all(part.bits is not None and part.shape[2] % lce_conv.WORD == 0 for part in parts):
        packed = [part.bits for part in parts if part.bits is not None]
        words = (1, *shape[:2], shape[2] // lce_conv.WORD)
        return Map(shape, bits=self.graph.add("CONCATENATION", packed, name, words, "int32", options), limit=1)
    tensors = [self.floats(value) for value in node.inputs if value is not None]
    joined = self.graph.add("CONCATENATION", tensors, name, (1, *shape), options=options)
    return lce_conv.quantize(self.graph, joined, name) if all(part.bits is not None for part in parts) else Map(shape, joined, limit=limit)


def _flatten(self: Lowering, node: ir.Node) -> Map:
    """A dense layer reads the map itself; anything else gets [C, H, W] in one row."""
    source = self.maps[_input(node)]
    height, width, channels = source.shape
    if height * width == 1 or all(use.node.op_type in _LAYERS for use in node.outputs[0].uses()):
        return source
    turned, order = (1, channels, height, width), self.graph.constant("flatten.order", np.array([0, 3, 1, 2], np.int32))
    tensor = self.graph.add("TRANSPOSE", (self.floats(_input(node)), order), f"{_name(node)}.turned", turned)
    to = self.graph.constant(f"{_name(node)}.shape", np.array([1, 1, 1, channels * height * width], np.int32))
    flat = self.graph.add("RESHAPE", (tensor, to), _name(node), (1, 1, 1, channels * height * width))
    shape = (1, 1, channels * height * width)
    return Map(shape, flat, limit=source.limit) if source.bits is None else lce_conv.quantize(self.graph, flat, _name(node))


Handler = Callable[[Lowering, ir.Node], Map]
HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(_LAYERS, _layer),
    "SubtractZero": _subtract_zero,
    "Pad": _pad,
    "Threshold": _threshold,
    "MultiThreshold": _multi_threshold,
    "Sign": _sign,
    "Quantize": _quantize,
    "BipolarMaxPool": _bit_pool,
    "MaxPool": _max_pool,
    "BatchNorm": _batch_norm,
    "PRelu": _prelu,
    "Clip": _clip,
    "SumPool": _sum_pool,
    "Concat": _concat,
    "Flatten": _flatten,
    "Scale": lambda self, node: self.step(node, "MUL", self.floats(_input(node)), self.fixed(node, 1)),
    "Bias": lambda self, node: self.step(node, "ADD", self.floats(_input(node)), self.fixed(node, 1)),
    "Relu": lambda self, node: self.step(node, "RELU", self.floats(_input(node))),
    "Add": lambda self, node: self.step(node, "ADD", *(self.floats(value) for value in node.inputs if value is not None)),
    **dict.fromkeys(("Cast", "Squeeze", "Unsqueeze"), lambda self, node: self.maps[_input(node)]),
}


def batch_norm(node: ir.Node) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """a and b [C] of ``x * a + b``, also of a BatchNormalization that still has its statistics."""
    first, second = (np.asarray(constant_input(node, number), np.float32) for number in (1, 2))
    if node.op_type == "BatchNorm":
        return first, second
    mean, variance = (np.asarray(constant_input(node, number), np.float64) for number in (3, 4))
    a = first / np.sqrt(variance + node.attributes["epsilon"].as_float())
    return a.astype(np.float32), (second - mean * a).astype(np.float32)


def _weights(node: ir.Node, source: tuple[int, int, int]) -> NDArray[np.int8]:
    """Weights of a layer as integers [O, C / group, Kh, Kw]; those of a dense layer cover the whole map [C, H, W]."""
    weights, attributes = constant_input(node, 1), attributes_of(node)
    height, width, channels = source
    if node.op_type == "BinaryConv":
        shape = (attributes["in_channels"], *attributes["kernel_shape"])
        return unpack_signs(weights, int(np.prod(shape))).reshape(-1, *shape)
    if node.op_type == "Conv":
        return np.asarray(weights)
    flat = unpack_signs(weights, attributes["in_features"]) if node.op_type == "BinaryDense" else weights
    return flat.reshape(-1, channels, height, width)


def _input(node: ir.Node) -> ir.Value:
    value = node.inputs[0]
    assert value is not None
    return value


def _name(node: ir.Node) -> str:
    assert node.name is not None
    return node.name


def _shape(value: ir.Value) -> tuple[int, int, int]:
    """(H, W, C) of a value [N, C], [N, C, L] or [N, C, H, W]."""
    channels, height, width = (*spec_of(value).shape[1:], 1, 1)[:3]
    return height, width, channels
