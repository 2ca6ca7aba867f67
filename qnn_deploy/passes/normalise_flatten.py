"""Whatever reshapes [N, ...] to [N, features] becomes Flatten."""

from __future__ import annotations

import math

import onnx_ir as ir

from qnn_deploy.ir.edit import is_op, replace_node, replace_value, shape_of
from qnn_deploy.passes._importing import ImportPass

_RESHAPES = ("Reshape", "Squeeze", "Unsqueeze", "Flatten")


class NormaliseFlatten(ImportPass):
    """Reshapes, one or several in a row, that keep the batch and put everything else in one axis -> Flatten axis=1."""

    def rewrite(self, model: ir.Model) -> bool:
        changed = False
        for node in list(model.graph):
            if not is_op(node, *_RESHAPES):
                continue
            x = node.inputs[0]
            while x is not None and is_op(x.producer(), *_RESHAPES):
                x = x.producer().inputs[0]  # type: ignore[union-attr]
            before, after = shape_of(x), shape_of(node.outputs[0])
            # Row-major order and an equal first size: each sample keeps its own elements, whatever the batch.
            if x is not None and before and after and len(after) == 2 and after == (before[0], math.prod(before[1:])):
                if before == after:
                    replace_value(node.outputs[0], x)
                else:
                    replace_node(node, "Flatten", [x], {"axis": 1})
                changed = True
        return changed
