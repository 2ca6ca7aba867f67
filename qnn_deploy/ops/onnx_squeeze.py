"""ONNX Squeeze of a map of one column to a signal [N, C, L]."""

from __future__ import annotations

from collections.abc import Sequence

from qnn_deploy.ops._base import Array, Attributes, OpDef, Spec, require


def infer(inputs: Sequence[Spec], attributes: Attributes) -> Spec:
    x, axes = inputs
    require(len(x.shape) == 4 and x.shape[3] == 1 and axes.shape == (1,), f"the input is {list(x.shape)}, not [N, C, L, 1]")
    return Spec(x.dtype, x.shape[:3])


def reference(inputs: Sequence[Array], attributes: Attributes) -> Array:
    return inputs[0][..., 0]


OP = OpDef("", "Squeeze", infer, reference, doc="[N, C, L, 1] -> [N, C, L].")
