"""Bias: one binary32 addition of a constant."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qnn_deploy.ops._base import CHANNEL_SHAPE, DOMAIN, Array, Attributes, OpDef, Spec, per_channel, require


def infer(inputs: Sequence[Spec], attributes: Attributes) -> Spec:
    x, b = inputs
    require(x.dtype in ("int32", "float32"), f"the input is {x.dtype}, not int32 or float32")
    require(len(x.shape) >= 2, "the input has no channel axis")
    require(b.dtype == "float32" and b.shape in ((1,), (x.shape[1],)), f"b is {b.dtype} {list(b.shape)}, not float32 [1] or [{x.shape[1]}]")
    return Spec("float32", x.shape)


def reference(inputs: Sequence[Array], attributes: Attributes) -> Array:
    x, b = inputs
    with np.errstate(over="ignore"):
        return np.asarray(x.astype(np.float32) + per_channel(b, x.ndim))


BODY = f"""
        <domain: "qnn_deploy", opset_import: ["" : 20]>
        Bias (x, b) => (y) {{
            xf = Cast <to: int = 1> (x){CHANNEL_SHAPE}
            br = Reshape (b, shape)
            y = Add (xf, br)
        }}"""

OP = OpDef(DOMAIN, "Bias", infer, reference, BODY, doc="float(x) + b[c], one binary32 addition; b has C elements or one.")
