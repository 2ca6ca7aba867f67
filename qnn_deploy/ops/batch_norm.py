"""BatchNorm: one fused multiply-add, as torch's CPU kernel does it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qnn_deploy.ops._base import CHANNEL_SHAPE, DOMAIN, Array, Attributes, OpDef, Spec, per_channel, require
from qnn_deploy.ops._fma import FMA_BODY, fma


def fold_batchnorm(gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float) -> tuple[Array, Array]:
    """(a, b) such that torch's eval BatchNorm on a CPU is ``fma(x, a, b)``; all float32 [C].

    ``a = 1 / sqrt(var + epsilon) * gamma``, each step rounded to binary32, and ``b = fma(-mean, a, beta)``.
    """
    with np.errstate(all="ignore"):
        invstd = np.float32(1) / np.sqrt(var + np.float32(epsilon))
        a = np.asarray(invstd * gamma)
    return a, fma(-mean, a, beta)


def infer(inputs: Sequence[Spec], attributes: Attributes) -> Spec:
    x, a, b = inputs
    require(x.dtype in ("int32", "float32"), f"the input is {x.dtype}, not int32 or float32")
    require(len(x.shape) >= 2, "the input has no channel axis")
    for name, spec in (("a", a), ("b", b)):
        require(
            spec.dtype == "float32" and spec.shape == (x.shape[1],),
            f"{name} is {spec.dtype} {list(spec.shape)}, not float32 [{x.shape[1]}]",
        )
    return Spec("float32", x.shape)


def reference(inputs: Sequence[Array], attributes: Attributes) -> Array:
    x, a, b = inputs
    return fma(x.astype(np.float32), per_channel(a, x.ndim), per_channel(b, x.ndim))


BODY = f"""
        <domain: "qnn_deploy", opset_import: ["" : 20]>
        BatchNorm (x, a, b) => (y) {{{CHANNEL_SHAPE}
            xf = Cast <to: int = 1> (x)
            af = Reshape (a, shape)
            bf = Reshape (b, shape){FMA_BODY}
        }}"""

OP = OpDef(DOMAIN, "BatchNorm", infer, reference, BODY, doc="fma(float(x), a[c], b[c]) in binary32, rounded once.")
