"""ONNX Flatten of all axes but the batch."""

from __future__ import annotations

import math
from collections.abc import Sequence

from qnn_deploy.ops._base import Array, Attributes, OpDef, Spec, require


def infer(inputs: Sequence[Spec], attributes: Attributes) -> Spec:
    (x,) = inputs
    require(attributes["axis"] == 1, f"axis is {attributes['axis']}, not 1")
    return Spec(x.dtype, (x.shape[0], math.prod(x.shape[1:])))


def reference(inputs: Sequence[Array], attributes: Attributes) -> Array:
    (x,) = inputs
    return x.reshape(x.shape[0], math.prod(x.shape[1:]))


OP = OpDef("", "Flatten", infer, reference, doc="[N, ...] -> [N, product of the others].")
