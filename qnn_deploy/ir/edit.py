"""Edits of a graph: constants, nodes, fresh names and the way back to the user's source.

Provenance is kept in ``metadata_props``: `LAYER` is the module path ("layers.3"), `SOURCE` the line ("model.py:88 in forward").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from qnn_deploy.errors import QnnDeployError

DOMAIN = "qnn_deploy"
SOURCE = "qnn_deploy.source"
LAYER = "qnn_deploy.layer"
# Set on a sign or quantiser that was taken out of x + (q(x) - x), until that is proven to be the same.
STRAIGHT = "qnn_deploy.straight_through"
FLOAT = int(ir.DataType.FLOAT)

_REFUSED = "qnn_deploy.refused"


def fresh_name(graph: ir.Graph, base: str) -> str:
    """``base``, or ``base_1``, ``base_2``, ...: the first that no value of the graph carries."""
    name, count = base, 0
    while _taken(graph, name):
        count += 1
        name = f"{base}_{count}"
    return name


def _taken(graph: ir.Graph, name: str) -> bool:
    if name in graph.initializers or any(value.name == name for value in graph.inputs):
        return True
    return any(value.name == name for node in graph for value in node.outputs)


def add_initializer(graph: ir.Graph, base: str, array: NDArray[Any]) -> ir.Value:
    """Register ``array`` as an initializer under a fresh name and return its value."""
    name = fresh_name(graph, base)
    array = np.array(array, order="C")  # a copy: constants never share memory with what they were made of
    value = ir.Value(
        name=name,
        shape=ir.Shape(array.shape),
        type=ir.TensorType(ir.DataType.from_numpy(array.dtype)),
        const_value=ir.tensor(array, name=name),
    )
    graph.register_initializer(value)
    return value


def constant(value: ir.Value | None) -> NDArray[Any] | None:
    """The array of an initializer; None for any other value."""
    if value is None or value.const_value is None or not value.is_initializer():
        return None
    return np.asarray(value.const_value.numpy())


def constant_input(node: ir.Node, number: int) -> NDArray[Any]:
    """The array of an input that is known to be a constant."""
    value = node.inputs[number]
    assert value is not None and value.const_value is not None
    return value.const_value.numpy()


def shape_of(value: ir.Value | None) -> tuple[int, ...] | None:
    """The static shape of ``value``; None where it is unknown or symbolic."""
    if value is None or value.shape is None or not value.shape.is_static():
        return None
    return tuple(int(dim) for dim in value.shape.dims)  # type: ignore[arg-type]


def attribute(node: ir.Node, name: str, default: Any = None) -> Any:
    """The value of an attribute, ``default`` where it is absent; tuples for lists."""
    found = node.attributes.get(name)
    return default if found is None else found.value


def copy_provenance(source: ir.Node, target: ir.Node) -> None:
    """Let ``target`` carry the layer and source line of ``source`` where it has none of its own."""
    for key in (LAYER, SOURCE):
        if key in source.metadata_props:
            target.metadata_props.setdefault(key, source.metadata_props[key])


def is_op(node: ir.Node | None, *op_types: str, domain: str = "") -> bool:
    """True where ``node`` exists and is one of ``op_types`` of ``domain``."""
    return node is not None and node.domain == domain and node.op_type in op_types


def insert_after(
    node: ir.Node,
    op_type: str,
    inputs: Sequence[ir.Value | None],
    attributes: Mapping[str, Any],
    *,
    domain: str = "",
    shape: Sequence[int | ir.SymbolicDim] | None = None,
    dtype: ir.DataType | None = None,
    suffix: str = "",
    name: str | None = None,
) -> ir.Node:
    """A new node right after ``node``, with its provenance; one output.

    Args:
        shape, dtype: type of the output; those of ``node``'s output where they are None.
        suffix: appended to the output's name.
        name: the node's name and, made fresh, its output's; None leaves the node without one (before nodes are named).
    """
    graph = node.graph
    assert isinstance(graph, ir.Graph)
    like = node.outputs[0]
    output = ir.Value(
        name=fresh_name(graph, name or f"{like.name}{suffix or '_' + op_type.lower()}"),
        shape=ir.Shape(shape) if shape is not None else (like.shape.copy() if like.shape is not None else None),
        type=ir.TensorType(dtype if dtype is not None else like.dtype or ir.DataType.FLOAT),
    )
    new = ir.node(op_type, list(inputs), dict(attributes), domain=domain, outputs=[output], name=name)
    copy_provenance(node, new)
    graph.insert_after(node, [new])
    return new


def replace_node(
    node: ir.Node,
    op_type: str,
    inputs: Sequence[ir.Value | None],
    attributes: Mapping[str, Any],
    *,
    domain: str = "",
    shape: Sequence[int | ir.SymbolicDim] | None = None,
    dtype: ir.DataType | None = None,
) -> ir.Node:
    """Put another operator in the place of ``node`` (one output, same names and users) and return it."""
    new = insert_after(node, op_type, inputs, attributes, domain=domain, shape=shape, dtype=dtype, name=node.name)
    supersede(node, new)
    return new


def supersede(node: ir.Node, last: ir.Node) -> None:
    """Let ``last``, computed without ``node``'s output, take the name and users of ``node``'s first output, and remove ``node``."""
    replace_value(node.outputs[0], last.outputs[0])
    name = node.outputs[0].name
    _remove(node)
    last.outputs[0].name = name


def replace_value(old: ir.Value, new: ir.Value) -> None:
    """Let every user of ``old``, the graph's output included, read ``new``."""
    old.replace_all_uses_with(new, replace_graph_outputs=True)


def bypass(node: ir.Node) -> None:
    """Take out a node that passes its first input on unchanged. The input takes the node's place everywhere."""
    source = node.inputs[0]
    assert source is not None
    replace_value(node.outputs[0], source)
    _remove(node)


def remove_unused(graph: ir.Graph) -> bool:
    """Drop nodes that nothing reads, then initializers that nothing reads; True where anything went."""
    changed = False
    outputs = set(graph.outputs)
    for node in reversed(graph):
        if not any(value in outputs or value.uses() for value in node.outputs):
            _remove(node)
            changed = True
    for name, value in list(graph.initializers.items()):
        if not value.uses() and value not in outputs:
            del graph.initializers[name]
            changed = True
    return changed


def _remove(node: ir.Node) -> None:
    assert isinstance(node.graph, ir.Graph)
    node.graph.remove(node, safe=True)


def location(node: ir.Node) -> str:
    """Where a node comes from, for people: "layers.3 (model.py:88 in forward)"; outside modules the operator stands for the layer."""
    layer = node.metadata_props.get(LAYER) or node.op_type
    source = node.metadata_props.get(SOURCE)
    return f"{layer} ({source})" if source else layer


def refuse(node: ir.Node, code: str, message: str, help: str = "") -> QnnDeployError:
    """The finding that ``node`` cannot be deployed; the node is marked so that no later pass reports it again."""
    error = QnnDeployError(code, message, where=location(node), help=help)
    node.meta[_REFUSED] = error
    return error


def pass_over(node: ir.Node) -> None:
    """Mark a node as part of what another finding reports."""
    node.meta.setdefault(_REFUSED, None)


def is_refused(node: ir.Node) -> bool:
    """True for a node that a pass has reported or passed over."""
    return _REFUSED in node.meta


def in_graph_order(graph: ir.Graph, findings: list[QnnDeployError]) -> list[QnnDeployError]:
    """``findings`` in the order of the nodes that they are about; those about no node of the graph come last."""
    position = {id(node.meta.get(_REFUSED)): index for index, node in enumerate(graph)}
    return sorted(findings, key=lambda finding: position.get(id(finding), len(position)))
