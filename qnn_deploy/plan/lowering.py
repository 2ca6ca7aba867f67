"""The exact graph (L2) to a planned program (L3): NHWC layout, packed weights, fused operators, arena offsets."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from qnn_deploy.errors import CompileErrors, QnnDeployError, UserError
from qnn_deploy.ir.edit import location
from qnn_deploy.ir.program import (
    WEIGHT_BITS,
    Buffer,
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
from qnn_deploy.plan.groups import CONVOLUTIONS, STEPS, VIEWS, Group, group
from qnn_deploy.plan.memory import Block, lower_bound, place, signs_of_streams
from qnn_deploy.plan.pack import pack_channel_mask, pack_weights
from qnn_deploy.plan.planes import most_terms, ternary_maps, weights_form

_DTYPES = {"UINT8": DType.U8, "INT8": DType.I8, "INT16": DType.I16, "INT32": DType.I32, "FLOAT": DType.F32}
_SIMPLE = {
    "Sign": Opcode.SIGN,
    "BipolarMaxPool": Opcode.BIT_POOL,
    "MaxPool": Opcode.MAX_POOL,
    "Quantize": Opcode.QUANTIZE,
    "SumPool": Opcode.SUM_POOL,
    "Concat": Opcode.CONCAT,
}

_STEP_SLOTS = {"Scale": [Slot.SCALE], "BatchNorm": [Slot.BN_A, Slot.BN_B], "Bias": [Slot.BIAS], "PRelu": [Slot.SLOPE]}
_TAKES = {
    Opcode.SIGN: (DType.F32,),
    Opcode.BIT_POOL: (DType.BITS, DType.I8, DType.TRITS),
    Opcode.MAX_POOL: (DType.F32,),
    Opcode.QUANTIZE: (DType.F32, DType.I32),
    Opcode.SUM_POOL: (DType.I8, DType.I16),
    Opcode.CONCAT: (DType.F32, DType.I8, DType.I16, DType.I32),
}
_BITS = ("Threshold", "Sign", "BipolarMaxPool")
_ELEMENTWISE = (Opcode.SIGN, Opcode.QUANTIZE)


@dataclasses.dataclass(frozen=True)
class _View:
    """How a graph value lies in memory: a buffer, its map shape, and what its reader still has to do.

    Attributes:
        zero: zero points to be subtracted.
        flattened: its elements are read as one row.
        pads, fill: margins (top, left, bottom, right) around the map, and their value.
    """

    buffer: int
    dtype: DType
    height: int
    width: int
    channels: int
    zero: NDArray[np.int16] | None = None
    flattened: bool = False
    pads: tuple[int, ...] = ()
    fill: int = 0


def plan(model: ir.Model) -> Program:
    """Plan ``model`` (at L2, static shapes but for the batch, which becomes 1).

    Raises:
        CompileErrors: QD0301 or QD0303 for what the packed format cannot hold; every finding at once.
    """
    return _Planner(model).run()


class _Planner:
    def __init__(self, model: ir.Model) -> None:
        self.graph = model.graph
        self.name = self.graph.name or "model"
        self.buffers: list[Buffer] = []
        self.ops: list[Op] = []
        self.constants: list[NDArray[Any]] = []
        self.ternary = ternary_maps(self.graph)
        self.views: dict[ir.Value, _View] = {}
        self.findings: list[QnnDeployError] = []

    def run(self) -> Program:
        source = self.graph.inputs[0]
        self.views[source] = self._new_view(source, _dtype(source))
        for item in group(self.graph):
            try:
                self._emit(item)
            except UserError as error:
                self.findings.append(error)
                # A stand-in of the type that it would have, so that the later layers are looked at for what is wrong with them alone.
                value = item.tail.outputs[0]
                self.views.setdefault(value, self._new_view(value, DType.BITS if item.tail.op_type in _BITS else _dtype(value)))
        if self.findings:
            raise CompileErrors(self.findings)
        output = self.views[self.graph.outputs[0]]
        if output.flattened and output.height * output.width > 1:
            raise CompileErrors(
                [UserError("QD0301", "the network's output is a flattened map", help="end in a dense layer or a global pool")]
            )
        return self._place(self.views[source].buffer, output.buffer)

    # -- one group, one operator

    def _emit(self, item: Group) -> None:
        node = item.head
        if node.op_type in VIEWS:
            self._view(node)
        elif node.op_type in CONVOLUTIONS:
            self._conv(item)
        elif node.op_type in STEPS or node.op_type == "Cast":
            self._stream(item)
        elif node.op_type in _SIMPLE:
            self._simple(node, _SIMPLE[node.op_type])
        else:
            raise UserError("QD0301", f"operator {node.op_type} has no kernel in the runtime", where=location(node))

    def _view(self, node: ir.Node) -> None:
        view = self._input(node, 0, allow_zero=True)
        if node.op_type == "SubtractZero":
            zero = _constant(node, 1).astype(np.int16)
            if view.dtype != DType.U8 and zero.any():
                help = "take uint8 features, 128 more, with a zero point that is 128 more: the differences are the same"
                message = "a zero point other than 0 of int8 or int16 features has no kernel"
                raise UserError("QD0308", message, where=location(node), help=help)
            view = dataclasses.replace(view, zero=np.broadcast_to(zero, (view.channels,)).copy())
        elif node.op_type == "Pad":
            view = dataclasses.replace(view, pads=tuple(node.attributes["pads"].as_ints()), fill=node.attributes["value"].as_int())
        else:
            view = dataclasses.replace(view, flattened=True)
        self.views[node.outputs[0]] = view

    def _conv(self, item: Group) -> None:
        node = item.head
        x = self._input(node, 0, allow_zero=True, allow_flat=True)
        weights, window = self._weights(node, x)
        out, taps, channels = weights.shape
        groups = node.attributes["group"].as_int() if "group" in node.attributes else 1
        kind = weights_form(weights, x.dtype, groups)
        terms, most = taps * channels, most_terms(kind, x.dtype)
        self._bound(node, terms <= most, f"{terms} terms of {WEIGHT_BITS[kind]}-bit weights may leave the accumulator; at most {most}")
        packed, patch = pack_weights(weights, kind, x.dtype, groups)
        slots: list[tuple[Slot, int]] = []
        slots.append((Slot.WEIGHTS, self._add_constant(packed)))
        if x.dtype == DType.U8:
            zero = x.zero if x.zero is not None else np.zeros(x.channels, np.int16)
            slots.append((Slot.ZERO, self._add_constant(zero)))
        inputs, steps, floats, ints = [x.buffer], Step(0), (0.0, 0.0), (0, 0)
        epilogue, dtype = Epilogue.ACCUMULATORS, DType.I32
        tail = item.tail
        if tail.op_type == "Threshold":
            epilogue, dtype = Epilogue.THRESHOLD, DType.BITS
            slots.append((Slot.THRESHOLDS, self._add_constant(_constant(tail, 1).astype(np.int32))))
        elif tail.op_type == "MultiThreshold":
            epilogue, dtype, ints = Epilogue.LEVELS, self._levels_type(tail), (0, tail.attributes["low"].as_int())
            slots.append((Slot.THRESHOLDS, self._add_constant(_constant(tail, 1).astype(np.int32).reshape(-1))))
        elif len(item.nodes) > 1 and not self._is_output_cast(item.nodes[1:]):
            epilogue, dtype = Epilogue.STREAM, DType.F32
            steps, extra, floats, second = self._steps(item.nodes[1:], node.outputs[0])
            slots += extra
            if second is not None:
                inputs.append(second)
        view = self._new_view(tail.outputs[0], dtype)
        self.views[tail.outputs[0]] = view
        self._append(
            Op(
                Opcode.CONV, node.name or "", tuple(inputs), view.buffer, window, epilogue, kind, steps, tuple(slots), floats,
                groups=groups, ints=(x.fill if any(x.pads) else 0, ints[1]),
                scratch_bytes=4 * align(patch) + 16 * (align(out, 32) + (32 if groups > 1 else 0)),
                macs=taps * channels * out * view.height * view.width,
                weight_bits=WEIGHT_BITS[smallest_weights(weights)], parameters=weights.size,
            )
        )  # fmt: skip

    def _weights(self, node: ir.Node, x: _View) -> tuple[NDArray[np.int8], Conv]:
        """Weights as [O, taps, C] in NHWC tap order, and the window."""
        attributes = node.attributes
        array = _constant(node, 1)
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
            self.views[head.outputs[0]] = self._input(head, 0)
            return
        x = self._input(head, 0)
        if x.dtype not in (DType.I32, DType.F32):
            raise UserError("QD0301", f"{head.op_type} of {x.dtype.name.lower()} values has no kernel", where=location(head))
        source = head.inputs[0]
        assert source is not None
        steps, slots, floats, second = self._steps(item.nodes, source)
        view = self._elementwise_view(x, item.tail.outputs[0], DType.F32)
        self.views[item.tail.outputs[0]] = view
        inputs = (x.buffer,) if second is None else (x.buffer, second)
        self._append(Op(Opcode.STREAM, head.name or "", inputs, view.buffer, steps=steps, constants=tuple(slots), floats=floats))

    def _steps(self, nodes: tuple[ir.Node, ...], value: ir.Value) -> tuple[Step, list[tuple[Slot, int]], tuple[float, float], int | None]:
        """Steps, constants, clip bounds and second input of the elementwise ``nodes`` that follow ``value``."""
        steps, slots, floats, second = Step(0), [], (0.0, 0.0), None
        for node in nodes:
            if node.op_type != "Cast":
                steps |= STEPS[node.op_type]
            if node.op_type in _STEP_SLOTS:
                channels = self.views[value].channels if value in self.views else self._channels(node)
                for position, slot in enumerate(_STEP_SLOTS[node.op_type], 1):
                    array = _constant(node, position).astype(np.float32).reshape(-1)
                    if array.size not in (1, channels):
                        raise UserError(
                            "QD0301", f"{node.op_type} of a flattened map", where=location(node), help="put it before the flattening"
                        )
                    if slot in (Slot.BN_A, Slot.BN_B):
                        array = np.broadcast_to(array, (channels,)).copy()
                    slots.append((slot, self._add_constant(array)))
            elif node.op_type == "Clip":
                floats = (float(_constant(node, 1)), float(_constant(node, 2)))
            elif node.op_type == "Add":
                other = node.inputs[1] if node.inputs[0] is value else node.inputs[0]
                view = self.views[other]  # type: ignore[index]
                if view.dtype != DType.F32:
                    raise UserError("QD0301", f"addition of {view.dtype.name.lower()} values has no kernel", where=location(node))
                second = view.buffer
            value = node.outputs[0]
        return steps, slots, floats, second

    def _simple(self, node: ir.Node, opcode: Opcode) -> None:
        views = [self._input(node, i) for i in range(len(node.inputs) if opcode == Opcode.CONCAT else 1)]
        dtype = views[0].dtype
        window, ints, floats, slots = None, (0, 0), (0.0, 0.0), []
        attributes = node.attributes
        if opcode in (Opcode.BIT_POOL, Opcode.MAX_POOL):
            kernel, strides = attributes["kernel_shape"].as_ints(), attributes["strides"].as_ints()
            if any(attributes["pads"].as_ints() if "pads" in attributes else ()) or (
                "ceil_mode" in attributes and attributes["ceil_mode"].as_int()
            ):
                raise UserError("QD0301", "padded and ceil-mode pools have no kernel yet", where=location(node))
            window = Conv((kernel[0], kernel[1]), (strides[0], strides[1]))
        takes = _TAKES[opcode]
        if any(view.dtype not in takes or view.dtype != dtype for view in views):
            raise UserError("QD0301", f"{node.op_type} of {dtype.name.lower()} values has no kernel", where=location(node))
        if opcode == Opcode.BIT_POOL:
            mask = np.broadcast_to(_constant(node, 1).astype(bool), (views[0].channels,))
            slots.append((Slot.MASK, self._add_constant(pack_channel_mask(mask))))
        if opcode == Opcode.QUANTIZE:
            floats = (float(_constant(node, 1).reshape(())), 0.0)
            ints = (attributes["low"].as_int(), attributes["high"].as_int())
        out = {Opcode.SIGN: DType.BITS, Opcode.SUM_POOL: DType.I32}.get(opcode, dtype)
        if opcode == Opcode.QUANTIZE:
            out = self._levels_type(node)
        view = (self._elementwise_view if opcode in _ELEMENTWISE else self._other_view)(views[0], node.outputs[0], out)
        self.views[node.outputs[0]] = view
        self._append(
            Op(
                opcode,
                node.name or "",
                tuple(v.buffer for v in views),
                view.buffer,
                window,
                constants=tuple(slots),
                floats=floats,
                ints=ints,
            )
        )

    # -- buffers and constants

    def _input(self, node: ir.Node, index: int, *, allow_zero: bool = False, allow_flat: bool = False) -> _View:
        value = node.inputs[index]
        assert value is not None
        view = self.views[value]
        if view.zero is not None and not allow_zero:
            raise UserError("QD0301", "only a convolution or dense layer may read the input", where=location(node))
        if view.pads and node.op_type not in ("Conv", "BinaryConv"):
            raise UserError("QD0301", f"{node.op_type} of a padded map has no kernel", where=location(node))
        return view

    def _new_view(self, value: ir.Value, dtype: DType) -> _View:
        shape = [int(d) for d in list(value.shape)[1:]]  # type: ignore[arg-type]
        channels, height, width = [*shape, 1, 1][:3]
        self.buffers.append(Buffer(dtype, height, width, channels, 0, 0))
        return _View(len(self.buffers) - 1, dtype, height, width, channels)

    def _elementwise_view(self, x: _View, value: ir.Value, dtype: DType) -> _View:
        """A view for ``value``, computed element by element from x: of x's shape, a flattened map too."""
        if not (x.flattened and x.height * x.width > 1):
            return self._new_view(value, dtype)
        self.buffers.append(Buffer(dtype, x.height, x.width, x.channels, 0, 0))
        return _View(len(self.buffers) - 1, dtype, x.height, x.width, x.channels, flattened=True)

    def _other_view(self, x: _View, value: ir.Value, dtype: DType) -> _View:
        if x.flattened and x.height * x.width > 1:
            node = value.producer()
            assert node is not None
            raise UserError("QD0301", f"{node.op_type} of a flattened map", where=location(node), help="put it before the flattening")
        return self._new_view(value, dtype)

    def _channels(self, node: ir.Node) -> int:
        return int(node.outputs[0].shape[1])  # type: ignore[index, arg-type]

    def _levels_type(self, node: ir.Node) -> DType:
        return DType.TRITS if node.outputs[0] in self.ternary else _dtype(node.outputs[0])

    def _add_constant(self, array: NDArray[Any]) -> int:
        self.constants.append(array)
        return len(self.constants) - 1

    def _append(self, op: Op) -> None:
        self.ops.append(op)

    def _bound(self, node: ir.Node, fits: bool, message: str) -> None:
        if not fits:
            raise UserError("QD0303", message, where=location(node), help="split the layer or use fewer input channels")

    def _is_output_cast(self, nodes: tuple[ir.Node, ...]) -> bool:
        """A lone cast of integer logits to float at the graph's end: the runtime gives the integers."""
        return len(nodes) == 1 and nodes[0].op_type == "Cast" and nodes[0].outputs[0].is_graph_output()

    def _place(self, source: int, output: int) -> Program:
        end = len(self.ops) - 1
        first, last = {source: 0}, {output: end}
        for index, op in enumerate(self.ops):
            first.setdefault(op.output, index)
            last[op.output] = max(last.get(op.output, 0), index)
            for buffer in op.inputs:
                last[buffer] = max(last.get(buffer, 0), index)
        used = sorted(first)
        renumber = {old: new for new, old in enumerate(used)}
        buffers = [dataclasses.replace(self.buffers[i], first=first[i], last=last.get(i, 0)) for i in used]
        scratch = [i for i, op in enumerate(self.ops) if op.scratch_bytes]
        early = signs_of_streams(self.ops)
        blocks = [Block(b.bytes, b.first - (i in early), b.last) for i, b in zip(used, buffers, strict=True)]
        blocks += [Block(self.ops[i].scratch_bytes, i, i) for i in scratch]
        offsets, arena = place(blocks)
        buffers = [dataclasses.replace(b, offset=offset) for b, offset in zip(buffers, offsets, strict=False)]
        at = dict(zip(scratch, offsets[len(buffers) :], strict=True))
        ops = [
            dataclasses.replace(op, inputs=tuple(renumber[i] for i in op.inputs), output=renumber[op.output], scratch=at.get(i, 0))
            for i, op in enumerate(self.ops)
        ]
        constants = tuple(self.constants)
        return Program(
            self.name, tuple(buffers), tuple(ops), constants, renumber[source], renumber[output], align(arena), lower_bound(blocks)
        )


def _dtype(value: ir.Value) -> DType:
    assert value.dtype is not None
    return _DTYPES[value.dtype.name]


def _constant(node: ir.Node, index: int) -> NDArray[Any]:
    value = node.inputs[index]
    assert value is not None and value.const_value is not None
    return value.const_value.numpy()


def _nhwc(kernels: NDArray[np.int8]) -> NDArray[np.int8]:
    out, channels, height, width = kernels.shape
    return np.ascontiguousarray(kernels.transpose(0, 2, 3, 1)).reshape(out, height * width, channels).astype(np.int8)
