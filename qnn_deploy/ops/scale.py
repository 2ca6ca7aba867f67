"""Scale: one binary32 multiplication."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qnn_deploy.ops._base import CHANNEL_SHAPE, DOMAIN, Array, Attributes, OpDef, Spec, per_channel, require


def infer(inputs: Sequence[Spec], attributes: Attributes) -> Spec:
    x, s = inputs
    require(x.dtype in ("int32", "float32"), f"the input is {x.dtype}, not int32 or float32")
    require(len(x.shape) >= 2, "the input has no channel axis")
    require(s.dtype == "float32" and s.shape in ((1,), (x.shape[1],)), f"s is {s.dtype} {list(s.shape)}, not float32 [1] or [{x.shape[1]}]")
    return Spec("float32", x.shape)


def reference(inputs: Sequence[Array], attributes: Attributes) -> Array:
    x, s = inputs
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(x.astype(np.float32) * per_channel(s, x.ndim))


BODY = f"""
        <domain: "qnn_deploy", opset_import: ["" : 20]>
        Scale (x, s) => (y) {{
            xf = Cast <to: int = 1> (x){CHANNEL_SHAPE}
            sr = Reshape (s, shape)
            y = Mul (xf, sr)
        }}"""

OP = OpDef(DOMAIN, "Scale", infer, reference, BODY, doc="float(x) * s[c], one binary32 multiplication; s has C elements or one.")
