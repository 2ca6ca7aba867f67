"""The TFLite container: tensors and operators of one graph to the bytes of a flatbuffer (schema version 3), through PyPI's ``tflite``."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qnn_deploy.errors import UserError

SCHEMA_VERSION = 3
IDENTIFIER = b"TFL3"
# An input that an operator may lack and does.
ABSENT = -1
_ALIGNMENT = 16
_DTYPES = {"float32": "FLOAT32", "int32": "INT32", "uint8": "UINT8", "int8": "INT8", "int16": "INT16", "bool": "BOOL"}
# Operators of the schema with the table of their options; None where they have none that we set.
_OPTIONS = {
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "CONCATENATION": "ConcatenationOptions",
    "SUM": "ReducerOptions",
    "ADD": "AddOptions",
    "SUB": "SubOptions",
    "MUL": "MulOptions",
    "DIV": "DivOptions",
}


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A value; ``data`` is there for a constant. Shapes start with the batch, which is 1."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    data: NDArray[Any] | None = None


@dataclasses.dataclass(frozen=True)
class Operator:
    """One operator.

    Attributes:
        kind: a name of the schema's BuiltinOperator, or of one of Larq Compute Engine's custom operators, "Lce...".
        inputs: indices of tensors, `ABSENT` for one left out.
        options: fields of the operator's options table, as the schema spells them; of a custom operator the FlexBuffer map.
    """

    kind: str
    inputs: tuple[int, ...]
    output: int
    options: Mapping[str, int]

    @property
    def custom(self) -> bool:
        return self.kind.startswith("Lce")


class Graph:
    """A graph that grows: every method returns the index of the tensor that it added."""

    def __init__(self) -> None:
        self.tensors: list[Tensor] = []
        self.operators: list[Operator] = []
        self._known: dict[tuple[str, tuple[int, ...], bytes], int] = {}

    def tensor(self, name: str, dtype: str, shape: Sequence[int]) -> int:
        """A value that is computed, or the graph's input."""
        self.tensors.append(Tensor(name, dtype, tuple(shape)))
        return len(self.tensors) - 1

    def constant(self, name: str, data: NDArray[Any]) -> int:
        """A constant; one that is there already is not added again."""
        key = (data.dtype.name, data.shape, data.tobytes())
        if key not in self._known:
            self.tensors.append(Tensor(name, data.dtype.name, data.shape, np.ascontiguousarray(data)))
            self._known[key] = len(self.tensors) - 1
        return self._known[key]

    def add(
        self,
        kind: str,
        inputs: Sequence[int],
        name: str,
        shape: Sequence[int],
        dtype: str = "float32",
        options: Mapping[str, int] | None = None,
    ) -> int:
        """An operator and its output."""
        output = self.tensor(name, dtype, shape)
        self.operators.append(Operator(kind, tuple(inputs), output, options or {}))
        return output

    def shape(self, index: int) -> tuple[int, ...]:
        """Shape of a tensor."""
        return self.tensors[index].shape


def schema() -> Any:
    """The generated classes of the schema.

    Raises:
        UserError: QD0111 where they are not installed.
    """
    try:
        import tflite
    except ImportError as error:
        raise UserError("QD0111", "writing .tflite needs its schema", help='pip install "qnn-deploy[tflite]"') from error
    return tflite


def write(graph: Graph, inputs: Sequence[int], outputs: Sequence[int], description: str) -> bytes:
    """The file's bytes; the same graph gives the same bytes.

    Raises:
        UserError: QD0111 where the schema is not installed.
    """
    tflite = schema()
    import flatbuffers
    from flatbuffers import flexbuffers

    builder = flatbuffers.Builder(1024)

    def table(name: str, **fields: Any) -> int:
        getattr(tflite, f"{name}Start")(builder)
        for field, value in fields.items():
            if value is not None:
                getattr(tflite, f"{name}Add{field}")(builder, value)
        return int(getattr(tflite, f"{name}End")(builder))

    def ints(values: Sequence[int]) -> int:
        return int(builder.CreateNumpyVector(np.asarray(values, np.int32)))

    def tables(offsets: Sequence[int]) -> int:
        builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            builder.PrependUOffsetTRelative(offset)
        return int(builder.EndVector())

    def content(data: NDArray[Any]) -> int:
        raw = data.astype(data.dtype.newbyteorder("<"), copy=False).tobytes()
        builder.StartVector(1, len(raw), _ALIGNMENT)
        builder.head = builder.Head() - len(raw)
        builder.Bytes[builder.Head() : builder.Head() + len(raw)] = raw
        return int(builder.EndVector())

    # Buffer 0 is empty and that of every value which is computed.
    constants = [tensor for tensor in graph.tensors if tensor.data is not None]
    buffers = [table("Buffer"), *(table("Buffer", Data=content(tensor.data)) for tensor in constants if tensor.data is not None)]
    places = {id(tensor): number + 1 for number, tensor in enumerate(constants)}
    tensors = []
    for tensor in graph.tensors:
        shape, name = ints(tensor.shape), builder.CreateString(tensor.name)
        kind = getattr(tflite.TensorType, _DTYPES[tensor.dtype])
        tensors.append(table("Tensor", Shape=shape, Type=kind, Buffer=places.get(id(tensor), 0), Name=name))
    kinds = list(dict.fromkeys((operator.kind, operator.custom) for operator in graph.operators))
    codes = []
    for kind, custom in kinds:
        number = tflite.BuiltinOperator.CUSTOM if custom else getattr(tflite.BuiltinOperator, kind)
        text = builder.CreateString(kind) if custom else None
        old = min(number, tflite.BuiltinOperator.PLACEHOLDER_FOR_GREATER_OP_CODES)
        codes.append(table("OperatorCode", DeprecatedBuiltinCode=old, CustomCode=text, Version=1, BuiltinCode=number))
    operators = []
    for operator in graph.operators:
        fields: dict[str, Any] = {"OpcodeIndex": kinds.index((operator.kind, operator.custom))}
        fields |= {"Inputs": ints(operator.inputs), "Outputs": ints([operator.output])}
        options = _OPTIONS.get(operator.kind)
        if operator.custom and operator.options:
            fields["CustomOptions"] = builder.CreateByteVector(bytes(flexbuffers.Dumps(dict(operator.options))))
        elif options is not None:
            fields["BuiltinOptionsType"] = getattr(tflite.BuiltinOptions, options)
            fields["BuiltinOptions"] = table(options, **operator.options)
        operators.append(table("Operator", **fields))
    subgraph = table(
        "SubGraph",
        Tensors=tables(tensors),
        Inputs=ints(inputs),
        Outputs=ints(outputs),
        Operators=tables(operators),
        Name=builder.CreateString("qnn_deploy"),
    )
    model = table(
        "Model",
        Version=SCHEMA_VERSION,
        OperatorCodes=tables(codes),
        Subgraphs=tables([subgraph]),
        Description=builder.CreateString(description),
        Buffers=tables(buffers),
    )
    builder.Finish(model, IDENTIFIER)
    return bytes(builder.Output())
