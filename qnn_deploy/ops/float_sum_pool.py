"""FloatSumPool: a float island, the sum of each channel over the map in binary32 by one order of summation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qnn_deploy.ops._base import DOMAIN, Array, Attributes, OpDef, Spec, require


def infer(inputs: Sequence[Spec], attributes: Attributes) -> Spec:
    (x,) = inputs
    require(x.dtype == "float32" and len(x.shape) == 4, f"the input is {x.dtype} {list(x.shape)}, not float32 [N, C, H, W]")
    return Spec("float32", x.shape[:2])


def reference(inputs: Sequence[Array], attributes: Attributes) -> Array:
    (x,) = inputs
    pixels = x.reshape(*x.shape[:2], -1)
    sums = np.zeros(x.shape[:2], np.float32)
    with np.errstate(all="ignore"):
        for i in range(pixels.shape[2]):
            sums = sums + pixels[:, :, i]
    return sums


BODY = """
        <domain: "qnn_deploy", opset_import: ["" : 20]>
        FloatSumPool (x) => (y) {
            rows = Constant <value_ints: ints = [0, 0, -1]> ()
            pixels = Reshape (x, rows)
            shape = Shape <start: int = 0, end: int = 2> (x)
            terms = Shape <start: int = 2, end: int = 3> (pixels)
            nothing = Constant <value: tensor = float[1] {0.0}> ()
            sums0 = Expand (nothing, shape)
            count = Squeeze (terms)
            more = Constant <value: tensor = bool {1}> ()
            y = Loop (count, more, sums0) <body: graph = add_pixel (int64 k, bool go, float[] sum) => (bool go_on, float[] sum_out) {
                go_on = Identity (go)
                pixel = Gather <axis: int = 2> (pixels, k)
                sum_out = Add (sum, pixel)
            }>
        }"""

OP = OpDef(
    DOMAIN,
    "FloatSumPool",
    infer,
    reference,
    BODY,
    doc="Float island: sum of each channel over the map, [N, C, H, W] -> [N, C], from 0 over its pixels in row-major order, in binary32.",
)
