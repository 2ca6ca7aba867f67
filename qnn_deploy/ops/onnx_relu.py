"""ONNX Relu."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qnn_deploy.ops._base import Array, Attributes, OpDef, Spec, require


def infer(inputs: Sequence[Spec], attributes: Attributes) -> Spec:
    (x,) = inputs
    require(x.dtype == "float32", f"the input is {x.dtype}, not float32")
    return x


def reference(inputs: Sequence[Array], attributes: Attributes) -> Array:
    (x,) = inputs
    # As torch: -0.0 stays -0.0, NaN stays NaN.
    return np.where(x < 0, np.float32(0), x)


OP = OpDef("", "Relu", infer, reference, doc="0 where x < 0, else x.")
