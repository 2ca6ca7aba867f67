"""Read a packed model back: bytes to a Program, for ``inspect`` and tests. The runtime has its own, stricter verifier."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qnn_deploy.emit.qdm import BUFFER_BYTES, CONSTANT_BYTES, HEADER_BYTES, MAGIC, MAJOR, MINOR, NONE, OP_BYTES, WINDOWED, minor_version
from qnn_deploy.errors import UserError, as_damage
from qnn_deploy.ir.program import (
    NUMPY_DTYPE,
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
    Weights,
    smallest_weights,
)


def decode(data: bytes, *, where: str = "") -> Program:
    """The program in a .qdm file's bytes. Lifetimes are recomputed; ``lower_bound`` is 0 (not in the file).

    Raises:
        UserError: QD0103 where the file is truncated, altered, malformed or of a newer version.
    """
    if len(data) < HEADER_BYTES or data[:4] != MAGIC:
        raise UserError("QD0103", "not a packed model (.qdm)", where=where)
    major, minor, size, crc = struct.unpack_from("<HHII", data, 4)
    if major != MAJOR or minor > MINOR:
        message = f"packed model format {major}.{minor}; this version reads up to {MAJOR}.{MINOR}"
        raise UserError("QD0103", message, where=where, help="upgrade qnn-deploy, or build the model again with this version")
    if size != len(data):
        raise UserError(
            "QD0103", f"the packed model has {len(data)} bytes, its header says {size}", where=where, help="copy or build it again"
        )
    if zlib.crc32(data[16:]) != crc:
        raise UserError("QD0103", "the packed model was altered (its checksum differs)", where=where, help="copy or build it again")
    with as_damage("QD0103", "the packed model is malformed", where=where):
        program = _tables(data)
        needed = minor_version(program)
    if minor < needed:
        raise UserError("QD0103", f"the packed model says format {major}.{minor} and uses what a later version added", where=where)
    return program


def _tables(data: bytes) -> Program:
    _, n_buffers, n_ops, n_constants, buffers_at, ops_at, constants_at, names_at, _, arena, source, output, _ = struct.unpack_from(
        "<10IHHI", data, 16
    )
    constants: list[NDArray[Any]] = []
    for i in range(n_constants):
        code, count, at = struct.unpack_from("<B3xII", data, constants_at + i * CONSTANT_BYTES)
        constants.append(np.frombuffer(data, NUMPY_DTYPE[DType(code)], count, at))
    shapes = [struct.unpack_from("<B3x4I", data, buffers_at + i * BUFFER_BYTES) for i in range(n_buffers)]
    ops = tuple(_op(data, ops_at + i * OP_BYTES, names_at, shapes, constants) for i in range(n_ops))
    first, last = {source: 0}, {output: n_ops - 1}
    for index, op in enumerate(ops):
        first.setdefault(op.output, index)
        for buffer in (*op.inputs, op.output):
            last[buffer] = max(last.get(buffer, 0), index)
    places = [source, output, *(index for op in ops for index in (*op.inputs, op.output))]
    if max(places) >= n_buffers or any(index >= n_constants for op in ops for _, index in op.constants) or not all(op.inputs for op in ops):
        raise ValueError("an index leaves its table")
    buffers = tuple(
        Buffer(DType(code), height, width, channels, first.get(i, 0), last.get(i, 0), offset)
        for i, (code, height, width, channels, offset) in enumerate(shapes)
    )
    return Program("", buffers, ops, tuple(constants), source, output, arena, 0)


def _op(data: bytes, at: int, names_at: int, shapes: list[tuple[int, ...]], constants: list[NDArray[Any]]) -> Op:
    opcode, epilogue, weights, n_inputs, *rest = struct.unpack_from("<4B4HHH", data, at)
    inputs, output, steps = rest[:n_inputs], rest[4], rest[5]
    *spans, groups = struct.unpack_from("<10HI", data, at + 16)
    slots = struct.unpack_from("<8H", data, at + 40)
    floats, ints = struct.unpack_from("<2f", data, at + 56), struct.unpack_from("<2i", data, at + 64)
    scratch, scratch_bytes, name_at, name_size = struct.unpack_from("<4I", data, at + 72)
    window = None
    if spans[0]:
        kernel, stride, padding, dilation = spans[:2], spans[2:4], spans[4:8], spans[8:] if opcode in WINDOWED else (1, 1)
        window = Conv(tuple(kernel), tuple(stride), tuple(padding), tuple(dilation))
    parameters = macs = weight_bits = 0
    if opcode in WINDOWED and window is not None:
        channels, (height, width, out) = shapes[inputs[0]][3], shapes[output][1:4]
        parameters = window.kernel[0] * window.kernel[1] * (channels // groups) * out
        macs = parameters * height * width
        packed = constants[slots[Slot.WEIGHTS]]
        weight_bits = 32 if opcode == Opcode.FLOAT_CONV else WEIGHT_BITS[Weights(weights)]
        if weights == Weights.INT8:
            # Padding elements of the pair-major form are 0; of weights that all are +1 or -1 nothing else is.
            units = int(np.count_nonzero(np.abs(packed.astype(np.int16)) == 1))
            weight_bits = 1 if units == parameters else WEIGHT_BITS[smallest_weights(packed)]
    name = data[names_at + name_at : names_at + name_at + name_size].decode()
    used = tuple((Slot(i), index) for i, index in enumerate(slots) if index != NONE)
    return Op(
        Opcode(opcode), name, tuple(inputs), output, window, Epilogue(epilogue), Weights(weights), Step(steps), used, floats, ints,
        scratch, scratch_bytes, macs, weight_bits, parameters, groups or 1,
    )  # fmt: skip
