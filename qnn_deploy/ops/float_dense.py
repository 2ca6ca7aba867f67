"""FloatDense: a float island, product with a matrix in binary32 by one order of summation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qnn_deploy.ops._base import DOMAIN, Array, Attributes, OpDef, Spec, require
from qnn_deploy.ops.float_conv import INPUTS


def infer(inputs: Sequence[Spec], attributes: Attributes) -> Spec:
    x, w = inputs
    require(x.dtype in INPUTS and len(x.shape) == 2, f"the input is {x.dtype} {list(x.shape)}, not [N, I] of {', '.join(INPUTS)}")
    require(w.dtype == "float32" and len(w.shape) == 2, f"the weights are {w.dtype} {list(w.shape)}, not float32 [O, I]")
    require(w.shape[1] == x.shape[1], f"the input has {x.shape[1]} features, the weights take {w.shape[1]}")
    return Spec("float32", (x.shape[0], w.shape[0]))


def reference(inputs: Sequence[Array], attributes: Attributes) -> Array:
    x, w = inputs[0].astype(np.float32), inputs[1]
    sums = np.zeros((len(x), len(w)), np.float32)
    with np.errstate(all="ignore"):
        for i in range(w.shape[1]):
            sums = sums + x[:, i, None] * w[None, :, i]
    return sums


BODY = """
        <domain: "qnn_deploy", opset_import: ["" : 20]>
        FloatDense (x, w) => (y) {
            xf = Cast <to: int = 1> (x)
            columns = Transpose <perm: ints = [1, 0]> (w)
            batch = Shape <start: int = 0, end: int = 1> (x)
            outputs = Shape <start: int = 0, end: int = 1> (w)
            terms = Shape <start: int = 1, end: int = 2> (w)
            shape = Concat <axis: int = 0> (batch, outputs)
            nothing = Constant <value: tensor = float[1] {0.0}> ()
            sums0 = Expand (nothing, shape)
            one = Constant <value_ints: ints = [1]> ()
            count = Squeeze (terms)
            more = Constant <value: tensor = bool {1}> ()
            y = Loop (count, more, sums0) <body: graph = add_product (int64 k, bool go, float[] sum) => (bool go_on, float[] sum_out) {
                go_on = Identity (go)
                feature = Gather <axis: int = 1> (xf, k)
                value = Unsqueeze (feature, one)
                weight = Gather <axis: int = 0> (columns, k)
                product = Mul (value, weight)
                sum_out = Add (sum, product)
            }>
        }"""

OP = OpDef(
    DOMAIN,
    "FloatDense",
    infer,
    reference,
    BODY,
    doc="Float island: x @ w.T by float weights [O, I]. Each output is the sum from 0 over the inputs in order, of binary32 products "
    "rounded before they are added.",
)
