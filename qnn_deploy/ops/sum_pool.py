"""SumPool: the sum of each channel over the map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qnn_deploy.ops._base import DOMAIN, Array, Attributes, ExactnessError, OpDef, Spec, checked_cast, onnx_dtype, require


def infer(inputs: Sequence[Spec], attributes: Attributes) -> Spec:
    (x,) = inputs
    require(x.dtype in ("float32", "int8", "int16"), f"the input is {x.dtype}, not float32, int8 or int16")
    require(len(x.shape) == 4, f"the input has {len(x.shape)} axes, not 4")
    return Spec(onnx_dtype(attributes["to"]), x.shape[:2])


def reference(inputs: Sequence[Array], attributes: Attributes) -> Array:
    (x,) = inputs
    if x.dtype.kind == "f" and not np.array_equal(x, np.rint(x)):
        raise ExactnessError("a reduction runs over a value that is not an integer")
    return checked_cast(x.astype(np.int64).sum(axis=(2, 3)), onnx_dtype(attributes["to"]))


BODY = """
        <domain: "qnn_deploy", opset_import: ["" : 20]>
        SumPool <to> (x) => (y) {
            xi = Cast <to: int = 7> (x)
            axes = Constant <value_ints: ints = [2, 3]> ()
            sum = ReduceSum <keepdims: int = 0, noop_with_empty_axes: int = 0> (xi, axes)
            y = Cast <to: int = @to> (sum)
        }"""

OP = OpDef(
    DOMAIN,
    "SumPool",
    infer,
    reference,
    BODY,
    doc="Sum of each channel over the map, [N, C, H, W] -> [N, C], over integers; the attribute to is the output type.",
)
