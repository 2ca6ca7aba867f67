"""Fusion: which nodes of the exact graph become one operator of the runtime.

A group is a convolution or dense layer with the elementwise nodes behind it, or a run of elementwise nodes, or a single other node.
Elementwise steps fuse while each value has one reader and the steps come in the runtime's fixed order; none is moved past another.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import onnx_ir as ir

from qnn_deploy.ir.program import IN_ORDER, NO_STEPS, Step

CONVOLUTIONS = ("Conv", "BinaryConv", "ConvTranspose", "Dense", "BinaryDense")
# What an elementwise operator may be in a stream.
STEPS = {
    "Scale": Step.SCALE,
    "BatchNorm": Step.BATCH_NORM,
    "Bias": Step.BIAS,
    "Add": Step.ADD,
    "Relu": Step.FIRST_RELU | Step.RELU,
    "Clip": Step.CLIP,
    "PRelu": Step.PRELU,
}
VIEWS = ("Flatten", "SubtractZero", "Pad", "Unsqueeze", "Squeeze")


@dataclasses.dataclass(frozen=True)
class Group:
    """Nodes that one operator computes, in order; ``position`` is the last one's place in the graph."""

    nodes: tuple[ir.Node, ...]
    position: int

    @property
    def head(self) -> ir.Node:
        return self.nodes[0]

    @property
    def tail(self) -> ir.Node:
        return self.nodes[-1]


def only_reader(value: ir.Value) -> ir.Node | None:
    """The node that reads ``value`` where there is exactly one and it is no graph output; else None."""
    uses = list(value.uses())
    return uses[0].node if len(uses) == 1 and not value.is_graph_output() else None


def steps_of(nodes: Sequence[ir.Node]) -> Step | None:
    """The steps that the elementwise ``nodes`` are, casts left out; None where the runtime's order is another one.

    A ReLU is the first one only where a step between its two places follows it: runtimes before format 1.3 know the other one alone.
    """
    steps, end = NO_STEPS, len(IN_ORDER)
    for node in reversed([node for node in nodes if node.op_type != "Cast"]):
        places = [place for place in range(end) if IN_ORDER[place] & STEPS[node.op_type]]
        if not places:
            return None
        end = places[-1]
        steps |= IN_ORDER[end]
    return steps


def group(graph: ir.Graph) -> list[Group]:
    """The groups of ``graph``, in an order in which each one's inputs are computed before it."""
    positions = {node: position for position, node in enumerate(graph)}
    taken: set[ir.Node] = set()
    groups = []
    for node in graph:
        if node in taken:
            continue
        nodes = [node]
        if node.op_type in CONVOLUTIONS:
            reader = only_reader(node.outputs[0])
            if reader is not None and reader.op_type in ("Threshold", "MultiThreshold"):
                nodes.append(reader)
            else:
                nodes += _steps(node, [], taken, adds=node.op_type != "ConvTranspose")
        elif node.op_type in STEPS or node.op_type == "Cast":
            nodes = _steps(node, [node], taken)
        taken.update(nodes)
        groups.append(Group(tuple(nodes), positions[nodes[-1]]))
    return sorted(groups, key=lambda g: g.position)


def _steps(node: ir.Node, found: list[ir.Node], taken: set[ir.Node], *, adds: bool = True) -> list[ir.Node]:
    """``found`` and the elementwise nodes that follow ``node``, each the only reader of the one before, in the runtime's order."""
    while (reader := only_reader(node.outputs[0])) is not None and reader not in taken:
        casts = reader.op_type == "Cast" and not found
        steps = reader.op_type in STEPS and (adds or reader.op_type != "Add") and steps_of([*found, reader]) is not None
        if not casts and not steps:
            break
        node, found = reader, [*found, reader]
    return found
