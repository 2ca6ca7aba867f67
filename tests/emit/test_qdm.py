"""The packed model's version follows from what the program uses."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from qnn_deploy.emit.qdm import encode  # noqa: E402
from qnn_deploy.emit.qdm_reader import decode  # noqa: E402
from qnn_deploy.errors import UserError  # noqa: E402
from qnn_deploy.frontend import torch_export  # noqa: E402
from qnn_deploy.ir.program import Opcode, Program, Slot, Step  # noqa: E402
from qnn_deploy.nn.layers import fold  # noqa: E402
from qnn_deploy.passes.pipeline import lower  # noqa: E402
from qnn_deploy.plan import plan  # noqa: E402
from tests.nn._networks import PRELU, SMALL, network  # noqa: E402


def program(arguments: dict[str, object]) -> Program:
    model = fold(network("binary-resnet", 0, arguments))
    return plan(lower(torch_export.export(model, model.input_shape, "uint8", "resnet")).model)


def stated(data: bytes, minor: int) -> bytes:
    """``data`` with another minor version in its header."""
    return data[:6] + struct.pack("<H", minor) + data[8:]


def test_prelu_is_fused_and_reads_back() -> None:
    original = program(PRELU)
    again = decode(encode(original))
    units = [op for op in again.ops if op.steps & Step.PRELU]
    assert len(units) == 6 and all(op.opcode == Opcode.CONV and op.steps & Step.ADD for op in units)
    assert not any(op.opcode == Opcode.STREAM for op in again.ops)
    for op, other in zip(units, (op for op in original.ops if op.steps & Step.PRELU), strict=True):
        slopes = again.constants[dict(op.constants)[Slot.SLOPE]]
        assert slopes.tobytes() == original.constants[dict(other.constants)[Slot.SLOPE]].tobytes()
        assert slopes.dtype == np.float32 and slopes.size == again.buffers[op.output].channels


def test_the_oldest_version_that_suffices_is_written() -> None:
    with_step, without = encode(program(PRELU)), encode(program(SMALL["binary-resnet"]))
    assert [struct.unpack_from("<HH", data, 4) for data in (with_step, without)] == [(1, 1), (1, 0)]
    assert zlib.crc32(without[16:]) == struct.unpack_from("<I", without, 12)[0]
    decode(stated(without, 1))
    for data, minor, text in ((without, 4, "reads up to 1.3"), (with_step, 0, "a later version added")):
        with pytest.raises(UserError, match=text) as caught:
            decode(stated(data, minor))
        assert caught.value.code == "QD0103"
