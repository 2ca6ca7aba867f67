"""ONNX Concat along the channels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qnn_deploy.ops._base import Array, Attributes, OpDef, Spec, require


def infer(inputs: Sequence[Spec], attributes: Attributes) -> Spec:
    first = inputs[0]
    require(attributes["axis"] == 1, f"axis is {attributes['axis']}, not 1")
    require(len(first.shape) >= 2, "the inputs have no channel axis")
    for other in inputs[1:]:
        require(other.dtype == first.dtype, f"the inputs are of {first.dtype} and {other.dtype}")
        same = len(other.shape) == len(first.shape) and other.shape[2:] == first.shape[2:]
        require(same, f"the inputs have the shapes {list(first.shape[1:])} and {list(other.shape[1:])}")
    return Spec(first.dtype, (first.shape[0], sum(x.shape[1] for x in inputs), *first.shape[2:]))


def reference(inputs: Sequence[Array], attributes: Attributes) -> Array:
    return np.concatenate(inputs, axis=1)


OP = OpDef("", "Concat", infer, reference, doc="The inputs one after the other along the channels.")
