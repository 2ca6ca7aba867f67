"""The proof that `ResolveStraightThrough` owes: x stays in the range in which x + (q(x) - x) is q(x) in every bit."""

from __future__ import annotations

import onnx_ir as ir

from qnn_deploy.ir.edit import STRAIGHT
from qnn_deploy.ir.levels import Level
from qnn_deploy.passes._base import LevelPass
from qnn_deploy.passes.departures import depart
from qnn_deploy.passes.magnitudes import magnitudes
from qnn_deploy.passes.resolve_straight_through import REMEDY, ROUNDS

_LARGEST = 2**24


class ProveStraightThrough(LevelPass):
    """For each sign or quantiser taken out of a straight-through trick: its argument is at most 2^24, or a departure is noted."""

    reads = Level.L1
    writes = Level.L1

    def rewrite(self, model: ir.Model) -> bool:
        marked = [node for node in model.graph if STRAIGHT in node.metadata_props]
        bounds = magnitudes(model.graph) if marked else {}
        for node in marked:
            del node.metadata_props[STRAIGHT]
            x = node.inputs[0]
            assert x is not None
            scale = 1.0
            if node.op_type == "Quantize":
                assert node.inputs[1] is not None and node.inputs[1].const_value is not None
                scale = float(node.inputs[1].const_value.numpy().reshape(()))
            largest = bounds.get(x, float("inf")) / scale
            if largest > _LARGEST:
                depart(model.graph, node, f"{ROUNDS} (x may reach {largest:.2g}, over 2^24)", REMEDY)
        return bool(marked)
