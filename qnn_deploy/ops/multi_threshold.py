"""MultiThreshold: from accumulators to few integer levels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qnn_deploy.ops._base import DOMAIN, Array, Attributes, OpDef, Spec, require


def infer(inputs: Sequence[Spec], attributes: Attributes) -> Spec:
    acc, thr = inputs
    low = attributes["low"]
    require(acc.dtype == "int32", f"the input is {acc.dtype}, not int32")
    require(len(acc.shape) >= 2, "the input has no channel axis")
    require(
        thr.dtype == "int32" and len(thr.shape) == 2 and thr.shape[1] == acc.shape[1] and thr.shape[0] >= 1,
        f"thresholds are {thr.dtype} {list(thr.shape)}, not int32 [T, {acc.shape[1]}]",
    )
    require(low >= -128 and low + thr.shape[0] <= 127, f"levels {low} to {low + thr.shape[0]} do not fit int8")
    return Spec("int8", acc.shape)


def reference(inputs: Sequence[Array], attributes: Attributes) -> Array:
    acc, thr = inputs
    shaped = thr.reshape(len(thr), 1, -1, *[1] * (acc.ndim - 2))
    return np.asarray(attributes["low"] + (acc >= shaped).sum(0)).astype(np.int8)


# The levels of x, one above the other on a new first axis. Sums of few ones are exact in float.
BODY = """
        <domain: "qnn_deploy", opset_import: ["" : 20]>
        MultiThreshold <low> (x, thr) => (y) {
            trailing = Shape <start: int = 2> (x)
            ones = Div (trailing, trailing)
            sizes = Shape (thr)
            zero = Constant <value_ints: ints = [0]> ()
            one = Constant <value_ints: ints = [1]> ()
            two = Constant <value_ints: ints = [2]> ()
            levels = Slice (sizes, zero, one)
            channels = Slice (sizes, one, two)
            shape = Concat <axis: int = 0> (levels, one, channels, ones)
            t = Reshape (thr, shape)
            stacked = Unsqueeze (x, zero)
            reached = GreaterOrEqual (stacked, t)
            counted = Cast <to: int = 1> (reached)
            count = ReduceSum <keepdims: int = 0> (counted, zero)
            low_i = Constant <value_int: int = @low> ()
            low_f = Cast <to: int = 1> (low_i)
            level = Add (count, low_f)
            y = Cast <to: int = 3> (level)
        }"""

OP = OpDef(
    DOMAIN,
    "MultiThreshold",
    infer,
    reference,
    BODY,
    doc="low + the number of i with acc >= thr[i, c], as int8; thresholds int32 [levels - 1, C], rising along the first axis.",
)
