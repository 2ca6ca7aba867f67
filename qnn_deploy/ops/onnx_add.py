"""ONNX Add of two tensors of one shape."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qnn_deploy.ops._base import Array, Attributes, OpDef, Spec, require


def infer(inputs: Sequence[Spec], attributes: Attributes) -> Spec:
    x, y = inputs
    require(x.dtype == y.dtype == "float32", f"the inputs are {x.dtype} and {y.dtype}, not float32")
    require(x.shape[1:] == y.shape[1:], f"the inputs have the shapes {list(x.shape[1:])} and {list(y.shape[1:])}")
    return x


def reference(inputs: Sequence[Array], attributes: Attributes) -> Array:
    x, y = inputs
    with np.errstate(all="ignore"):
        return np.asarray(x + y)


OP = OpDef("", "Add", infer, reference, doc="x + y, one binary32 addition.")
