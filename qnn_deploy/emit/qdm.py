"""The packed model: a Program to the bytes of docs/qdm.md. Same program, same bytes."""

from __future__ import annotations

import struct
import zlib

from qnn_deploy.ir.program import ALIGNMENT, Conv, DType, Epilogue, Op, Opcode, Program, Slot, Step, Weights, align, constant_dtype

MAGIC = b"QDM\x1a"
MAJOR, MINOR = 1, 3
NONE = 0xFFFF
WINDOWED = (Opcode.CONV, Opcode.FLOAT_CONV)  # those with dilation and groups
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
    return max(3 if _since_3(program, op) else 2 if _since_2(program, op) else 1 if op.steps & Step.PRELU else 0 for op in program.ops)


def _since_3(program: Program, op: Op) -> bool:
    sources, result = {program.buffers[index].dtype for index in op.inputs}, program.buffers[op.output].dtype
    if op.steps & Step.FIRST_RELU:
        return True
    if op.opcode == Opcode.CONV:
        depthwise = op.groups > 1 and op.groups == program.buffers[op.inputs[0]].channels
        return depthwise and op.weights != Weights.INT8
    if op.opcode == Opcode.CONCAT:
        return len(op.inputs) < 2 or sources != {result} or result in (DType.BITS, DType.TRITS)
    pads = op.opcode in (Opcode.BIT_POOL, Opcode.MAX_POOL) and op.window is not None and any(op.window.padding)
    return pads or op.is_island or op.opcode in (Opcode.REARRANGE, Opcode.INTERLEAVE, Opcode.ARG_MAX)


def _since_2(program: Program, op: Op) -> bool:
    source, result = (program.buffers[index].dtype for index in (op.inputs[0], op.output))
    planes = source in (DType.BITS, DType.TRITS)
    if op.opcode == Opcode.CONV and op.window is not None:
        usual = op.weights == (Weights.BITS if planes else Weights.INT8) and op.groups == 1 and op.window.dilation == (1, 1)
        if not usual or any(op.ints) or op.epilogue == Epilogue.LEVELS:
            return True
    pools_levels = op.opcode == Opcode.BIT_POOL and source != DType.BITS
    return pools_levels or DType.TRITS in (source, result)


def _op(op: Op, name_at: int, name_size: int) -> bytes:
    constants = [NONE] * 8
    for slot, index in op.constants:
        constants[Slot(slot)] = index
    inputs = [*op.inputs, *[NONE] * (4 - len(op.inputs))]
    window = op.window or Conv((0, 0), (0, 0))
    dilation, groups = (window.dilation, op.groups) if op.opcode in WINDOWED else ((0, 0), 0)
    record = struct.pack("<BBBB4HHH", op.opcode, op.epilogue, op.weights, len(op.inputs), *inputs, op.output, op.steps)
    record += struct.pack("<2H2H4H2HI", *window.kernel, *window.stride, *window.padding, *dilation, groups)
    record += struct.pack("<8H2f2i", *constants, *op.floats, *op.ints)
    record += struct.pack("<IIIIII", op.scratch, op.scratch_bytes, name_at, name_size, 0, 0)
    assert len(record) == OP_BYTES
    return record
