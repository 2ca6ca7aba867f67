"""ONNX Sign, where sign(0) = 0 (canonical level; only from a stranger's torch.sign)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qnn_deploy.ops._base import Array, Attributes, OpDef, Spec, require


def infer(inputs: Sequence[Spec], attributes: Attributes) -> Spec:
    (x,) = inputs
    require(x.dtype == "float32", f"the input is {x.dtype}, not float32")
    return x


def reference(inputs: Sequence[Array], attributes: Attributes) -> Array:
    return np.sign(inputs[0])


OP = OpDef("", "Sign", infer, reference, doc="+1, 0 or -1.")
