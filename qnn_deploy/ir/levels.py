"""The levels of the graph, each with its table of legal operators, and the checker that runs after every pass."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx_ir as ir

from qnn_deploy.errors import QnnDeployError
from qnn_deploy.ir.edit import constant_input
from qnn_deploy.ops import BY_KEY
from qnn_deploy.ops._base import DOMAIN, VERSION, OpDef, ShapeError, Spec

OPSET = 20
BATCH = "N"
# Batch size in the specs given to shape rules, which do not look at it.
_ANY_BATCH = 1
SOURCE = "qnn_deploy.source"


class Level(enum.IntEnum):
    """L0 imported, L1 canonical, L2 exact."""

    L0 = 0
    L1 = 1
    L2 = 2


@dataclasses.dataclass(frozen=True)
class Operand:
    """One input of an operator: its dtypes, and whether it is an initializer (True) or computed (False)."""

    dtypes: tuple[str, ...]
    constant: bool


Check = Callable[[ir.Node, ir.Model], str]


@dataclasses.dataclass(frozen=True)
class Rule:
    """When an operator is legal, beside its own shape rule.

    Attributes:
        operands: its inputs; with ``variadic`` one for all of them.
        attributes: those that must be written.
        neutral: others that may be written, with this value only.
        check: gives a reason why a node is illegal, or "".
    """

    operands: tuple[Operand, ...]
    attributes: tuple[str, ...] = ()
    neutral: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    variadic: bool = False
    check: Check = lambda node, model: ""


def attributes_of(node: ir.Node) -> dict[str, Any]:
    """Attributes of a node as Python values, as `ops.OpDef` takes them."""
    return {name: attribute.value for name, attribute in node.attributes.items()}


def op_of(node: ir.Node) -> OpDef:
    """The operator of a node.

    Raises:
        QnnDeployError: QD0901, there is no such operator.
    """
    op = BY_KEY.get((node.domain, node.op_type))
    if op is None:
        raise _broken(node, f"there is no operator {_title(node)}")
    return op


def spec_of(value: ir.Value) -> Spec:
    """Dtype and shape of a value; a symbolic first axis counts as a batch of 1.

    Raises:
        QnnDeployError: QD0901, dtype or shape is unknown; QD0302, an axis that is not the batch is dynamic.
    """
    if value.const_value is not None:
        return Spec(str(value.const_value.dtype.numpy().name), tuple(value.const_value.shape.numpy()))
    if value.dtype is None or value.shape is None:
        raise QnnDeployError("QD0901", f"the type of {value.name} is not recorded")
    sizes = list(value.shape.dims)
    if sizes and not isinstance(sizes[0], int):
        sizes[0] = _ANY_BATCH
    if not all(isinstance(size, int) for size in sizes):
        raise QnnDeployError("QD0302", f"the shape of {value.name} is dynamic: {value.shape}", help="fix every size but that of the batch")
    return Spec(str(value.dtype.numpy().name), tuple(int(size) for size in sizes if isinstance(size, int)))


def infer_node(node: ir.Node) -> Spec:
    """Type of a node's output by its operator's shape rule, from the types recorded on its inputs.

    Raises:
        QnnDeployError: QD0901, the operator does not take these inputs.
    """
    op = op_of(node)
    inputs = [spec_of(value) for value in node.inputs if value is not None]
    try:
        return op.infer(inputs, attributes_of(node))
    except ShapeError as error:
        raise _broken(node, str(error)) from error
    except (KeyError, ValueError) as error:
        raise _broken(node, f"inputs or attributes are missing or surplus ({error})") from error


def infer_types(model: ir.Model) -> None:
    """Record dtype and shape (batch "N") of every value, in graph order, from the graph inputs and initializers on.

    Raises:
        QnnDeployError: see `spec_of` and `infer_node`.
    """
    for value in model.graph.inputs:
        _record(value, spec_of(value))
    for node in model.graph:
        _record(node.outputs[0], infer_node(node))


def verify(model: ir.Model, level: Level) -> None:
    """Check that ``model`` is legal at ``level``.

    Raises:
        QnnDeployError: QD0302, a size other than the batch is dynamic; QD0901, anything else, with node and reason.
    """
    _verify_order(model)
    if level is Level.L0:
        return
    graph = model.graph
    if graph.opset_imports.get("") != OPSET or graph.opset_imports.get(DOMAIN, VERSION) != VERSION:
        raise QnnDeployError("QD0901", f"the graph imports opsets {dict(graph.opset_imports)}, not {OPSET} and {DOMAIN} {VERSION}")
    if model.functions:
        raise QnnDeployError("QD0901", "the model has functions before it is emitted")
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise QnnDeployError("QD0901", f"the graph has {len(graph.inputs)} inputs and {len(graph.outputs)} outputs, not one of each")
    if spec_of(graph.inputs[0]).dtype not in ("uint8", "int8", "int16"):
        raise QnnDeployError("QD0901", f"the graph input is {spec_of(graph.inputs[0]).dtype}, not uint8, int8 or int16")
    _verify_batch(graph.inputs[0], "the graph input")
    names: set[str] = set()
    for node in graph:
        if not node.name or node.name in names:
            raise _broken(node, "its name is empty or taken")
        names.add(node.name)
        _verify_node(node, model, level)
    logits = spec_of(graph.outputs[0])
    if logits.dtype != "float32" or len(logits.shape) not in (2, 3, 4):
        raise QnnDeployError("QD0901", f"the graph output is {logits.dtype} of {len(logits.shape)} axes, not float32 of 2 to 4")


def _verify_order(model: ir.Model) -> None:
    known = {id(value) for value in (*model.graph.inputs, *model.graph.initializers.values())}
    for node in model.graph:
        for value in node.inputs:
            if value is not None and id(value) not in known:
                raise _broken(node, f"its input {value.name} is not computed before it")
        known.update(id(value) for value in node.outputs)
    for value in model.graph.outputs:
        if id(value) not in known:
            raise QnnDeployError("QD0901", f"the graph output {value.name} is not computed")


def _verify_node(node: ir.Node, model: ir.Model, level: Level) -> None:
    rule = TABLES[level].get((node.domain, node.op_type))
    if rule is None:
        raise _broken(node, f"{_title(node)} is no operator of {level.name}")
    attributes = attributes_of(node)
    for name in rule.attributes:
        if name not in attributes:
            raise _broken(node, f"attribute {name} is not written")
    for name, value in attributes.items():
        if name not in rule.attributes and (name not in rule.neutral or value != rule.neutral[name]):
            raise _broken(node, f"attribute {name} = {value} is not of {level.name}")
    operands = rule.operands * len(node.inputs) if rule.variadic else rule.operands
    if len(node.inputs) != len(operands) or len(node.outputs) != 1:
        raise _broken(node, f"it has {len(node.inputs)} inputs and {len(node.outputs)} outputs, not {len(operands)} and 1")
    for number, (value, operand) in enumerate(zip(node.inputs, operands, strict=True)):
        if value is None:
            raise _broken(node, f"input {number} is left out")
        constant = value.is_initializer()
        if constant != operand.constant or (constant and value.const_value is None):
            raise _broken(node, f"input {number} ({value.name}) is {'' if constant else 'not '}an initializer")
        if spec_of(value).dtype not in operand.dtypes:
            raise _broken(node, f"input {number} ({value.name}) is {spec_of(value).dtype}, not {' or '.join(operand.dtypes)}")
    expected, recorded = infer_node(node), spec_of(node.outputs[0])
    _verify_batch(node.outputs[0], f"output of {node.name}")
    if (expected.dtype, expected.shape[1:]) != (recorded.dtype, recorded.shape[1:]):
        raise _broken(node, f"its output is recorded as {recorded}, by its shape rule it is {expected}")
    if reason := rule.check(node, model):
        raise _broken(node, reason)


def _verify_batch(value: ir.Value, title: str) -> None:
    first = value.shape.dims[0] if value.shape is not None and value.shape.rank() else None
    if not isinstance(first, ir.SymbolicDim) or first.value != BATCH:
        raise QnnDeployError("QD0901", f"{title}: its first axis is {first}, not the batch {BATCH}")


def _record(value: ir.Value, spec: Spec) -> None:
    value.dtype = ir.DataType.from_numpy(np.dtype(spec.dtype))
    value.shape = ir.Shape([BATCH, *spec.shape[1:]])


def _title(node: ir.Node) -> str:
    return f"{node.domain}::{node.op_type}" if node.domain else node.op_type


def _broken(node: ir.Node, reason: str) -> QnnDeployError:
    return QnnDeployError("QD0901", f"{_title(node)} {node.name!r}: {reason}", where=node.metadata_props.get(SOURCE, ""))


def _to(*allowed: ir.DataType) -> Check:
    def check(node: ir.Node, model: ir.Model) -> str:
        to = node.attributes["to"].as_int()
        return "" if to in allowed else f"to is {ir.DataType(to).name}, not {' or '.join(dtype.name for dtype in allowed)}"

    return check


def _quantize_to(node: ir.Node, model: ir.Model) -> str:
    low, high = node.attributes["low"].as_int(), node.attributes["high"].as_int()
    return _to(ir.DataType.INT8 if low >= -128 and high <= 127 else ir.DataType.INT16)(node, model)


def _integer_weights(node: ir.Node, model: ir.Model) -> str:
    weights = constant_input(node, 1)
    return "" if np.array_equal(weights, np.rint(weights)) else "a weight is not an integer"


def _spare_bits(count: Callable[[ir.Node], int]) -> Check:
    def check(node: ir.Node, model: ir.Model) -> str:
        bits = np.unpackbits(constant_input(node, 1), axis=1, bitorder="little")
        return "a spare bit of the weights is not 0" if bits[:, count(node) :].any() else ""

    return check


def _rising(node: ir.Node, model: ir.Model) -> str:
    return "" if np.all(np.diff(constant_input(node, 1).astype(np.int64), axis=0) >= 0) else "thresholds of a channel fall"


def _conv_bits(node: ir.Node) -> int:
    height, width = node.attributes["kernel_shape"].as_ints()
    return int(node.attributes["in_channels"].as_int() * height * width)


def _computed(*dtypes: str) -> Operand:
    return Operand(dtypes, constant=False)


def _fixed(*dtypes: str) -> Operand:
    return Operand(dtypes, constant=True)


_FLOAT, _FLOATS = _computed("float32"), _fixed("float32")
_INTEGER, _STREAM, _ANY = _computed("int8", "int16"), _computed("int32", "float32"), _computed("int8", "int16", "int32", "float32")
_PIXELS = (_computed("uint8", "int8", "int16"), _fixed("int16"))
_WINDOW = ("strides", "pads", "dilations", "group")
_REARRANGE = ("block", "strides", "offset", "size")
_TRANSPOSED = ("strides", "pads", "output_padding", "group", "to")


def _integer_sums(node: ir.Node, model: ir.Model) -> str:
    return _to(ir.DataType.FLOAT)(node, model) or _integer_weights(node, model)


Table = Mapping[tuple[str, str], Rule]

_L1: Table = {
    ("", "Conv"): Rule((_FLOAT, _FLOATS), ("kernel_shape", *_WINDOW), {"auto_pad": "NOTSET"}, check=_integer_weights),
    ("", "Gemm"): Rule((_FLOAT, _FLOATS), ("transB",), {"transA": 0, "alpha": 1.0, "beta": 1.0}, check=_integer_weights),
    ("", "BatchNormalization"): Rule((_FLOAT, *[_FLOATS] * 4), ("epsilon",), {"training_mode": 0}),
    ("", "MaxPool"): Rule(
        (_FLOAT,), ("kernel_shape", "strides", "pads", "dilations", "ceil_mode"), {"auto_pad": "NOTSET", "storage_order": 0}
    ),
    ("", "Add"): Rule((_FLOAT, _FLOAT)),
    ("", "Relu"): Rule((_FLOAT,)),
    ("", "Clip"): Rule((_FLOAT, _FLOATS, _FLOATS)),
    ("", "Flatten"): Rule((_FLOAT,), ("axis",)),
    ("", "Concat"): Rule((_FLOAT,), ("axis",), variadic=True),
    ("", "Sign"): Rule((_FLOAT,)),
    (DOMAIN, "SubtractZero"): Rule(_PIXELS, ("to",), check=_to(ir.DataType.FLOAT)),
    (DOMAIN, "Pad"): Rule((_FLOAT,), ("pads", "value")),
    (DOMAIN, "Scale"): Rule((_FLOAT, _FLOATS)),
    (DOMAIN, "Bias"): Rule((_FLOAT, _FLOATS)),
    (DOMAIN, "PRelu"): Rule((_FLOAT, _FLOATS)),
    (DOMAIN, "Sign"): Rule((_FLOAT,), ("to",), check=_to(ir.DataType.FLOAT)),
    (DOMAIN, "Quantize"): Rule((_FLOAT, _FLOATS), ("low", "high", "to"), check=_to(ir.DataType.FLOAT)),
    (DOMAIN, "SumPool"): Rule((_FLOAT,), ("to",), check=_to(ir.DataType.FLOAT)),
    (DOMAIN, "ConvTranspose"): Rule((_FLOAT, _FLOATS), _TRANSPOSED, check=_integer_sums),
    (DOMAIN, "ArgMax"): Rule((_FLOAT,), ("to",), check=_to(ir.DataType.FLOAT)),
    (DOMAIN, "Rearrange"): Rule((_FLOAT, _fixed("int32")), _REARRANGE),
    ("", "Unsqueeze"): Rule((_PIXELS[0], _fixed("int64"))),
    ("", "Squeeze"): Rule((_FLOAT, _fixed("int64"))),
    (DOMAIN, "FloatConv"): Rule((_FLOAT, _FLOATS), _WINDOW),
    (DOMAIN, "FloatDense"): Rule((_FLOAT, _FLOATS)),
}

_L2: Table = {
    **{("", name): _L1["", name] for name in ("Add", "Relu", "Clip", "MaxPool")},
    ("", "Flatten"): Rule((_ANY,), ("axis",)),
    ("", "Concat"): Rule((_ANY,), ("axis",), variadic=True),
    ("", "Cast"): Rule((_computed("int8", "int16", "int32"),), ("to",), {"saturate": 1}, check=_to(ir.DataType.FLOAT)),
    (DOMAIN, "SubtractZero"): Rule(_PIXELS, ("to",), check=_to(ir.DataType.INT16)),
    (DOMAIN, "Pad"): Rule((_INTEGER,), ("pads", "value")),
    (DOMAIN, "Conv"): Rule((_INTEGER, _fixed("int8")), _WINDOW),
    (DOMAIN, "BinaryConv"): Rule((_INTEGER, _fixed("uint8")), ("kernel_shape", "in_channels", *_WINDOW), check=_spare_bits(_conv_bits)),
    (DOMAIN, "Dense"): Rule((_INTEGER, _fixed("int8"))),
    (DOMAIN, "BinaryDense"): Rule(
        (_INTEGER, _fixed("uint8")), ("in_features",), check=_spare_bits(lambda node: node.attributes["in_features"].as_int())
    ),
    (DOMAIN, "Threshold"): Rule((_computed("int32"), _fixed("int32"))),
    (DOMAIN, "MultiThreshold"): Rule((_computed("int32"), _fixed("int32")), ("low",), check=_rising),
    (DOMAIN, "BipolarMaxPool"): Rule((_computed("int8"), _fixed("uint8")), ("kernel_shape", "strides", "pads")),
    (DOMAIN, "BatchNorm"): Rule((_STREAM, _FLOATS, _FLOATS)),
    (DOMAIN, "Scale"): Rule((_STREAM, _FLOATS)),
    (DOMAIN, "Bias"): Rule((_STREAM, _FLOATS)),
    (DOMAIN, "PRelu"): Rule((_FLOAT, _FLOATS)),
    (DOMAIN, "Sign"): Rule((_ANY,), ("to",), check=_to(ir.DataType.INT8)),
    (DOMAIN, "Quantize"): Rule((_STREAM, _FLOATS), ("low", "high", "to"), check=_quantize_to),
    (DOMAIN, "SumPool"): Rule((_INTEGER,), ("to",), check=_to(ir.DataType.INT32)),
    (DOMAIN, "ArgMax"): Rule((_STREAM,), ("to",), check=_to(ir.DataType.INT32)),
    (DOMAIN, "ConvTranspose"): Rule((_INTEGER, _fixed("int8")), _TRANSPOSED, check=_to(ir.DataType.INT32)),
    (DOMAIN, "Rearrange"): Rule((_ANY, _fixed("int32")), _REARRANGE),
    ("", "Unsqueeze"): _L1["", "Unsqueeze"],
    ("", "Squeeze"): Rule((_ANY, _fixed("int64"))),
    (DOMAIN, "FloatConv"): Rule((_ANY, _FLOATS), _WINDOW),
    (DOMAIN, "FloatDense"): Rule((_ANY, _FLOATS)),
    (DOMAIN, "FloatSumPool"): Rule((_FLOAT,)),
}

TABLES: Mapping[Level, Table] = {Level.L1: _L1, Level.L2: _L2}
