"""Threshold: from accumulators to +1 and -1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qnn_deploy.ops._base import CHANNEL_SHAPE, DOMAIN, Array, Attributes, OpDef, Spec, per_channel, require


def infer(inputs: Sequence[Spec], attributes: Attributes) -> Spec:
    acc, thr = inputs
    require(acc.dtype == "int32", f"the input is {acc.dtype}, not int32")
    require(len(acc.shape) >= 2, "the input has no channel axis")
    require(
        thr.dtype == "int32" and thr.shape == (acc.shape[1],), f"thresholds are {thr.dtype} {list(thr.shape)}, not int32 [{acc.shape[1]}]"
    )
    return Spec("int8", acc.shape)


def reference(inputs: Sequence[Array], attributes: Attributes) -> Array:
    acc, thr = inputs
    return np.where(acc >= per_channel(thr, acc.ndim), np.int8(1), np.int8(-1))


BODY = f"""
        <domain: "qnn_deploy", opset_import: ["" : 20]>
        Threshold (x, thr) => (y) {{{CHANNEL_SHAPE}
            t = Reshape (thr, shape)
            reached = GreaterOrEqual (x, t)
            plus = Constant <value: tensor = int32 {{1}}> ()
            minus = Constant <value: tensor = int32 {{-1}}> ()
            s = Where (reached, plus, minus)
            y = Cast <to: int = 3> (s)
        }}"""

OP = OpDef(DOMAIN, "Threshold", infer, reference, BODY, doc="+1 where the int32 accumulator >= thr[c], else -1, as int8.")
