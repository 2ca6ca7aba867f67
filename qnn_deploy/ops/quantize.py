"""Quantize: to integers of a range, half to even."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qnn_deploy.ops._base import DOMAIN, Array, Attributes, OpDef, Spec, onnx_dtype, require


def infer(inputs: Sequence[Spec], attributes: Attributes) -> Spec:
    x, scale = inputs
    low, high, to = attributes["low"], attributes["high"], onnx_dtype(attributes["to"])
    require(x.dtype in ("int32", "float32"), f"the input is {x.dtype}, not int32 or float32")
    require(scale.dtype == "float32" and scale.shape == (1,), f"scale is {scale.dtype} {list(scale.shape)}, not float32 [1]")
    require(low <= high, f"the range [{low}, {high}] is empty")
    if to == "float32":
        require(low >= -(2**24) and high <= 2**24, f"the range [{low}, {high}] leaves the integers of float32")
    else:
        require(np.iinfo(to).min <= low and high <= np.iinfo(to).max, f"the range [{low}, {high}] does not fit {to}")
    return Spec(to, x.shape)


def reference(inputs: Sequence[Array], attributes: Attributes) -> Array:
    x, scale = inputs
    low, high = np.float32(attributes["low"]), np.float32(attributes["high"])
    with np.errstate(all="ignore"):
        rounded = np.rint(x.astype(np.float32) / scale)
    # In this order NaN gives low.
    above = np.where(rounded >= low, rounded, low)
    # Integers have one zero: -0.0 does not survive, even where the output is float.
    return np.where(above < high, above, high).astype(np.int32).astype(onnx_dtype(attributes["to"]))


BODY = """
        <domain: "qnn_deploy", opset_import: ["" : 20]>
        Quantize <low, high, to> (x, scale) => (y) {
            xf = Cast <to: int = 1> (x)
            ratio = Div (xf, scale)
            rounded = Round (ratio)
            low_i = Constant <value_int: int = @low> ()
            high_i = Constant <value_int: int = @high> ()
            low_f = Cast <to: int = 1> (low_i)
            high_f = Cast <to: int = 1> (high_i)
            is_above = GreaterOrEqual (rounded, low_f)
            above = Where (is_above, rounded, low_f)
            is_below = Less (above, high_f)
            inside = Where (is_below, above, high_f)
            integer = Cast <to: int = 6> (inside)
            y = Cast <to: int = @to> (integer)
        }"""

OP = OpDef(
    DOMAIN,
    "Quantize",
    infer,
    reference,
    BODY,
    doc="clamp(round_half_even(float(x) / scale), low, high), division in binary32, NaN gives low; the attribute to is the output type.",
)
