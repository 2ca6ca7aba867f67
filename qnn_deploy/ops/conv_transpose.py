"""ConvTranspose: the transposed convolution of integers, each input pixel spread by the kernel over the output."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qnn_deploy.ops._base import DOMAIN, Array, Attributes, Cost, OpDef, Spec, checked_cast, onnx_dtype, require
from qnn_deploy.ops._window import check_window, correlate, exact_dtype


def infer(inputs: Sequence[Spec], attributes: Attributes) -> Spec:
    x, w = inputs
    check_window(attributes, ("strides", "pads"))
    strides, pads, more, group = (attributes[name] for name in ("strides", "pads", "output_padding", "group"))
    require(
        len(more) == 2 and all(0 <= m < s for m, s in zip(more, strides, strict=True)), f"output_padding = {list(more)}, strides {strides}"
    )
    require(x.dtype in ("float32", "int8", "int16") and len(x.shape) == 4, f"the input is {x.dtype} of {len(x.shape)} axes")
    require(w.dtype in ("float32", "int8") and len(w.shape) == 4, f"the weights are {w.dtype} {list(w.shape)}, not [O, I, kh, kw]")
    require(group >= 1 and w.shape[0] % group == 0, f"{w.shape[0]} output channels do not divide into {group} groups")
    require(w.shape[1] * group == x.shape[1], f"the input has {x.shape[1]} channels, the weights take {w.shape[1]} in {group} groups")
    size = [(x.shape[2 + i] - 1) * strides[i] + w.shape[2 + i] - pads[i] - pads[i + 2] + more[i] for i in range(2)]
    require(min(size) >= 1, f"the padding {list(pads)} leaves nothing of the map")
    return Spec(onnx_dtype(attributes["to"]), (x.shape[0], w.shape[0], *size))


def reference(inputs: Sequence[Array], attributes: Attributes) -> Array:
    """The convolution, by the kernel turned round, of the map with zeros between its pixels."""
    x, w = inputs
    return checked_cast(spread(x, w, attributes, exact_dtype(x, w)), onnx_dtype(attributes["to"]))


def spread(x: Array, w: Array, attributes: Attributes, dtype: str) -> Array:
    """`reference` in floats of ``dtype``, of any values, with sums in no order to rely on."""
    (stride_h, stride_w), more, (top, left, bottom, right) = attributes["strides"], attributes["output_padding"], attributes["pads"]
    batch, channels, height, width = x.shape
    sparse = np.zeros((batch, channels, (height - 1) * stride_h + 1, (width - 1) * stride_w + 1), x.dtype)
    sparse[:, :, ::stride_h, ::stride_w] = x
    reach = w.shape[2] - 1, w.shape[3] - 1
    window = {
        "strides": (1, 1),
        "dilations": (1, 1),
        "pads": (*reach, reach[0] + more[0], reach[1] + more[1]),
        "group": attributes["group"],
    }
    sums = correlate(sparse, w[:, :, ::-1, ::-1], window, dtype)
    return np.ascontiguousarray(sums[:, :, top : sums.shape[2] - bottom, left : sums.shape[3] - right])


def cost(inputs: Sequence[Spec], attributes: Attributes) -> Cost:
    x, w = inputs
    return Cost(int8_macs=x.shape[2] * x.shape[3] * w.shape[0] * w.shape[1] * w.shape[2] * w.shape[3])


# In float, exact while sums stay within 2^24. ONNX has the input channels first.
BODY = """
        <domain: "qnn_deploy", opset_import: ["" : 20]>
        ConvTranspose <strides, pads, output_padding, group, to> (x, w) => (y) {
            xf = Cast <to: int = 1> (x)
            wf = Cast <to: int = 1> (w)
            any = Constant <value_ints: ints = [-1]> ()
            one = Constant <value_ints: ints = [1]> ()
            groups = Constant <value_int: int = @group> ()
            groups_1 = Reshape (groups, one)
            given = Shape <start: int = 1> (w)
            parts_shape = Concat <axis: int = 0> (groups_1, any, given)
            parts = Reshape (wf, parts_shape)
            turned = Transpose <perm: ints = [0, 2, 1, 3, 4]> (parts)
            rest = Shape <start: int = 2> (turned)
            kernel_shape = Concat <axis: int = 0> (any, rest)
            kernel = Reshape (turned, kernel_shape)
            sum = ConvTranspose <strides: ints = @strides, pads: ints = @pads, output_padding: ints = @output_padding,
                                 group: int = @group> (xf, kernel)
            y = Cast <to: int = @to> (sum)
        }"""

OP = OpDef(
    DOMAIN,
    "ConvTranspose",
    infer,
    reference,
    BODY,
    cost,
    doc="2-D transposed convolution of integers by weights [O, C / group, kh, kw], output channels first; to: type of the sums.",
)
