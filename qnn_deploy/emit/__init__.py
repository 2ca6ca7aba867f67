"""What a build writes: one row per format. A format's module is imported when it is chosen."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import onnx_ir as ir

from qnn_deploy.errors import UserError
from qnn_deploy.ir.program import Program


@dataclasses.dataclass(frozen=True)
class Format:
    """One artefact that does not depend on the target.

    Attributes:
        name: what ``--emit`` takes.
        file: name of the file in the build directory.
        encode: (the exact graph L2, the planned program L3) -> the file's bytes.
    """

    name: str
    file: str
    encode: Callable[[ir.Model, Program], bytes]


def _qdm(model: ir.Model, program: Program) -> bytes:
    from qnn_deploy.emit import qdm

    return qdm.encode(program)


def _onnx(model: ir.Model, program: Program) -> bytes:
    from qnn_deploy.emit import onnx_model

    return onnx_model.encode(model)


def _tflite(model: ir.Model, program: Program) -> bytes:
    from qnn_deploy.emit import lce_tflite

    return lce_tflite.encode(model)


def _c(model: ir.Model, program: Program) -> bytes:
    from qnn_deploy.emit import c_array, qdm

    return c_array.encode(qdm.encode(program))


FORMATS: tuple[Format, ...] = (
    Format("qdm", "model.qdm", _qdm),
    Format("onnx", "model.onnx", _onnx),
    Format("tflite", "model.tflite", _tflite),
    Format("c", "model.c", _c),
)
# Made per target from the C runtime, see `emit.executable`.
EXECUTABLE = "exe"
EMIT_NAMES: tuple[str, ...] = (*(row.name for row in FORMATS), EXECUTABLE)


def check_names(names: tuple[str, ...]) -> None:
    """Raise UserError QD0106 for a format that is not in the table."""
    for name in names:
        if name not in EMIT_NAMES:
            raise UserError("QD0106", f"unknown format {name!r}", help=f"known formats: {', '.join(EMIT_NAMES)}")
