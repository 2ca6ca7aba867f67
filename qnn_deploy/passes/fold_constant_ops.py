"""Operators on constants are computed here, with the bits that torch would give: elementwise operations and rearrangements only.

Sums, means and products of matrices over floats are never folded (torch's order of summation is its own), nor is any function
whose result differs between libraries (sqrt, exp, tanh).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from qnn_deploy.ir.edit import DOMAIN, add_initializer, attribute, constant, replace_value, shape_of
from qnn_deploy.passes._importing import ImportPass

Array = NDArray[Any]
Fold = Callable[[ir.Node, Sequence[Array]], Array]


def _axes(node: ir.Node, inputs: Sequence[Array]) -> tuple[int, ...] | None:
    axes = inputs[1] if len(inputs) > 1 else attribute(node, "axes")
    return None if axes is None else tuple(int(axis) for axis in np.ravel(axes))


def _reduce(function: Callable[..., Array]) -> Fold:
    def fold(node: ir.Node, inputs: Sequence[Array]) -> Array:
        axes = _axes(node, inputs)
        if axes == () or (axes is None and attribute(node, "noop_with_empty_axes", 0)):
            return inputs[0]
        return np.asarray(function(inputs[0], axis=axes, keepdims=bool(attribute(node, "keepdims", 1))))

    return fold


def _reduce_sum(node: ir.Node, inputs: Sequence[Array]) -> Array:
    if inputs[0].dtype.kind == "f":
        raise NotImplementedError("sums over floats are not folded")
    return _reduce(np.sum)(node, inputs)


def _reshape(node: ir.Node, inputs: Sequence[Array]) -> Array:
    x, target = inputs
    shape = [int(size) for size in target]
    if not attribute(node, "allowzero", 0):
        shape = [x.shape[i] if size == 0 else size for i, size in enumerate(shape)]
    return x.reshape(shape)


def _squeeze(node: ir.Node, inputs: Sequence[Array]) -> Array:
    return np.squeeze(inputs[0], axis=_axes(node, inputs))


def _unsqueeze(node: ir.Node, inputs: Sequence[Array]) -> Array:
    axes = _axes(node, inputs)
    assert axes is not None
    return np.expand_dims(inputs[0], axes)


def _slice(node: ir.Node, inputs: Sequence[Array]) -> Array:
    x, starts, ends, *rest = inputs
    axes = rest[0] if rest else np.arange(len(starts))
    steps = rest[1] if len(rest) > 1 else np.ones(len(starts), np.int64)
    index = [slice(None)] * x.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        # Backwards, an end before the first element is none.
        index[int(axis)] = slice(int(start), None if step < 0 and end < -x.shape[int(axis)] else int(end), int(step))
    return x[tuple(index)]


def _clip(node: ir.Node, inputs: Sequence[Array]) -> Array:
    x, *limits = inputs
    for limit, beyond in zip(limits, (np.less, np.greater), strict=False):
        x = np.where(beyond(x, limit), limit, x)
    return x


def _divide(node: ir.Node, inputs: Sequence[Array]) -> Array:
    x, y = inputs
    if x.dtype.kind == "f":
        return np.asarray(x / y)
    if not y.all():
        raise NotImplementedError("integer division by zero")
    return np.asarray(np.trunc(x / y).astype(x.dtype) if np.any((x < 0) | (y < 0)) else x // y)


def _elementwise(function: Callable[..., Any]) -> Fold:
    return lambda node, inputs: np.asarray(function(*inputs))


def _sign_marker(node: ir.Node, inputs: Sequence[Array]) -> Array:
    return np.where(inputs[0] >= 0, np.float32(1), np.float32(-1))


def _quantize_marker(node: ir.Node, inputs: Sequence[Array]) -> Array:
    x, scale = inputs
    low, high = np.float32(attribute(node, "low")), np.float32(attribute(node, "high"))
    rounded = np.rint(x / scale)
    return np.where(rounded < low, low, np.where(rounded > high, high, rounded))


_FOLDS: dict[tuple[str, str], Fold] = {
    (DOMAIN, "sign"): _sign_marker,
    (DOMAIN, "quantize"): _quantize_marker,
    ("", "Cast"): lambda node, inputs: inputs[0].astype(ir.DataType(attribute(node, "to")).numpy()),
    ("", "Concat"): lambda node, inputs: np.concatenate(inputs, axis=attribute(node, "axis")),
    ("", "Expand"): lambda node, inputs: np.broadcast_to(inputs[0], np.broadcast_shapes(inputs[0].shape, tuple(inputs[1]))),
    ("", "Gather"): lambda node, inputs: np.take(inputs[0], inputs[1], axis=attribute(node, "axis", 0)),
    ("", "Transpose"): lambda node, inputs: np.transpose(inputs[0], attribute(node, "perm")),
    ("", "Reshape"): _reshape,
    ("", "Squeeze"): _squeeze,
    ("", "Unsqueeze"): _unsqueeze,
    ("", "Slice"): _slice,
    ("", "Clip"): _clip,
    ("", "Div"): _divide,
    ("", "ReduceMax"): _reduce(np.max),
    ("", "ReduceMin"): _reduce(np.min),
    ("", "ReduceSum"): _reduce_sum,
    ("", "Add"): _elementwise(np.add),
    ("", "Sub"): _elementwise(np.subtract),
    ("", "Mul"): _elementwise(np.multiply),
    ("", "Neg"): _elementwise(np.negative),
    ("", "Abs"): _elementwise(np.abs),
    ("", "Round"): _elementwise(np.rint),
    ("", "Floor"): _elementwise(np.floor),
    ("", "Ceil"): _elementwise(np.ceil),
    ("", "Sign"): _elementwise(np.sign),
    ("", "Relu"): _elementwise(lambda x: np.where(x < 0, np.zeros_like(x), x)),
    ("", "Max"): _elementwise(np.maximum),
    ("", "Min"): _elementwise(np.minimum),
    ("", "Where"): _elementwise(np.where),
    ("", "Equal"): _elementwise(np.equal),
    ("", "Greater"): _elementwise(np.greater),
    ("", "GreaterOrEqual"): _elementwise(np.greater_equal),
    ("", "Less"): _elementwise(np.less),
    ("", "LessOrEqual"): _elementwise(np.less_equal),
    ("", "Not"): _elementwise(np.logical_not),
    ("", "And"): _elementwise(np.logical_and),
    ("", "Or"): _elementwise(np.logical_or),
}


class FoldConstantOps(ImportPass):
    """Replace every operator of constants in the table by its value; Shape of a static tensor is a constant as well."""

    def rewrite(self, model: ir.Model) -> bool:
        changed = False
        for node in list(model.graph):
            array = _evaluate(node)
            if array is None:
                continue
            output = node.outputs[0]
            base = output.name or "folded"
            output.name = None
            replace_value(output, add_initializer(model.graph, base, array))
            model.graph.remove(node, safe=True)
            changed = True
        return changed


def evaluate(node: ir.Node, inputs: Sequence[Array]) -> Array:
    """The value of one operator of the table.

    Raises:
        NotImplementedError: it is not in the table, or not for these inputs.
    """
    fold = _FOLDS.get((node.domain, node.op_type))
    if fold is None or not inputs:
        raise NotImplementedError(f"{node.op_type} is not folded")
    with np.errstate(all="ignore"):
        return fold(node, inputs)


def _evaluate(node: ir.Node) -> Array | None:
    if len(node.outputs) != 1:
        return None
    if node.domain == "" and node.op_type in ("Shape", "Size"):
        shape = shape_of(node.inputs[0])
        if shape is None:
            return None
        if node.op_type == "Size":
            return np.array(int(np.prod(shape)), np.int64)
        return np.array(shape[attribute(node, "start", 0) : attribute(node, "end", len(shape))], np.int64)
    inputs = [constant(value) for value in node.inputs]
    if any(array is None for array in inputs):
        return None
    try:
        return evaluate(node, [array for array in inputs if array is not None])
    except NotImplementedError:
        return None
