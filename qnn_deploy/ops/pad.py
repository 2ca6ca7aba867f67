"""Pad: a map with margins of one integer value, such as the +1 or -1 that a bipolar map needs to stay bipolar."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qnn_deploy.ops._base import DOMAIN, Array, Attributes, OpDef, Spec, require


def infer(inputs: Sequence[Spec], attributes: Attributes) -> Spec:
    (x,) = inputs
    pads, value = list(attributes["pads"]), attributes["value"]
    axes = len(x.shape) - 2
    require(x.dtype in ("float32", "int8", "int16"), f"the input is {x.dtype}, not float32, int8 or int16")
    require(axes >= 1 and len(pads) == 2 * axes and min(pads) >= 0, f"pads = {pads} are not those of a map of shape {list(x.shape)}")
    if x.dtype != "float32":
        require(np.iinfo(x.dtype).min <= value <= np.iinfo(x.dtype).max, f"{value} does not fit {x.dtype}")
    sides = (size + before + after for size, before, after in zip(x.shape[2:], pads[:axes], pads[axes:], strict=True))
    return Spec(x.dtype, (*x.shape[:2], *sides))


def reference(inputs: Sequence[Array], attributes: Attributes) -> Array:
    (x,) = inputs
    pads, axes = attributes["pads"], x.ndim - 2
    margins = [(0, 0), (0, 0), *zip(pads[:axes], pads[axes:], strict=True)]
    return np.pad(x, margins, constant_values=attributes["value"])


# In float, which every runtime can pad.
BODY = """
        <domain: "qnn_deploy", opset_import: ["" : 20]>
        Pad <pads, value> (x) => (y) {
            xf = Cast <to: int = 1> (x)
            margins = Constant <value_ints: ints = @pads> ()
            integer = Constant <value_int: int = @value> ()
            fill = Cast <to: int = 1> (integer)
            shape = Shape (x)
            rank = Size (shape)
            first = Constant <value_int: int = 2> ()
            step = Constant <value_int: int = 1> ()
            axes = Range (first, rank, step)
            padded = Pad (xf, margins, fill, axes)
            y = CastLike (padded, x)
        }"""

OP = OpDef(
    DOMAIN,
    "Pad",
    infer,
    reference,
    BODY,
    doc="Margins of one integer value around a map; pads: before each axis (top, left), then behind each (bottom, right).",
)
