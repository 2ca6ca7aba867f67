"""ONNX MaxPool on floats."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qnn_deploy.ops._base import Array, Attributes, OpDef, Spec, require
from qnn_deploy.ops._window import check_window, output_size, window_maximum


def infer(inputs: Sequence[Spec], attributes: Attributes) -> Spec:
    (x,) = inputs
    check_window(attributes, ("kernel_shape", "strides", "pads", "dilations"))
    require(x.dtype == "float32" and len(x.shape) == 4, f"the input is {x.dtype} of {len(x.shape)} axes, not float32 of 4")
    kernel, pads, dilations = attributes["kernel_shape"], attributes["pads"], attributes["dilations"]
    # Otherwise a window may hold padding only, whose maximum is -infinity.
    require(all(pad < kernel[i % 2] for i, pad in enumerate(pads)), f"pads {list(pads)} reach past the kernel {list(kernel)}")
    size = output_size((x.shape[2], x.shape[3]), kernel, attributes["strides"], pads, dilations, bool(attributes["ceil_mode"]))
    return Spec("float32", (*x.shape[:2], *size))


def reference(inputs: Sequence[Array], attributes: Attributes) -> Array:
    (x,) = inputs
    kernel, strides, dilations = attributes["kernel_shape"], attributes["strides"], attributes["dilations"]
    top, left, bottom, right = attributes["pads"]
    out = output_size((x.shape[2], x.shape[3]), kernel, strides, attributes["pads"], dilations, bool(attributes["ceil_mode"]))
    # With ceil_mode the last window may reach past the padding: pad for it as well.
    reach = [(out[i] - 1) * strides[i] + dilations[i] * (kernel[i] - 1) + 1 for i in range(2)]
    bottom, right = max(bottom, reach[0] - top - x.shape[2]), max(right, reach[1] - left - x.shape[3])
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=np.float32(-np.inf))
    return window_maximum(padded, kernel, strides, out, dilations)


OP = OpDef("", "MaxPool", infer, reference, doc="Maximum of each window of a float map.")
