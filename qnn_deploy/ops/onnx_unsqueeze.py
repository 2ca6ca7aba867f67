"""ONNX Unsqueeze of a signal [N, C, L], a map of one column from there on."""

from __future__ import annotations

from collections.abc import Sequence

from qnn_deploy.ops._base import Array, Attributes, OpDef, Spec, require


def infer(inputs: Sequence[Spec], attributes: Attributes) -> Spec:
    x, axes = inputs
    require(len(x.shape) == 3 and axes.shape == (1,), f"the input has {len(x.shape)} axes, not 3")
    return Spec(x.dtype, (*x.shape, 1))


def reference(inputs: Sequence[Array], attributes: Attributes) -> Array:
    return inputs[0][..., None]


OP = OpDef("", "Unsqueeze", infer, reference, doc="[N, C, L] -> [N, C, L, 1].")
