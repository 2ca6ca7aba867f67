"""PRelu: one binary32 multiplication where x is not above zero, as torch's CPU kernel does it.

ONNX's PRelu multiplies where x < 0 only; with a slope whose sign bit is set, zeros then come out with the other sign
(and so they do in ONNX Runtime). The body writes torch's formula out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qnn_deploy.ops._base import CHANNEL_SHAPE, DOMAIN, Array, Attributes, OpDef, Spec, per_channel, require


def infer(inputs: Sequence[Spec], attributes: Attributes) -> Spec:
    x, slope = inputs
    require(x.dtype == "float32", f"the input is {x.dtype}, not float32")
    require(len(x.shape) >= 2, "the input has no channel axis")
    require(
        slope.dtype == "float32" and slope.shape in ((1,), (x.shape[1],)),
        f"slope is {slope.dtype} {list(slope.shape)}, not float32 [1] or [{x.shape[1]}]",
    )
    return x


def reference(inputs: Sequence[Array], attributes: Attributes) -> Array:
    x, slope = inputs
    with np.errstate(all="ignore"):
        return np.where(x > 0, x, per_channel(slope, x.ndim) * x)


BODY = f"""
        <domain: "qnn_deploy", opset_import: ["" : 20]>
        PRelu (x, slope) => (y) {{{CHANNEL_SHAPE}
            sr = Reshape (slope, shape)
            product = Mul (sr, x)
            zero = Constant <value_float: float = 0.0> ()
            above = Greater (x, zero)
            y = Where (above, x, product)
        }}"""

OP = OpDef(
    DOMAIN,
    "PRelu",
    infer,
    reference,
    BODY,
    doc="x where x > 0, else slope[c] * x, one binary32 multiplication; slope has C elements or one. LeakyReLU is its constant form.",
)
