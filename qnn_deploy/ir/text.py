"""A graph as text, one line per operator: for ``--print-ir`` and golden tests. The same graph gives the same text on every machine."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import onnx_ir as ir

from qnn_deploy.ir.edit import SOURCE, constant

_DTYPES = {"float32": "f32", "float64": "f64", "int8": "i8", "int16": "i16", "int32": "i32", "int64": "i64", "uint8": "u8", "bool": "bool"}
# Constants of up to this many elements are written out; of others the CRC-32 of their bytes.
_SHOWN = 4


def dump(model: ir.Model, *, sources: bool = False) -> str:
    """The graph of ``model`` as text, with a final newline.

    Args:
        sources: append each operator's source line; golden tests leave it out, since lines move.
    """
    graph = model.graph
    lines = [f"graph {graph.name}", *(f"  input {_typed(value)}" for value in graph.inputs)]
    for node in graph:
        outputs = ", ".join(_typed(value) for value in node.outputs)
        inputs = ", ".join(_operand(value) for value in node.inputs)
        attributes = "".join(f" {name}={_attribute(each.value)}" for name, each in sorted(node.attributes.items()))
        title = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
        name = f"  [{node.name}]" if node.name != node.outputs[0].name else ""
        source = f"  # {node.metadata_props[SOURCE]}" if sources and SOURCE in node.metadata_props else ""
        lines.append(f"  {outputs} = {title}({inputs}){attributes}{name}{source}")
    lines.extend(f"  output {value.name}" for value in graph.outputs)
    return "\n".join(lines) + "\n"


def _typed(value: ir.Value) -> str:
    dtype = _DTYPES.get(str(value.dtype.numpy().name), str(value.dtype)) if value.dtype is not None else "?"
    shape = ",".join(str(dim) for dim in value.shape) if value.shape is not None else "?"
    return f"{value.name}: {dtype}[{shape}]"


def _operand(value: ir.Value | None) -> str:
    if value is None:
        return "-"
    array = constant(value)
    if array is None:
        return str(value.name)
    dtype = _DTYPES.get(array.dtype.name, array.dtype.name)
    shape = ",".join(str(size) for size in array.shape)
    if array.size <= _SHOWN:
        # numpy prints the shortest decimal that reads back as the same number.
        return f"{dtype}[{shape}]{{{', '.join(str(each) for each in array.reshape(-1))}}}"
    data = np.ascontiguousarray(array)
    return f"{dtype}[{shape}]#{zlib.crc32(data.astype(data.dtype.newbyteorder('<')).tobytes()):08x}"


def _attribute(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return "[" + ",".join(_attribute(each) for each in value) + "]"
    if isinstance(value, float):
        return str(np.float32(value))  # ONNX keeps attributes in binary32
    return str(value)
