"""ONNX Clip to a constant range."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qnn_deploy.ops._base import Array, Attributes, OpDef, Spec, require


def infer(inputs: Sequence[Spec], attributes: Attributes) -> Spec:
    require(len(inputs) == 3, "a limit is left out")
    x, low, high = inputs
    require(x.dtype == low.dtype == high.dtype == "float32", f"the inputs are {x.dtype}, {low.dtype} and {high.dtype}, not float32")
    require(low.shape == high.shape == (), f"the limits have the shapes {list(low.shape)} and {list(high.shape)}, not that of a scalar")
    return x


def reference(inputs: Sequence[Array], attributes: Attributes) -> Array:
    x, low, high = inputs
    return np.where(x < low, low, np.where(x > high, high, x))


OP = OpDef("", "Clip", infer, reference, doc="low where x < low, high where x > high, else x.")
