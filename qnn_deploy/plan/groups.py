"""Fusion: which nodes of the exact graph become one operator of the runtime.

A group is a convolution or dense layer with the elementwise nodes behind it, or a run of elementwise nodes, or a single other node.
Elementwise steps fuse while each value has one reader and the steps come in the runtime's fixed order.
"""

from __future__ import annotations

import dataclasses

import onnx_ir as ir

from qnn_deploy.ir.program import Step

CONVOLUTIONS = ("Conv", "BinaryConv", "ConvTranspose", "Dense", "BinaryDense")
STEPS = {
    "Scale": Step.SCALE,
    "BatchNorm": Step.BATCH_NORM,
    "Bias": Step.BIAS,
    "Add": Step.ADD,
    "Relu": Step.RELU,
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
                nodes += _steps(node, Step(0), taken, adds=node.op_type != "ConvTranspose")
        elif node.op_type in STEPS or node.op_type == "Cast":
            nodes += _steps(node, STEPS.get(node.op_type, Step(0)), taken)
        taken.update(nodes)
        groups.append(Group(tuple(nodes), positions[nodes[-1]]))
    return sorted(groups, key=lambda g: g.position)


def _steps(node: ir.Node, last: Step, taken: set[ir.Node], *, adds: bool = True) -> list[ir.Node]:
    """Elementwise nodes that follow ``node``, each the only reader of the one before, in the runtime's order."""
    found: list[ir.Node] = []
    while (reader := only_reader(node.outputs[0])) is not None and reader not in taken:
        if reader.op_type == "Cast" and not found and last == Step(0) and node.op_type != "Cast":
            found.append(reader)
        elif reader.op_type in STEPS and STEPS[reader.op_type] > last and (adds or reader.op_type != "Add"):
            last = STEPS[reader.op_type]
            found.append(reader)
        else:
            break
        node = reader
    return found
