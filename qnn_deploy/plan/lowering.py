"""The exact graph (L2) to a planned program (L3): NHWC layout, packed weights, fused operators, arena offsets."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from qnn_deploy.errors import CompileErrors, QnnDeployError, UserError
from qnn_deploy.ir.edit import constant_input, location
from qnn_deploy.ir.program import (
    WEIGHT_BITS,
    Conv,
    DType,
    Epilogue,
    Op,
    Opcode,
    Program,
    Slot,
    Step,
    align,
    smallest_weights,
)
from qnn_deploy.ops._bits import unpack_signs
from qnn_deploy.plan.assemble import assemble
from qnn_deploy.plan.groups import CONVOLUTIONS, STEPS, VIEWS, Group, group, steps_of
from qnn_deploy.plan.islands import ISLANDS, island
from qnn_deploy.plan.pack import pack_channel_mask, pack_weights
from qnn_deploy.plan.planes import most_terms, ternary_maps, weights_form
from qnn_deploy.plan.transposed import kernel_of, phases
from qnn_deploy.plan.workspace import Packed, Tail, View, Workspace, dtype_of

_SIMPLE = {
    "Sign": Opcode.SIGN,
    "BipolarMaxPool": Opcode.BIT_POOL,
    "MaxPool": Opcode.MAX_POOL,
    "Quantize": Opcode.QUANTIZE,
    "SumPool": Opcode.SUM_POOL,
    "ArgMax": Opcode.ARG_MAX,
}

_STEP_SLOTS = {"Scale": [Slot.SCALE], "BatchNorm": [Slot.BN_A, Slot.BN_B], "Bias": [Slot.BIAS], "PRelu": [Slot.SLOPE]}
_TAKES = {
    Opcode.SIGN: (DType.F32,),
    Opcode.BIT_POOL: (DType.BITS, DType.I8, DType.TRITS),
    Opcode.MAX_POOL: (DType.F32,),
    Opcode.QUANTIZE: (DType.F32, DType.I32),
    Opcode.SUM_POOL: (DType.I8, DType.I16),
    Opcode.ARG_MAX: (DType.F32, DType.I32),
}
# Integer types, each of which holds the values of those before it.
_WIDER = (DType.BITS, DType.TRITS, DType.I8, DType.I16, DType.I32)
_MOST_INPUTS = 4
_BITS = ("Threshold", "Sign", "BipolarMaxPool")
_ELEMENTWISE = (Opcode.SIGN, Opcode.QUANTIZE)


def plan(model: ir.Model) -> Program:
    """Plan ``model`` (at L2, static shapes but for the batch, which becomes 1).

    Raises:
        CompileErrors: QD0301 or QD0303 for what the packed format cannot hold; every finding at once.
    """
    return _Planner(model).run()


class _Planner(Workspace):
    def __init__(self, model: ir.Model) -> None:
        super().__init__()
        self.graph = model.graph
        self.name = self.graph.name or "model"
        self.ternary = ternary_maps(self.graph)
        self.findings: list[QnnDeployError] = []

    def run(self) -> Program:
        source = self.graph.inputs[0]
        self.views[source] = self.new_view(source, dtype_of(source))
        for item in group(self.graph):
            try:
                self._emit(item)
            except UserError as error:
                self.findings.append(error)
                # A stand-in of the type that it would have, so that the later layers are looked at for what is wrong with them alone.
                value = item.tail.outputs[0]
                self.views.setdefault(value, self.new_view(value, DType.BITS if item.tail.op_type in _BITS else dtype_of(value)))
        if self.findings:
            raise CompileErrors(self.findings)
        output = self.views[self.graph.outputs[0]]
        if output.flattened and output.height * output.width > 1:
            raise CompileErrors(
                [UserError("QD0301", "the network's output is a flattened map", help="return the map itself, [N, C, H, W]")]
            )
        if not self.ops:
            raise CompileErrors([UserError("QD0301", "the network computes nothing")])
        return assemble(self.name, self.buffers, self.ops, self.constants, self.views[source].buffer, output.buffer)

    # -- one group, one operator

    def _emit(self, item: Group) -> None:
        node = item.head
        if node.op_type in VIEWS:
            self._view(node)
        elif node.op_type == "ConvTranspose":
            self._transposed(item)
        elif node.op_type in CONVOLUTIONS:
            self._conv(item)
        elif node.op_type == "Concat":
            self._concat(node)
        elif node.op_type == "Rearrange":
            self._rearrange(node)
        elif node.op_type in STEPS or node.op_type == "Cast":
            self._stream(item)
        elif node.op_type in _SIMPLE:
            self._simple(node, _SIMPLE[node.op_type])
        elif node.op_type in ISLANDS:
            self._island(node)
        else:
            raise UserError("QD0301", f"operator {node.op_type} has no kernel in the runtime", where=location(node))

    def _view(self, node: ir.Node) -> None:
        view = self.input(node, 0, allow_zero=True)
        if node.op_type == "SubtractZero":
            zero = constant_input(node, 1).astype(np.int16)
            if view.dtype != DType.U8 and zero.any():
                help = "take uint8 features, 128 more, with a zero point that is 128 more: the differences are the same"
                message = "a zero point other than 0 of int8 or int16 features has no kernel"
                raise UserError("QD0308", message, where=location(node), help=help)
            view = dataclasses.replace(view, zero=np.broadcast_to(zero, (view.channels,)).copy())
        elif node.op_type in ("Unsqueeze", "Squeeze"):
            pass  # a signal lies in memory as a map of one column does
        elif node.op_type == "Pad":
            view = dataclasses.replace(view, pads=tuple(node.attributes["pads"].as_ints()), fill=node.attributes["value"].as_int())
        else:
            view = dataclasses.replace(view, flattened=True)
        self.views[node.outputs[0]] = view

    def _conv(self, item: Group) -> None:
        x = self.input(item.head, 0, allow_zero=True)
        weights, window = self._weights(item.head, x)
        packed = self._pack(item.head, x, weights)
        tail = self._tail(item, x)
        view = self.new_view(item.tail.outputs[0], tail.dtype)
        self.views[item.tail.outputs[0]] = view
        self._append_conv(item.head, item.head.name or "", x, weights, window, tail, view.buffer, packed)

    def _transposed(self, item: Group) -> None:
        """Its phases, each an ordinary convolution with the whole epilogue, and what interleaves them."""
        node = item.head
        x, weights, attributes = self.input(node, 0, allow_zero=True), constant_input(node, 1), node.attributes
        (stride_h, stride_w), pads = attributes["strides"].as_ints(), attributes["pads"].as_ints()
        if max(stride_h, stride_w) > _MOST_INPUTS:
            message = f"a transposed convolution of stride {max(stride_h, stride_w)}; at most {_MOST_INPUTS}"
            raise UserError("QD0301", message, where=location(node))
        tail = self._tail(item, x)
        view = self.new_view(item.tail.outputs[0], tail.dtype)
        rows = phases(x.height, weights.shape[2], stride_h, pads[0], view.height)
        columns = phases(x.width, weights.shape[3], stride_w, pads[1], view.width)
        parts = []
        for y, row in enumerate(rows):
            for z, column in enumerate(columns):
                kernel = kernel_of(weights, row, column)
                window = Conv((len(row.taps), len(column.taps)), padding=(row.before, column.before, row.behind, column.behind))
                part = self.new_buffer(tail.dtype, row.size, column.size, view.channels)
                name = f"{node.name}.{y}.{z}" if len(rows) * len(columns) > 1 else node.name or ""
                packed = self._pack(node, x, _nhwc(kernel))
                self._append_conv(node, name, x, _nhwc(kernel), window, tail, part, packed)
                parts.append(part)
        block = len(rows), len(columns)
        if len(parts) > _MOST_INPUTS:
            lines = [self.new_buffer(tail.dtype, row.size, view.width, view.channels) for row in rows]
            for y, line in enumerate(lines):
                self._interleave(f"{node.name}.{y}", parts[y * block[1] : (y + 1) * block[1]], line, (1, block[1]))
            parts, block = lines, (block[0], 1)
        if len(parts) > 1:
            self._interleave(node.name or "", parts, view.buffer, block)
        self.views[item.tail.outputs[0]] = view if len(parts) > 1 else dataclasses.replace(view, buffer=parts[0])

    def _interleave(self, name: str, parts: list[int], output: int, block: tuple[int, int]) -> None:
        self.append(Op(Opcode.INTERLEAVE, name, tuple(parts), output, Conv(block, (0, 0))))

    def _tail(self, item: Group, x: View) -> Tail:
        """What the nodes behind a convolution make of its accumulators."""
        node, tail = item.head, item.tail
        if tail.op_type == "Threshold":
            slots = [(Slot.THRESHOLDS, self.add_constant(constant_input(tail, 1).astype(np.int32)))]
            return Tail(Epilogue.THRESHOLD, DType.BITS, slots)
        if tail.op_type == "MultiThreshold":
            slots = [(Slot.THRESHOLDS, self.add_constant(constant_input(tail, 1).astype(np.int32).reshape(-1)))]
            return Tail(Epilogue.LEVELS, self._levels_type(tail), slots, low=tail.attributes["low"].as_int())
        if len(item.nodes) > 1 and not self._is_output_cast(item.nodes[1:]):
            steps, slots, floats, second = self._steps(item.nodes[1:], node.outputs[0])
            return Tail(Epilogue.STREAM, DType.F32, slots, steps, floats, second)
        return Tail(Epilogue.ACCUMULATORS, DType.I32, [])

    def _pack(self, node: ir.Node, x: View, weights: NDArray[np.int8]) -> Packed:
        """The weights of a convolution, and zero points, as constants."""
        _, taps, channels = weights.shape
        groups = node.attributes["group"].as_int() if "group" in node.attributes else 1
        kind = weights_form(weights, x.dtype, groups)
        terms, most = taps * channels, most_terms(kind, x.dtype)
        self._bound(node, terms <= most, f"{terms} terms of {WEIGHT_BITS[kind]}-bit weights may leave the accumulator; at most {most}")
        data, patch = pack_weights(weights, kind, x.dtype, groups)
        slots = [(Slot.WEIGHTS, self.add_constant(data))]
        if x.dtype == DType.U8:
            zero = x.zero if x.zero is not None else np.zeros(x.channels, np.int16)
            slots.append((Slot.ZERO, self.add_constant(zero)))
        return Packed(kind, patch, slots)

    def _append_conv(
        self, node: ir.Node, name: str, x: View, weights: NDArray[np.int8], window: Conv, tail: Tail, output: int, packed: Packed
    ) -> None:
        """One CONV of ``weights`` [O, taps, C / groups] over x, with the epilogue ``tail``, into the buffer ``output``."""
        out, taps, channels = weights.shape
        groups = node.attributes["group"].as_int() if "group" in node.attributes else 1
        result = self.buffers[output]
        self.append(
            Op(
                Opcode.CONV, name, (x.buffer, *([] if tail.second is None else [tail.second])), output, window,
                tail.epilogue, packed.kind, tail.steps, (*packed.slots, *tail.slots), tail.floats,
                groups=groups, ints=(x.fill if any(x.pads) else 0, tail.low),
                scratch_bytes=4 * align(packed.patch) + 16 * (align(out, 32) + (32 if groups > 1 else 0)),
                macs=taps * channels * out * result.height * result.width,
                weight_bits=WEIGHT_BITS[smallest_weights(weights)], parameters=weights.size,
            )
        )  # fmt: skip

    def _weights(self, node: ir.Node, x: View) -> tuple[NDArray[np.int8], Conv]:
        """Weights as [O, taps, C] in NHWC tap order, and the window."""
        attributes = node.attributes
        array = constant_input(node, 1)
        if node.op_type in ("Dense", "BinaryDense"):
            count = x.height * x.width * x.channels
            if node.op_type == "BinaryDense":
                array = unpack_signs(array, attributes["in_features"].as_int())
            if array.shape[1] != count:
                raise UserError("QD0301", f"dense layer takes {array.shape[1]} features, its input has {count}", where=location(node))
            kernels = array.reshape(-1, x.channels, x.height, x.width)
            return _nhwc(kernels), Conv((x.height, x.width))
        strides, pads = attributes["strides"].as_ints(), attributes["pads"].as_ints()
        if x.pads and any(pads):
            raise UserError("QD0301", "a convolution pads a padded map", where=location(node), help="pad once, with one value")
        pads = x.pads or pads
        if x.flattened and x.height * x.width > 1:
            raise UserError("QD0301", "a convolution reads a flattened map", where=location(node))
        if node.op_type == "BinaryConv":
            kernel = attributes["kernel_shape"].as_ints()
            per_filter = attributes["in_channels"].as_int() * kernel[0] * kernel[1]
            array = unpack_signs(array, per_filter).reshape(len(array), -1, kernel[0], kernel[1])
        dilations = attributes["dilations"].as_ints()
        window = Conv(
            (array.shape[2], array.shape[3]), (strides[0], strides[1]), (pads[0], pads[1], pads[2], pads[3]), (dilations[0], dilations[1])
        )
        if any(p >= k for p, k in zip(pads, [*window.reach, *window.reach], strict=True)):
            raise UserError("QD0301", "the padding is not smaller than the kernel", where=location(node))
        return _nhwc(array), window

    def _stream(self, item: Group) -> None:
        head = item.head
        if self._is_output_cast(item.nodes):
            self.views[head.outputs[0]] = self.input(head, 0)
            return
        x = self.input(head, 0)
        if x.dtype in _WIDER:
            x = self.widened(head, x, DType.I32)
        source = head.inputs[0]
        assert source is not None
        steps, slots, floats, second = self._steps(item.nodes, source)
        view = self.elementwise_view(x, item.tail.outputs[0], DType.F32)
        self.views[item.tail.outputs[0]] = view
        inputs = (x.buffer,) if second is None else (x.buffer, second)
        self.append(Op(Opcode.STREAM, head.name or "", inputs, view.buffer, steps=steps, constants=tuple(slots), floats=floats))

    def _steps(self, nodes: tuple[ir.Node, ...], value: ir.Value) -> tuple[Step, list[tuple[Slot, int]], tuple[float, float], int | None]:
        """Steps, constants, clip bounds and second input of the elementwise ``nodes`` that follow ``value``."""
        steps, slots, floats, second = steps_of(nodes), [], (0.0, 0.0), None
        assert steps is not None
        for node in nodes:
            if node.op_type in _STEP_SLOTS:
                channels = self.views[value].channels if value in self.views else self._channels(node)
                for position, slot in enumerate(_STEP_SLOTS[node.op_type], 1):
                    array = constant_input(node, position).astype(np.float32).reshape(-1)
                    if array.size not in (1, channels):
                        raise UserError(
                            "QD0301", f"{node.op_type} of a flattened map", where=location(node), help="put it before the flattening"
                        )
                    if slot in (Slot.BN_A, Slot.BN_B):
                        array = np.broadcast_to(array, (channels,)).copy()
                    slots.append((slot, self.add_constant(array)))
            elif node.op_type == "Clip":
                floats = (float(constant_input(node, 1)), float(constant_input(node, 2)))
            elif node.op_type == "Add":
                other = node.inputs[1] if node.inputs[0] is value else node.inputs[0]
                view = self.views[other]  # type: ignore[index]
                if view.dtype != DType.F32:
                    raise UserError("QD0301", f"addition of {view.dtype.name.lower()} values has no kernel", where=location(node))
                second = view.buffer
            value = node.outputs[0]
        return steps, slots, floats, second

    def _simple(self, node: ir.Node, opcode: Opcode) -> None:
        x = self.input(node, 0) if opcode in _ELEMENTWISE else self.map_input(node, 0)
        if opcode == Opcode.SUM_POOL and x.dtype in (DType.BITS, DType.TRITS):
            x = self.widened(node, x, DType.I8)
        dtype = x.dtype
        window, ints, floats, slots = None, (0, 0), (0.0, 0.0), []
        attributes = node.attributes
        if opcode in (Opcode.BIT_POOL, Opcode.MAX_POOL):
            kernel, strides = attributes["kernel_shape"].as_ints(), attributes["strides"].as_ints()
            if "ceil_mode" in attributes and attributes["ceil_mode"].as_int():
                raise UserError("QD0301", "a ceil-mode pool has no kernel", where=location(node), help="pad it instead")
            pads = attributes["pads"].as_ints()
            window = Conv((kernel[0], kernel[1]), (strides[0], strides[1]), (pads[0], pads[1], pads[2], pads[3]))
        if dtype not in _TAKES[opcode]:
            raise UserError("QD0301", f"{node.op_type} of {dtype.name.lower()} values has no kernel", where=location(node))
        if opcode == Opcode.BIT_POOL:
            mask = np.broadcast_to(constant_input(node, 1).astype(bool), (x.channels,))
            slots.append((Slot.MASK, self.add_constant(pack_channel_mask(mask))))
        if opcode == Opcode.QUANTIZE:
            floats = (float(constant_input(node, 1).reshape(())), 0.0)
            ints = (attributes["low"].as_int(), attributes["high"].as_int())
        out = {Opcode.SIGN: DType.BITS, Opcode.SUM_POOL: DType.I32, Opcode.ARG_MAX: DType.I32}.get(opcode, dtype)
        if opcode == Opcode.QUANTIZE:
            out = self._levels_type(node)
        view = self.elementwise_view(x, node.outputs[0], out)
        self.views[node.outputs[0]] = view
        name = node.name or ""
        self.append(Op(opcode, name, (x.buffer,), view.buffer, window, constants=tuple(slots), floats=floats, ints=ints))

    def _island(self, node: ir.Node) -> None:
        x = self.input(node, 0, allow_zero=True)
        zero = None if x.dtype != DType.U8 else self.add_constant(x.zero if x.zero is not None else np.zeros(x.channels, np.int16))
        view = self.new_view(node.outputs[0], DType.F32)
        self.append(island(node, x.buffer, self.buffers[x.buffer], view.buffer, zero, self.add_constant))
        self.views[node.outputs[0]] = view

    def _concat(self, node: ir.Node) -> None:
        views = [self.map_input(node, index) for index in range(len(node.inputs))]
        types = {view.dtype for view in views}
        if len(types) > 1 and not types <= set(_WIDER):
            raise UserError("QD0301", f"a concatenation of {', '.join(sorted(t.name.lower() for t in types))}", where=location(node))
        dtype = max(types, key=_WIDER.index) if len(types) > 1 else views[0].dtype
        result = self.new_view(node.outputs[0], dtype)
        # Four at a time, what there is already being the first.
        name, parts = node.name or "", [view.buffer for view in views]
        while len(parts) > _MOST_INPUTS:
            head = parts[:_MOST_INPUTS]
            part = self.new_buffer(dtype, result.height, result.width, sum(self.buffers[buffer].channels for buffer in head))
            self.append(Op(Opcode.CONCAT, f"{name}.{len(parts)}", tuple(head), part))
            parts = [part, *parts[_MOST_INPUTS:]]
        self.views[node.outputs[0]] = result
        self.append(Op(Opcode.CONCAT, name, tuple(parts), result.buffer))

    def _rearrange(self, node: ir.Node) -> None:
        x, index = self.map_input(node, 0, allow_zero=True), constant_input(node, 1).astype(np.int32)
        block, strides, offset, _ = (node.attributes[name].as_ints() for name in ("block", "strides", "offset", "size"))
        view = self.new_view(node.outputs[0], x.dtype)
        if x.zero is not None:
            zeros = x.zero[index % x.channels]
            if bool(np.any(zeros != zeros[0])):
                message = "pixels of channels with unlike zero points come to lie in one channel"
                raise UserError("QD0308", message, where=location(node), help="give all channels one zero point")
            view = dataclasses.replace(view, zero=zeros[0])
        self.views[node.outputs[0]] = view
        whole = list(strides) == [1, 1] and bool(np.array_equal(index, np.broadcast_to(np.arange(x.channels), (len(index), x.channels))))
        slots = () if whole else ((Slot.INDEX, self.add_constant(index.reshape(-1))),)
        window = Conv((block[0], block[1]), (strides[0], strides[1]), (offset[0], offset[1], 0, 0))
        self.append(Op(Opcode.REARRANGE, node.name or "", (x.buffer,), view.buffer, window, constants=slots))

    def _channels(self, node: ir.Node) -> int:
        return int(node.outputs[0].shape[1])  # type: ignore[index, arg-type]

    def _levels_type(self, node: ir.Node) -> DType:
        return DType.TRITS if node.outputs[0] in self.ternary else dtype_of(node.outputs[0])

    def _bound(self, node: ir.Node, fits: bool, message: str) -> None:
        if not fits:
            raise UserError("QD0303", message, where=location(node), help="split the layer or use fewer input channels")

    def _is_output_cast(self, nodes: tuple[ir.Node, ...]) -> bool:
        """A lone cast of integer logits to float at the graph's end: the runtime gives the integers."""
        return len(nodes) == 1 and nodes[0].op_type == "Cast" and nodes[0].outputs[0].is_graph_output()


def _nhwc(kernels: NDArray[np.int8]) -> NDArray[np.int8]:
    out, channels, height, width = kernels.shape
    return np.ascontiguousarray(kernels.transpose(0, 2, 3, 1)).reshape(out, height * width, channels).astype(np.int8)
