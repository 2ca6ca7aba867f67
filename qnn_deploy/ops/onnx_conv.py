"""ONNX Conv on integer-valued floats (canonical level)."""

from __future__ import annotations

from collections.abc import Sequence

from qnn_deploy.ops._base import Array, Attributes, OpDef, Spec, checked_cast, require
from qnn_deploy.ops._window import convolve
from qnn_deploy.ops.conv import conv_shape


def infer(inputs: Sequence[Spec], attributes: Attributes) -> Spec:
    require(len(inputs) == 2, "it has a bias")
    x, w = inputs
    require(x.dtype == "float32", f"the input is {x.dtype}, not float32")
    require(w.dtype == "float32" and len(w.shape) == 4, f"the weights are {w.dtype} {list(w.shape)}, not float32 [O, I, kh, kw]")
    require(
        tuple(attributes["kernel_shape"]) == w.shape[2:],
        f"kernel_shape {list(attributes['kernel_shape'])} is not that of weights {list(w.shape)}",
    )
    return Spec("float32", conv_shape(x, w.shape[0], w.shape[1], w.shape[2:], attributes))


def reference(inputs: Sequence[Array], attributes: Attributes) -> Array:
    x, w = inputs
    return checked_cast(convolve(x, w, attributes), "float32")


OP = OpDef("", "Conv", infer, reference, doc="2-D convolution of integer-valued floats, sums within 2^24.")
