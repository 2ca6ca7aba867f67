"""Dense: product of integers and an int8 matrix."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qnn_deploy.ops._base import DOMAIN, Array, Attributes, Cost, OpDef, Spec, checked_cast, require
from qnn_deploy.ops._window import exact_dtype


def multiply(x: Array, w: Array) -> Array:
    """Exact ``x @ w.T`` of integer-valued x [N, I] and w [O, I]: integer-valued float32 or float64 [N, O].

    Raises:
        ExactnessError: see `exact_dtype`.
    """
    dtype = exact_dtype(x, w)
    return np.asarray(x.astype(dtype) @ w.astype(dtype).T)


def infer(inputs: Sequence[Spec], attributes: Attributes) -> Spec:
    x, w = inputs
    require(x.dtype in ("int8", "int16"), f"the input is {x.dtype}, not int8 or int16")
    require(len(x.shape) == 2, f"the input has {len(x.shape)} axes, not 2")
    require(w.dtype == "int8" and len(w.shape) == 2, f"the weights are {w.dtype} {list(w.shape)}, not int8 [O, I]")
    require(w.shape[1] == x.shape[1], f"the input has {x.shape[1]} features, the weights take {w.shape[1]}")
    return Spec("int32", (x.shape[0], w.shape[0]))


def reference(inputs: Sequence[Array], attributes: Attributes) -> Array:
    x, w = inputs
    return checked_cast(multiply(x, w), "int32")


def cost(inputs: Sequence[Spec], attributes: Attributes) -> Cost:
    _, w = inputs
    return Cost(int8_macs=w.shape[0] * w.shape[1])


# In double, which is exact for every int32 sum.
BODY = """
        <domain: "qnn_deploy", opset_import: ["" : 20]>
        Dense (x, w) => (y) {
            xd = Cast <to: int = 11> (x)
            wd = Cast <to: int = 11> (w)
            wt = Transpose <perm: ints = [1, 0]> (wd)
            sum = MatMul (xd, wt)
            y = Cast <to: int = 6> (sum)
        }"""

OP = OpDef(DOMAIN, "Dense", infer, reference, BODY, cost, doc="x @ w.T of int8 or int16 x [N, I] and int8 w [O, I], int32 sums.")
