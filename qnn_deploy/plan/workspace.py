"""What planning works on: the buffers, operators and constants so far, and where each value of the graph lies."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from qnn_deploy.errors import UserError
from qnn_deploy.ir.edit import location
from qnn_deploy.ir.program import NO_STEPS, Buffer, DType, Epilogue, Op, Opcode, Slot, Step, Weights

_DTYPES = {"UINT8": DType.U8, "INT8": DType.I8, "INT16": DType.I16, "INT32": DType.I32, "FLOAT": DType.F32}


@dataclasses.dataclass(frozen=True)
class View:
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


@dataclasses.dataclass(frozen=True)
class Tail:
    """Epilogue of a convolution: its fields in `Op`, its constants and the type of its output; ``low``: the lowest level."""

    epilogue: Epilogue
    dtype: DType
    slots: list[tuple[Slot, int]]
    steps: Step = NO_STEPS
    floats: tuple[float, float] = (0.0, 0.0)
    second: int | None = None
    low: int = 0


@dataclasses.dataclass(frozen=True)
class Packed:
    """Weights of a convolution: their form, the bytes of a patch, their constants."""

    kind: Weights
    patch: int
    slots: list[tuple[Slot, int]]


def dtype_of(value: ir.Value) -> DType:
    assert value.dtype is not None
    return _DTYPES[value.dtype.name]


class Workspace:
    """Grows a program. Methods give the numbers of what they add."""

    def __init__(self) -> None:
        self.buffers: list[Buffer] = []
        self.ops: list[Op] = []
        self.constants: list[NDArray[Any]] = []
        self.views: dict[ir.Value, View] = {}

    def add_constant(self, array: NDArray[Any]) -> int:
        self.constants.append(array)
        return len(self.constants) - 1

    def append(self, op: Op) -> None:
        self.ops.append(op)

    def new_buffer(self, dtype: DType, height: int, width: int, channels: int) -> int:
        self.buffers.append(Buffer(dtype, height, width, channels, 0, 0))
        return len(self.buffers) - 1

    def new_view(self, value: ir.Value, dtype: DType) -> View:
        shape = [int(d) for d in list(value.shape)[1:]]  # type: ignore[arg-type]
        channels, height, width = [*shape, 1, 1][:3]
        return View(self.new_buffer(dtype, height, width, channels), dtype, height, width, channels)

    def input(self, node: ir.Node, index: int, *, allow_zero: bool = False) -> View:
        """Where input ``index`` of ``node`` lies."""
        value = node.inputs[index]
        assert value is not None
        view = self.views[value]
        if view.zero is not None and not allow_zero:
            raise UserError("QD0301", "only a convolution or dense layer may read the input", where=location(node))
        if view.pads and node.op_type not in ("Conv", "BinaryConv"):
            raise UserError("QD0301", f"{node.op_type} of a padded map has no kernel", where=location(node))
        return view

    def map_input(self, node: ir.Node, index: int, *, allow_zero: bool = False) -> View:
        """The same of a value that is no flattened map."""
        view = self.input(node, index, allow_zero=allow_zero)
        if view.flattened and view.height * view.width > 1:
            raise UserError("QD0301", f"{node.op_type} of a flattened map", where=location(node), help="put it before the flattening")
        return view

    def elementwise_view(self, x: View, value: ir.Value, dtype: DType) -> View:
        """A view for ``value``, computed element by element from x: of x's shape, a flattened map too."""
        if not (x.flattened and x.height * x.width > 1):
            return self.new_view(value, dtype)
        buffer = self.new_buffer(dtype, x.height, x.width, x.channels)
        return View(buffer, dtype, x.height, x.width, x.channels, flattened=True)

    def widened(self, node: ir.Node, x: View, dtype: DType) -> View:
        """x in a type that holds its values; what reads it is ``node``."""
        if x.dtype == dtype:
            return x
        buffer = self.new_buffer(dtype, x.height, x.width, x.channels)
        self.append(Op(Opcode.CONCAT, f"{node.name}.widened", (x.buffer,), buffer))
        return dataclasses.replace(x, buffer=buffer, dtype=dtype)
