"""torch.sign has three values. Where its argument provably never is zero it is our sign; elsewhere the model is refused."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from qnn_deploy.errors import UserError
from qnn_deploy.ir.edit import DOMAIN, location, replace_node
from qnn_deploy.ir.levels import Level
from qnn_deploy.passes._base import LevelPass
from qnn_deploy.passes.ranges import Ranges, analyse
from qnn_deploy.passes.scan import evaluate

ELEMENTWISE = ("BatchNormalization", "BatchNorm", "Scale", "Bias", "Relu", "PRelu", "Clip", "MaxPool", "Cast")
_HELP = "torch.sign(0) is 0, a third value: use qnn_deploy.nn.functional.sign or torch.where(x >= 0, 1.0, -1.0)"


def chain_to(value: ir.Value) -> tuple[ir.Value, list[ir.Node]]:
    """The elementwise nodes (and max-pools) that lead to ``value``, first to last, and the value before them; each has one reader."""
    chain: list[ir.Node] = []
    node = value.producer()
    while (
        node is not None
        and node.op_type in ELEMENTWISE
        and len(list(node.outputs[0].uses())) == 1
        and not node.outputs[0].is_graph_output()
    ):
        chain.insert(0, node)
        value = node.inputs[0]  # type: ignore[assignment]
        node = value.producer()
    return value, chain


class ProveSigns(LevelPass):
    """Replace each ONNX Sign whose argument is nonzero at every attainable accumulator."""

    reads = Level.L1
    writes = Level.L1

    def rewrite(self, model: ir.Model) -> bool:
        signs = [node for node in model.graph if node.domain == "" and node.op_type == "Sign"]
        ranges = analyse(model.graph) if signs else {}
        for node in signs:
            if self._nonzero(node, ranges):
                to = int(ir.DataType.FLOAT)
                replace_node(node, "Sign", [node.inputs[0]], {"to": to}, domain=DOMAIN, dtype=ir.DataType.FLOAT)
                # Later signs may stand on this one.
                ranges = analyse(model.graph)
        return bool(signs)

    def _nonzero(self, node: ir.Node, ranges: Ranges) -> bool:
        value, chain = chain_to(node.inputs[0])  # type: ignore[arg-type]
        span = ranges.get(value)
        if span is None:
            self.fail(UserError("QD0306", "torch.sign of a real-valued stream may be 0", where=location(node), help=_HELP))
            return False
        rank = len(value.shape)  # type: ignore[arg-type]
        for begin in range(int(span.low.min()), int(span.high.max()) + 1, 4096):
            grid = np.arange(begin, min(begin + 4096, int(span.high.max()) + 1))
            x = np.broadcast_to(grid[:, None], (len(grid), len(span.low)))
            zero = evaluate(chain, x.astype(np.float32), rank) == 0
            zero &= (x >= span.low) & (x <= span.high) & ((x - span.low) % span.step == 0)
            if zero.any():
                row, channel = (int(i) for i in np.argwhere(zero)[0])
                self.fail(
                    UserError(
                        "QD0306", f"torch.sign is 0 in channel {channel} at accumulator {grid[row]}", where=location(node), help=_HELP
                    )
                )
                return False
        return True
