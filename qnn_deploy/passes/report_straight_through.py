"""Straight-through tricks written as arithmetic are named: in binary32, x + (q(x) - x) is not q(x)."""

from __future__ import annotations

import onnx_ir as ir

from qnn_deploy.ir.edit import constant, pass_over, refuse
from qnn_deploy.ir.match import Bind, Match, Op, match
from qnn_deploy.passes._importing import ImportPass

_TRICK = Op("Add", Bind("x"), Op("Sub", Bind("q"), Bind("x")), commutes=True)


class ReportStraightThrough(ImportPass):
    """Refuse ``x + (q - x)`` of computed tensors (with or without detach, in either order)."""

    def rewrite(self, model: ir.Model) -> bool:
        for node in list(model.graph):
            if len(node.outputs) != 1:
                continue
            found = match(_TRICK, node.outputs[0])
            if isinstance(found, Match) and constant(found.values["x"]) is None:
                self.fail(
                    refuse(
                        node,
                        "QD0301",
                        "a straight-through trick, x + (q(x) - x): the subtraction rounds, so the sum is not always q(x)",
                        "in eval() return q(x) itself: qnn_deploy.nn.functional.sign or quantize, or a torch.autograd.Function",
                    )
                )
                pass_over(found.nodes[1])
        return False
