"""The numpy reference executor: a canonical or exact graph, node by node, through the operators' references."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, overload

import numpy as np
import onnx_ir as ir

from qnn_deploy.errors import QnnDeployError
from qnn_deploy.ir.levels import attributes_of, op_of, spec_of
from qnn_deploy.ops._base import Array

# Samples at a time: bounds the memory that unrolled windows take.
CHUNK = 16


def in_shape(samples: Array, shape: Sequence[int]) -> Array:
    """``samples`` [N, ...] as [N, *shape] where the two differ by sides of 1 at the end only; else as they are.

    A signal [C, L] is a map [C, L, 1], a vector [C] a map [C, 1, 1].
    """
    longest = max(samples.ndim - 1, len(shape))
    given, wanted = (tuple(sides) + (1,) * (longest - len(sides)) for sides in (samples.shape[1:], shape))
    return samples.reshape(len(samples), *shape) if given == wanted else samples


@overload
def run(model: ir.Model, x: Array, keep: Literal[False] = False) -> Array: ...


@overload
def run(model: ir.Model, x: Array, keep: Literal[True]) -> dict[str, Array]: ...


def run(model: ir.Model, x: Array, keep: bool = False) -> Array | dict[str, Array]:
    """Execute an L1 or L2 graph.

    Args:
        model: a graph with types recorded (`ir.levels.infer_types`).
        x: the graph input [N, ...] in its dtype.
        keep: return every value of the graph, not only the logits. Takes memory for all of them.

    Returns:
        The graph output, float32 [N, classes, ...]; with ``keep`` a mapping from value names (input and every node's output) to arrays.

    Raises:
        QnnDeployError: QD0104, x has another shape or dtype than the graph input.
        ExactnessError: a value left the range where its operator is exact.
    """
    source = model.graph.inputs[0]
    expected = spec_of(source)
    x = in_shape(x, expected.shape[1:])
    if x.dtype.name != expected.dtype or x.shape[1:] != expected.shape[1:]:
        raise QnnDeployError(
            "QD0104",
            f"the input is {x.dtype.name} {list(x.shape)}; the model takes {expected.dtype} [N, {', '.join(map(str, expected.shape[1:]))}]",
        )
    # An empty batch runs once too, so that its outputs have their shapes.
    starts = range(0, max(len(x), 1), CHUNK)
    parts = [_run_chunk(model, x[start : start + CHUNK], keep) for start in starts]
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return joined if keep else joined[_name(model.graph.outputs[0])]


def _run_chunk(model: ir.Model, x: Array, keep: bool) -> dict[str, Array]:
    graph = model.graph
    values: dict[str, Array] = {_name(graph.inputs[0]): x}
    last_use = {id(value): node for node in graph for value in node.inputs if value is not None}
    output = graph.outputs[0]
    for node in graph:
        inputs = [_array(value, values) for value in node.inputs if value is not None]
        values[_name(node.outputs[0])] = op_of(node).reference(inputs, attributes_of(node))
        if not keep:
            for value in node.inputs:
                if value is not None and last_use[id(value)] is node and value is not output:
                    values.pop(_name(value), None)
    return values if keep else {_name(output): values[_name(output)]}


def _array(value: ir.Value, values: dict[str, Array]) -> np.ndarray[Any, Any]:
    if value.const_value is not None:
        return value.const_value.numpy()
    return values[_name(value)]


def _name(value: ir.Value) -> str:
    assert value.name is not None
    return value.name
