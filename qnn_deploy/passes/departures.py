"""Departures: where the deployed network is, knowingly, not bit for bit what torch computes. Each is noted with its layer, none is silent.

torch sums rounded products where a scale was multiplied into the weights or the input of a reduction, and adds a bias somewhere inside
that sum. No two machines round such a sum alike. The artefacts compute the same function with the sum over integers and the factor or
the bias behind it: equal to one another in every bit, to torch up to rounding. `verify` counts what that changes.
"""

from __future__ import annotations

import dataclasses

import onnx_ir as ir

from qnn_deploy.ir.edit import LAYER, SOURCE

_KEY = "qnn_deploy.departures"


@dataclasses.dataclass(frozen=True)
class Departure:
    """One layer that claim 1 of the contract does not cover.

    Attributes:
        layer: module path or operator, with the source line.
        what: what torch computes there, and what the artefacts compute.
        remedy: the change of the model after which nothing departs.
    """

    layer: str
    what: str
    remedy: str


def depart(graph: ir.Graph, node: ir.Node, what: str, remedy: str) -> None:
    """Note that ``node`` departs from torch."""
    layer = node.metadata_props.get(LAYER) or node.name or node.op_type
    source = node.metadata_props.get(SOURCE)
    found = Departure(f"{layer} ({source})" if source else layer, what, remedy)
    noted: list[Departure] = graph.meta.setdefault(_KEY, [])
    if found not in noted:
        noted.append(found)


def departures_of(graph: ir.Graph) -> tuple[Departure, ...]:
    """What the passes so far have noted."""
    return tuple(graph.meta.get(_KEY, ()))
