"""ArgMax: the number of the channel with the largest value, of equal ones the first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qnn_deploy.ops._base import DOMAIN, Array, Attributes, OpDef, Spec, onnx_dtype, require


def infer(inputs: Sequence[Spec], attributes: Attributes) -> Spec:
    (x,) = inputs
    require(x.dtype in ("float32", "int32"), f"the input is {x.dtype}, not float32 or int32")
    require(len(x.shape) in (2, 3, 4), f"the input has {len(x.shape)} axes, not 2 to 4")
    return Spec(onnx_dtype(attributes["to"]), (x.shape[0], 1, *x.shape[2:]))


def reference(inputs: Sequence[Array], attributes: Attributes) -> Array:
    (x,) = inputs
    return np.expand_dims(np.argmax(x, axis=1), 1).astype(onnx_dtype(attributes["to"]))


BODY = """
        <domain: "qnn_deploy", opset_import: ["" : 20]>
        ArgMax <to> (x) => (y) {
            first = ArgMax <axis: int = 1, keepdims: int = 1, select_last_index: int = 0> (x)
            y = Cast <to: int = @to> (first)
        }"""

OP = OpDef(
    DOMAIN,
    "ArgMax",
    infer,
    reference,
    BODY,
    doc="Number of the channel with the largest value, of equal ones the first, [N, C, ...] -> [N, 1, ...]; to is the output type.",
)
