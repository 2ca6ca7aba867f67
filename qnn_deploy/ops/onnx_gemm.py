"""ONNX Gemm on integer-valued floats (canonical level)."""

from __future__ import annotations

from collections.abc import Sequence

from qnn_deploy.ops._base import Array, Attributes, OpDef, Spec, checked_cast, require
from qnn_deploy.ops.dense import multiply


def infer(inputs: Sequence[Spec], attributes: Attributes) -> Spec:
    require(len(inputs) == 2, "it has a bias")
    x, w = inputs
    require(attributes["transB"] == 1, "transB is not 1")
    require(x.dtype == "float32" and len(x.shape) == 2, f"the input is {x.dtype} of {len(x.shape)} axes, not float32 [N, I]")
    require(w.dtype == "float32" and len(w.shape) == 2, f"the weights are {w.dtype} {list(w.shape)}, not float32 [O, I]")
    require(w.shape[1] == x.shape[1], f"the input has {x.shape[1]} features, the weights take {w.shape[1]}")
    return Spec("float32", (x.shape[0], w.shape[0]))


def reference(inputs: Sequence[Array], attributes: Attributes) -> Array:
    x, w = inputs
    return checked_cast(multiply(x, w), "float32")


OP = OpDef("", "Gemm", infer, reference, doc="x @ w.T of integer-valued floats, sums within 2^24.")
