"""``manifest.json``: what a build made, from what, for which target. No time stamps and no absolute paths: same input, same bytes."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

from qnn_deploy.errors import UserError, as_damage
from qnn_deploy.ir.program import ELEMENT_BYTES, Buffer, DType, Epilogue, Op, Opcode, Program, Slot, Weights

SCHEMA_VERSION = 1
FILE = "manifest.json"
_EPILOGUES = {Epilogue.ACCUMULATORS: "", Epilogue.THRESHOLD: " + threshold", Epilogue.STREAM: " + stream", Epilogue.LEVELS: " + levels"}
_PLANES = {DType.BITS: 1, DType.TRITS: 2}
_ONNX_DTYPES = {DType.U8: "uint8", DType.I8: "int8", DType.I16: "int16", DType.I32: "int32", DType.F32: "float32"}


def sha256(content: bytes) -> str:
    """Hex digest."""
    return hashlib.sha256(content).hexdigest()


@dataclasses.dataclass(frozen=True)
class Layer:
    """One operator of the planned program, as a row of the per-layer table. Sizes in bytes, multiply-accumulates for one image.

    Attributes:
        macs_1b, macs_8b: by what is multiplied: bits by bits, or anything wider.
        weight_bits, activation_bits: information of one operand; 0 where the operator has no weights.
        weight_bytes: weights as stored, spare lanes included.
        constant_bytes: weights, thresholds and every other constant, as stored.
        arena_bytes: everything alive while the operator runs, its scratch included.
    """

    name: str
    op: str
    input: str
    output: str
    window: str
    macs_1b: int
    macs_8b: int
    weight_bits: int
    activation_bits: int
    parameters: int
    weight_bytes: int
    constant_bytes: int
    arena_bytes: int


def layers(program: Program) -> tuple[Layer, ...]:
    """The per-layer table of ``program``. A constant that several operators share counts at the first."""
    seen: set[int] = set()
    rows = []
    for index, op in enumerate(program.ops):
        source, result = program.buffers[op.inputs[0]], program.buffers[op.output]
        fresh = [constant for _, constant in op.constants if constant not in seen]
        seen.update(fresh)
        binary = op.weights == Weights.BITS and source.dtype == DType.BITS
        rows.append(
            Layer(
                name=op.name,
                op=op_name(op),
                input=_shape(source),
                output=_shape(result),
                window=_window(op),
                macs_1b=op.macs if binary else 0,
                macs_8b=0 if binary else op.macs,
                weight_bits=op.weight_bits,
                activation_bits=_PLANES.get(source.dtype) or 8 * ELEMENT_BYTES[source.dtype],
                parameters=op.parameters,
                weight_bytes=sum(program.constants[constant].nbytes for slot, constant in op.constants if slot == Slot.WEIGHTS),
                constant_bytes=sum(program.constants[constant].nbytes for constant in fresh),
                arena_bytes=op.scratch_bytes + sum(b.bytes for b in program.buffers if b.first <= index <= b.last),
            )
        )
    return tuple(rows)


def op_name(op: Op) -> str:
    """The operator with its epilogue, for people."""
    return op.opcode.name.lower() + (_EPILOGUES[op.epilogue] if op.opcode == Opcode.CONV else "")


def _shape(buffer: Buffer) -> str:
    return f"{buffer.height}x{buffer.width}x{buffer.channels} {buffer.dtype.name.lower()}"


def _window(op: Op) -> str:
    if op.window is None:
        return ""
    (height, width), (down, right) = op.window.kernel, op.window.stride
    text = f"{height}x{width}/{down}" if down == right else f"{height}x{width}/{down}x{right}"
    if op.window.dilation != (1, 1):
        text += f" dilation {op.window.dilation[0]}x{op.window.dilation[1]}"
    return text + (f" groups {op.groups}" if op.groups > 1 else "")


def describe(program: Program) -> dict[str, Any]:
    """The manifest's part that follows from the program alone."""
    first, last = program.buffers[program.input], program.buffers[program.output]
    rows = layers(program)
    macs = program.macs
    return {
        "name": program.name,
        "input": {"dtype": _ONNX_DTYPES[first.dtype], "shape": ["N", first.channels, first.height, first.width]},
        "output": {"dtype": "float32", "shape": ["N", last.channels, *([last.height, last.width] if last.height * last.width > 1 else [])]},
        "computes_in_float": any(op.uses_float for op in program.ops),
        "islands": [op.name for op in program.ops if op.is_island],
        "ops": dict(sorted(collections.Counter(row.op for row in rows).items())),
        "totals": {
            "macs": macs,
            "binary_macs": sum(row.macs_1b for row in rows),
            "parameters": sum(row.parameters for row in rows),
            "weight_bytes": sum(row.weight_bytes for row in rows),
            "weight_information_bytes": -(-sum(row.parameters * row.weight_bits for row in rows) // 8),
            "constant_bytes": program.constant_bytes,
            "arena_bytes": program.arena,
            "arena_lower_bound": program.lower_bound,
        },
        "layers": [dataclasses.asdict(row) for row in rows],
    }


def write_json(value: Any) -> bytes:
    """JSON as every file of a build has it."""
    return (json.dumps(value, indent=1) + "\n").encode()


def read(folder: Path) -> dict[str, Any]:
    """The manifest of the build directory ``folder``; every artefact that it names is there and has its digest.

    Raises:
        UserError: QD0101 where it cannot be read, QD0107 where it is not a manifest or an artefact is missing or was changed.
    """
    path = folder / FILE
    try:
        content = path.read_bytes()
    except OSError as error:
        help = "name a directory that `qnn-deploy build` wrote"
        raise UserError("QD0101", f"cannot read the manifest: {error.strerror}", where=str(path), help=help) from error
    with as_damage("QD0107", "not a manifest of qnn-deploy", where=str(path)):
        manifest: dict[str, Any] = json.loads(content)
        version = manifest["schema_version"]
        if version != SCHEMA_VERSION:
            raise UserError("QD0107", f"manifest of schema version {version!r}, this qnn-deploy reads {SCHEMA_VERSION}", where=str(path))
        _check(manifest)
    for row in manifest["artefacts"]:
        name, digest, artefact = row["path"], row["sha256"], folder / row["path"]
        try:
            if not artefact.resolve().is_relative_to(folder.resolve()):
                raise UserError("QD0107", f"an artefact lies outside the build directory: {name}", where=str(path))
            found = sha256(artefact.read_bytes())
        except ValueError as error:
            raise UserError("QD0107", f"no name of an artefact: {name!r}", where=str(path)) from error
        except OSError as error:
            raise UserError("QD0107", f"an artefact is missing: {error.strerror}", where=str(artefact), help="build again") from error
        if found != digest:
            raise UserError(
                "QD0107", "the artefact is not the one that was built (its SHA-256 differs)", where=str(artefact), help="build again"
            )
    return manifest


_Optional = str | None
# What the commands read of a manifest, by type; a further key does not matter.
_TYPES: dict[str, Any] = {
    "name": str,
    "model_id": _Optional,
    "input": {"dtype": str, "shape": list},
    "output": {"dtype": str, "shape": list},
    "computes_in_float": bool,
    "ops": dict,
    "totals": dict.fromkeys(
        (
            "macs",
            "binary_macs",
            "parameters",
            "weight_bytes",
            "weight_information_bytes",
            "constant_bytes",
            "arena_bytes",
            "arena_lower_bound",
        ),
        int,
    ),
    "targets": [str],
    "source": {"spec": str, "path": _Optional, "sha256": _Optional, "weights": _Optional, "input_spec": _Optional},
    "proof": {"channels": int, "accumulators": int, "violations": int},
    "artefacts": [{"kind": str, "path": str, "target": _Optional, "bytes": int, "sha256": str}],
    "layers": [{field.name: {"str": str, "int": int}[str(field.type)] for field in dataclasses.fields(Layer)}],
}


def _check(value: Any, types: Any = _TYPES, place: str = "") -> None:
    """Raise TypeError or KeyError unless ``value`` has what ``types`` says."""
    if isinstance(types, dict):
        for key, inner in types.items():
            _check(value[key], inner, f"{place}.{key}")
    elif isinstance(types, list):
        if not isinstance(value, list):
            raise TypeError(f"{place} is no list")
        for each in value:
            _check(each, types[0], place)
    elif not isinstance(value, types):
        raise TypeError(f"{place} is {value!r:.40}")
