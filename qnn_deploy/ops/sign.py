"""Sign: to +1 and -1, with sign(0) = +1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qnn_deploy.ops._base import DOMAIN, Array, Attributes, OpDef, Spec, onnx_dtype, require


def infer(inputs: Sequence[Spec], attributes: Attributes) -> Spec:
    (x,) = inputs
    require(x.dtype in ("float32", "int32", "int16", "int8"), f"the input is {x.dtype}, which has no sign")
    return Spec(onnx_dtype(attributes["to"]), x.shape)


def reference(inputs: Sequence[Array], attributes: Attributes) -> Array:
    return np.where(inputs[0] >= 0, 1, -1).astype(onnx_dtype(attributes["to"]))


# Cast to float first: it keeps the sign of every integer and spares stock runtimes kernels of comparison for each type.
BODY = """
        <domain: "qnn_deploy", opset_import: ["" : 20]>
        Sign <to> (x) => (y) {
            xf = Cast <to: int = 1> (x)
            zero = Constant <value: tensor = float {0.0}> ()
            plus = Constant <value: tensor = float {1.0}> ()
            minus = Constant <value: tensor = float {-1.0}> ()
            positive = GreaterOrEqual (xf, zero)
            s = Where (positive, plus, minus)
            y = Cast <to: int = @to> (s)
        }"""

OP = OpDef(
    DOMAIN, "Sign", infer, reference, BODY, doc="+1 where x >= 0, else -1; sign(0) = sign(-0.0) = +1; the attribute to is the output type."
)
