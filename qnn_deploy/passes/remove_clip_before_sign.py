"""Hardtanh in front of a sign changes nothing in eval(): it is there for training's gradient."""

from __future__ import annotations

import onnx_ir as ir

from qnn_deploy.ir.edit import DOMAIN, constant, is_op
from qnn_deploy.passes._importing import ImportPass


class RemoveClipBeforeSign(ImportPass):
    """Sign(Clip(x, low, high)) -> Sign(x), where low < 0 <= high (for torch.sign, whose 0 counts: low < 0 < high)."""

    def rewrite(self, model: ir.Model) -> bool:
        changed = False
        for node in model.graph:
            if not (is_op(node, "Sign") or is_op(node, "Sign", domain=DOMAIN)):
                continue
            value = node.inputs[0]
            clip = value.producer() if value is not None else None
            while clip is not None and is_op(clip, "Clip") and len(clip.inputs) == 3:
                low, high = constant(clip.inputs[1]), constant(clip.inputs[2])
                if low is None or high is None or not (low < 0 and (high > 0 or (high == 0 and node.domain == DOMAIN))):
                    break
                node.replace_input_with(0, clip.inputs[0])
                changed = True
                clip = clip.inputs[0].producer() if clip.inputs[0] is not None else None
        return changed
