"""What only moves values (slices, splits, shuffles, upsampling, pixel shuffles, in whatever operators it is written) becomes Rearrange.

The operators between two tensors are run on the numbers of the elements: where each came from says which Rearrange they are, if any.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from qnn_deploy.ir.edit import DOMAIN, add_initializer, attribute, constant, is_op, replace_node, replace_value, shape_of
from qnn_deploy.passes._importing import ImportPass
from qnn_deploy.passes.fold_constant_ops import evaluate

Array = NDArray[Any]
# A sequence of tensors, between SplitToSequence and SequenceAt.
Moved = Array | list[Array]

_FOLDED = ("Reshape", "Transpose", "Slice", "Squeeze", "Unsqueeze", "Expand", "Gather", "Identity", "Flatten")
_LARGEST_BLOCK = 16


def _split(node: ir.Node, inputs: list[Any]) -> Moved:
    x: Array
    x, axis = inputs[0], attribute(node, "axis", 0)
    sizes = np.ravel(inputs[1])
    ends = np.arange(sizes[0], x.shape[axis], sizes[0]) if np.ndim(inputs[1]) == 0 else np.cumsum(sizes)[:-1]
    return list(np.split(x, ends, axis))


def _resize(node: ir.Node, inputs: list[Any]) -> Moved:
    x: Array = inputs[0]
    shape = shape_of(node.outputs[0])
    sampling = attribute(node, "coordinate_transformation_mode", "half_pixel"), attribute(node, "nearest_mode", "round_prefer_floor")
    repeats = sampling in (("asymmetric", "floor"), ("half_pixel", "round_prefer_floor"), ("half_pixel", "round_prefer_ceil"))
    if attribute(node, "mode", "nearest") != "nearest" or not repeats or shape is None:
        raise NotImplementedError("only nearest neighbours move values")
    if any(after % before for before, after in zip(x.shape, shape, strict=True)):
        raise NotImplementedError("not by whole factors")
    for axis, (before, after) in enumerate(zip(x.shape, shape, strict=True)):
        x = np.repeat(x, after // before, axis)
    return x


def _depth_to_space(node: ir.Node, inputs: list[Any]) -> Moved:
    x: Array = inputs[0]
    size, (n, c, h, w) = attribute(node, "blocksize"), x.shape
    if attribute(node, "mode", "DCR") == "CRD":
        return x.reshape(n, c // size**2, size, size, h, w).transpose(0, 1, 4, 2, 5, 3).reshape(n, -1, h * size, w * size)
    return x.reshape(n, size, size, c // size**2, h, w).transpose(0, 3, 4, 1, 5, 2).reshape(n, -1, h * size, w * size)


def _space_to_depth(node: ir.Node, inputs: list[Any]) -> Moved:
    x: Array = inputs[0]
    size, (n, c, h, w) = attribute(node, "blocksize"), x.shape
    return x.reshape(n, c, h // size, size, w // size, size).transpose(0, 3, 5, 1, 2, 4).reshape(n, -1, h // size, w // size)


_MOVES: dict[str, Callable[[ir.Node, list[Any]], Moved]] = {
    "SplitToSequence": _split,
    "SequenceAt": lambda node, inputs: inputs[0][int(inputs[1])],
    "Resize": _resize,
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
    "Identity": lambda node, inputs: inputs[0],
    "Flatten": lambda node, inputs: inputs[0].reshape(int(np.prod(inputs[0].shape[: attribute(node, "axis", 1)])), -1),
}


def _moves(node: ir.Node | None) -> bool:
    return node is not None and is_op(node, *_FOLDED, *_MOVES) and constant(node.inputs[0]) is None


class NormaliseMovement(ImportPass):
    """Every tensor of 2, 3 or 4 axes that holds elements of another one in the order of a Rearrange -> Rearrange of that one."""

    def rewrite(self, model: ir.Model) -> bool:
        changed = False
        for node in list(model.graph):
            for value in node.outputs:
                if (_moves(node) and any(not _moves(user) for user, _ in value.uses())) or (_moves(node) and value.is_graph_output()):
                    changed |= self._rearrange(model.graph, value)
        return changed

    def _rearrange(self, graph: ir.Graph, end: ir.Value) -> bool:
        """Rearrange ``end`` from the farthest value before it from which it is one; then that value from another, and so on."""
        changed = False
        while _moves(end.producer()):
            for source in _sources(end):
                found = _fit(source, end)
                if found is not None:
                    break
            else:
                return changed
            node = end.producer()
            assert node is not None
            if found is not _SAME:
                index, attributes = found
                value = add_initializer(graph, f"{end.name}_index", index)
                replace_node(node, "Rearrange", [source, value], attributes, domain=DOMAIN, shape=shape_of(end))
                changed = True
            elif shape_of(source) == shape_of(end):
                replace_value(end, source)
                changed = True
            elif node.op_type != "Flatten":
                replace_node(node, "Flatten", [source], {"axis": 1})
                changed = True
            end = source
        return changed


def _sources(end: ir.Value) -> Iterator[ir.Value]:
    """The values that ``end`` was moved from, the farthest first, of 2 to 4 axes."""
    chain: list[ir.Value] = []
    value = end
    while _moves(value.producer()):
        value = value.producer().inputs[0]  # type: ignore[union-attr, assignment]
        if len(shape_of(value) or ()) in (2, 3, 4):
            chain.append(value)
    yield from reversed(chain)


def _numbers(value: ir.Value, source: ir.Value, known: dict[ir.Value, Any]) -> Any:
    """``value`` where the elements of ``source`` are their numbers.

    Raises:
        NotImplementedError: it depends on something else.
    """
    if value not in known:
        array, node = constant(value), value.producer()
        if array is not None:
            known[value] = array
        elif node is None or (value is not source and len(node.outputs) != 1):
            raise NotImplementedError("not moved from there")
        else:
            inputs = [_numbers(each, source, known) for each in node.inputs if each is not None and _wanted(node, each)]
            if node.op_type in _MOVES and node.domain == "":
                known[value] = _MOVES[node.op_type](node, inputs)
            elif node.op_type == "Shape" and node.domain == "":
                shape = inputs[0].shape
                known[value] = np.array(shape[attribute(node, "start", 0) : attribute(node, "end", len(shape))], np.int64)
            else:
                known[value] = evaluate(node, inputs)
    return known[value]


def _wanted(node: ir.Node, value: ir.Value) -> bool:
    """A Resize's scales and sizes are not: its output's shape says it all."""
    return node.op_type != "Resize" or value is node.inputs[0]


Found = tuple[NDArray[np.int32], dict[str, tuple[int, ...]]]
_SAME: Found = (np.zeros((0, 0), np.int32), {})


def _fit(source: ir.Value, end: ir.Value) -> Found | None:
    """(index, attributes) of the Rearrange of ``source`` that gives ``end``; `_SAME` where all elements are there in their order."""
    before, after = shape_of(source), shape_of(end)
    if before is None or after is None or before[0] != after[0]:
        return None
    count = int(np.prod(before[1:]))
    try:
        numbers = _numbers(end, source, {source: np.arange(before[0] * count).reshape(before)})
    except (NotImplementedError, ValueError, IndexError, TypeError):
        return None
    one = numbers[0]
    if numbers.shape != after or not all(np.array_equal(sample, one + i * count) for i, sample in enumerate(numbers)):
        return None
    if one.size == count and np.array_equal(one.reshape(-1), np.arange(count)) and (len(after) == 2 or after == before):
        return _SAME
    if len(before) != len(after) or len(after) not in (2, 3, 4):
        return None
    (channels, height, width), (_, rows, columns) = ((*shape[1:], 1, 1)[:3] for shape in (before, after))
    from_channel, from_row, from_column = np.unravel_index(one.reshape(-1, rows, columns), (channels, height, width))
    for block_h, stride_h, top in _candidates(height, rows, int(from_row.min())):
        for block_w, stride_w, left in _candidates(width, columns, int(from_column.min())):
            # The first block of the output gives the index; the rest must be what that index gives.
            y, z = np.arange(rows) + top, np.arange(columns) + left
            first_y = [int(np.flatnonzero(y % block_h == p)[0]) if (y % block_h == p).any() else -1 for p in range(block_h)]
            first_z = [int(np.flatnonzero(z % block_w == p)[0]) if (z % block_w == p).any() else -1 for p in range(block_w)]
            if min(first_y + first_z) < 0:
                continue
            tap_y, tap_z = from_row - (y // block_h * stride_h)[:, None], from_column - z // block_w * stride_w
            if min(tap_y.min(), tap_z.min()) < 0 or tap_y.max() >= stride_h or tap_z.max() >= stride_w:
                continue
            places = (tap_y * stride_w + tap_z) * channels + from_channel
            index = places[:, first_y][:, :, first_z].reshape(len(places), -1).T
            if np.array_equal(index[(y % block_h * block_w)[:, None] + z % block_w].transpose(2, 0, 1), places):
                attributes: dict[str, tuple[int, ...]] = {
                    "block": (block_h, block_w),
                    "strides": (stride_h, stride_w),
                    "offset": (top, left),
                    "size": (rows, columns),
                }
                return np.ascontiguousarray(index, np.int32), attributes
    return None


def _candidates(before: int, after: int, first: int) -> Iterator[tuple[int, int, int]]:
    """(block, stride, offset) along one axis: whole blocks first, then a slice."""
    for stride in range(1, _LARGEST_BLOCK + 1):
        block, rest = divmod(after * stride, before)
        if before % stride == 0 and rest == 0 and 1 <= block <= _LARGEST_BLOCK and (block == 1 or stride == 1):
            yield block, stride, 0
    for stride in range(1, _LARGEST_BLOCK + 1):
        if first // stride + after <= before // stride:
            yield 1, stride, first // stride
