"""SubtractZero: pixels minus a zero point for each channel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qnn_deploy.ops._base import CHANNEL_SHAPE, DOMAIN, Array, Attributes, OpDef, Spec, checked_cast, onnx_dtype, per_channel, require


def infer(inputs: Sequence[Spec], attributes: Attributes) -> Spec:
    x, zero = inputs
    require(x.dtype in ("uint8", "int8", "int16"), f"the input is {x.dtype}, not uint8, int8 or int16")
    require(len(x.shape) >= 2, "the input has no channel axis")
    require(zero.dtype == "int16" and zero.shape == (x.shape[1],), f"zero is {zero.dtype} {list(zero.shape)}, not int16 [{x.shape[1]}]")
    return Spec(onnx_dtype(attributes["to"]), x.shape)


def reference(inputs: Sequence[Array], attributes: Attributes) -> Array:
    x, zero = inputs
    return checked_cast(x.astype(np.int64) - per_channel(zero.astype(np.int64), x.ndim), onnx_dtype(attributes["to"]))


BODY = f"""
        <domain: "qnn_deploy", opset_import: ["" : 20]>
        SubtractZero <to> (x, zero) => (y) {{
            xi = Cast <to: int = 6> (x)
            zi = Cast <to: int = 6> (zero){CHANNEL_SHAPE}
            z = Reshape (zi, shape)
            d = Sub (xi, z)
            y = Cast <to: int = @to> (d)
        }}"""

OP = OpDef(
    DOMAIN,
    "SubtractZero",
    infer,
    reference,
    BODY,
    doc="x - zero[c]: uint8, int8 or int16 minus an int16 zero point of each channel; the attribute to is the output type.",
)
