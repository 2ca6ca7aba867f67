"""Float islands in the program: one operator each, with weights in the order in which they are summed."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from qnn_deploy.errors import UserError
from qnn_deploy.ir.edit import constant_input, location
from qnn_deploy.ir.program import Buffer, Conv, DType, Op, Opcode, Slot

ISLANDS = ("FloatConv", "FloatDense", "FloatSumPool")


def island(node: ir.Node, index: int, source: Buffer, output: int, zero: int | None, add_constant: Any) -> Op:
    """The operator that computes ``node`` from the buffer ``source`` (number ``index``) into the buffer ``output``.

    Args:
        zero: constant with the zero points of pixels; None for other inputs.
        add_constant: puts an array into the program and gives its number.
    """
    if node.op_type == "FloatSumPool":
        return Op(Opcode.FLOAT_POOL, node.name or "", (index,), output, Conv((source.height, source.width)))
    weights, window, groups = _weights(node, source)
    # [k][O], k in the order of summation: channel, row, column.
    rows = np.ascontiguousarray(weights.reshape(len(weights), -1).T)
    slots = [(Slot.WEIGHTS, add_constant(rows.reshape(-1)))]
    if source.dtype == DType.U8:
        assert zero is not None
        slots.append((Slot.ZERO, zero))
    height, width = (int(d) for d in [*list(node.outputs[0].shape)[2:], 1, 1][:2])  # type: ignore[arg-type]
    return Op(
        Opcode.FLOAT_CONV, node.name or "", (index,), output, window, constants=tuple(slots), groups=groups,
        macs=weights.size * height * width, weight_bits=32, parameters=weights.size,
    )  # fmt: skip


def _weights(node: ir.Node, source: Buffer) -> tuple[NDArray[np.float32], Conv, int]:
    """Weights [O, C / groups, kernel height, width], the window and the groups; a dense layer's kernel covers the map."""
    array = constant_input(node, 1).astype(np.float32)
    if node.op_type == "FloatDense":
        count = source.channels * source.height * source.width
        if array.shape[1] != count:
            raise UserError("QD0301", f"dense layer takes {array.shape[1]} features, its input has {count}", where=location(node))
        return array.reshape(len(array), source.channels, source.height, source.width), Conv((source.height, source.width)), 1
    strides, pads, dilations = (node.attributes[name].as_ints() for name in ("strides", "pads", "dilations"))
    window = Conv(
        (array.shape[2], array.shape[3]), (strides[0], strides[1]), (pads[0], pads[1], pads[2], pads[3]), (dilations[0], dilations[1])
    )
    if any(p >= k for p, k in zip(pads, [*window.reach, *window.reach], strict=True)):
        raise UserError("QD0301", "the padding is not smaller than the kernel", where=location(node))
    return array, window, node.attributes["group"].as_int()
