"""BipolarMaxPool: maximum, or minimum, of each window of a map of signs, ternary digits or other small integers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qnn_deploy.ops._base import DOMAIN, Array, Attributes, OpDef, Spec, per_channel, require
from qnn_deploy.ops._window import check_window, output_size, window_maximum


def infer(inputs: Sequence[Spec], attributes: Attributes) -> Spec:
    x, minimum = inputs
    check_window(attributes, ("kernel_shape", "strides", "pads"))
    require(x.dtype == "int8" and len(x.shape) == 4, f"the input is {x.dtype} of {len(x.shape)} axes, not int8 of 4")
    require(
        minimum.dtype == "uint8" and minimum.shape == (x.shape[1],),
        f"minimum is {minimum.dtype} {list(minimum.shape)}, not uint8 [{x.shape[1]}]",
    )
    kernel, pads = attributes["kernel_shape"], attributes["pads"]
    # Otherwise a window may hold padding only.
    require(all(pad < kernel[i % 2] for i, pad in enumerate(pads)), f"pads {list(pads)} reach past the kernel {list(kernel)}")
    return Spec("int8", (*x.shape[:2], *output_size((x.shape[2], x.shape[3]), kernel, attributes["strides"], pads)))


def reference(inputs: Sequence[Array], attributes: Attributes) -> Array:
    x, minimum = inputs
    kernel, strides = attributes["kernel_shape"], attributes["strides"]
    flip = per_channel(1 - 2 * minimum.astype(np.int16), 4)
    top, left, bottom, right = attributes["pads"]
    out = output_size((x.shape[2], x.shape[3]), kernel, strides, attributes["pads"])
    padded = np.pad(x * flip, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=np.int16(-129))  # below every value
    return (window_maximum(padded, kernel, strides, out) * flip).astype(np.int8)


# min(v) = -max(-v). In float, whose max-pool every runtime has.
BODY = """
        <domain: "qnn_deploy", opset_import: ["" : 20]>
        BipolarMaxPool <kernel_shape, strides, pads> (x, minimum) => (y) {
            xf = Cast <to: int = 1> (x)
            m = Cast <to: int = 1> (minimum)
            one = Constant <value: tensor = float {1.0}> ()
            two = Constant <value: tensor = float {2.0}> ()
            m2 = Mul (m, two)
            signs = Sub (one, m2)
            shape = Constant <value_ints: ints = [1, -1, 1, 1]> ()
            flip = Reshape (signs, shape)
            flipped = Mul (xf, flip)
            pooled = MaxPool <kernel_shape: ints = @kernel_shape, strides: ints = @strides, pads: ints = @pads> (flipped)
            back = Mul (pooled, flip)
            y = Cast <to: int = 3> (back)
        }"""

OP = OpDef(
    DOMAIN,
    "BipolarMaxPool",
    infer,
    reference,
    BODY,
    doc="Maximum of each window of an int8 map, or the minimum in channels where minimum[c] = 1; pads are left out.",
)
