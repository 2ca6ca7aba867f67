"""The packed model: a Program to the bytes of docs/qdm.md. Same program, same bytes."""

from __future__ import annotations

import struct
import zlib

from qnn_deploy.ir.program import ALIGNMENT, DType, Epilogue, Op, Opcode, Program, Slot, Step, Weights, align, constant_dtype

MAGIC = b"QDM\x1a"
MAJOR, MINOR = 1, 2
NONE = 0xFFFF
HEADER_BYTES, BUFFER_BYTES, OP_BYTES, CONSTANT_BYTES = 64, 24, 96, 16


def encode(program: Program) -> bytes:
    """The file's bytes."""
    names = [op.name.encode() for op in program.ops]
    ops_at = HEADER_BYTES + BUFFER_BYTES * len(program.buffers)
    constants_at = ops_at + OP_BYTES * len(program.ops)
    names_at = constants_at + CONSTANT_BYTES * len(program.constants)
    names_size = sum(map(len, names))

    data, table = bytearray(), bytearray()
    data_at = align(names_at + names_size)
    for constant in program.constants:
        code = constant_dtype(constant)
        table += struct.pack("<B3xIII", code, constant.size, data_at + len(data), 0)
        data += constant.astype(constant.dtype.newbyteorder("<")).tobytes()
        data += bytes(-len(data) % ALIGNMENT)

    body = bytearray()
    for buffer in program.buffers:
        body += struct.pack("<B3xIIIII", buffer.dtype, buffer.height, buffer.width, buffer.channels, buffer.offset, buffer.bytes)
    position = 0
    for op, name in zip(program.ops, names, strict=True):
        body += _op(op, position, len(name))
        position += len(name)
    body += table + b"".join(names)
    body += bytes(-(HEADER_BYTES + len(body)) % ALIGNMENT)
    body += data

    size = HEADER_BYTES + len(body)
    flags = int(any(op.uses_float for op in program.ops))
    counts = (len(program.buffers), len(program.ops), len(program.constants))
    offsets = (HEADER_BYTES, ops_at, constants_at, names_at, names_size)
    tail = struct.pack("<10IHHI", flags, *counts, *offsets, program.arena, program.input, program.output, 0)
    checked = tail + bytes(body)
    return MAGIC + struct.pack("<HHII", MAJOR, minor_version(program), size, zlib.crc32(checked)) + checked


def minor_version(program: Program) -> int:
    """The oldest minor version that has everything in ``program``: runtimes of that version run it."""
    if any(_since_2(program, op) for op in program.ops):
        return 2
    return 1 if any(op.steps & Step.PRELU for op in program.ops) else 0


def _since_2(program: Program, op: Op) -> bool:
    source, result = (program.buffers[index].dtype for index in (op.inputs[0], op.output))
    small = op.weights > Weights.INT8 or (op.weights == Weights.BITS and source != DType.BITS)
    pools_levels = op.opcode == Opcode.BIT_POOL and source != DType.BITS
    return op.epilogue == Epilogue.LEVELS or small or pools_levels or DType.TRITS in (source, result)


def _op(op: Op, name_at: int, name_size: int) -> bytes:
    constants = [NONE] * 8
    for slot, index in op.constants:
        constants[Slot(slot)] = index
    inputs = [*op.inputs, *[NONE] * (4 - len(op.inputs))]
    window = op.window
    kernel, stride, padding = (window.kernel, window.stride, window.padding) if window else ((0, 0), (0, 0), (0, 0, 0, 0))
    dilation, groups = ((1, 1), 1) if op.opcode == Opcode.CONV else ((0, 0), 0)
    record = struct.pack("<BBBB4HHH", op.opcode, op.epilogue, op.weights, len(op.inputs), *inputs, op.output, op.steps)
    record += struct.pack("<2H2H4H2HI", *kernel, *stride, *padding, *dilation, groups)
    record += struct.pack("<8H2f2i", *constants, *op.floats, *op.ints)
    record += struct.pack("<IIIIII", op.scratch, op.scratch_bytes, name_at, name_size, 0, 0)
    assert len(record) == OP_BYTES
    return record
