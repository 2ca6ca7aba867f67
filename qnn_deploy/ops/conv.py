"""Conv: 2-D convolution of integers by int8 weights."""

from __future__ import annotations

from collections.abc import Sequence

from qnn_deploy.ops._base import DOMAIN, Array, Attributes, Cost, OpDef, Spec, checked_cast, require
from qnn_deploy.ops._window import check_window, convolve, output_size


def conv_shape(x: Spec, outputs: int, channels: int, kernel: Sequence[int], attributes: Attributes) -> tuple[int, ...]:
    """Output shape of a convolution of x [N, C, H, W] by weights [outputs, channels = C / group, *kernel].

    Raises:
        ShapeError: shapes or attributes do not fit each other.
    """
    check_window(attributes, ("strides", "pads", "dilations"))
    group = attributes["group"]
    require(len(x.shape) == 4, f"the input has {len(x.shape)} axes, not 4")
    require(group >= 1 and outputs % group == 0, f"{outputs} output channels do not divide into {group} groups")
    require(x.shape[1] == channels * group, f"the input has {x.shape[1]} channels, the weights take {channels} x {group} groups")
    size = output_size((x.shape[2], x.shape[3]), kernel, attributes["strides"], attributes["pads"], attributes["dilations"])
    return x.shape[0], outputs, *size


def infer(inputs: Sequence[Spec], attributes: Attributes) -> Spec:
    x, w = inputs
    require(x.dtype in ("int8", "int16"), f"the input is {x.dtype}, not int8 or int16")
    require(w.dtype == "int8" and len(w.shape) == 4, f"the weights are {w.dtype} {list(w.shape)}, not int8 [O, I, kh, kw]")
    return Spec("int32", conv_shape(x, w.shape[0], w.shape[1], w.shape[2:], attributes))


def reference(inputs: Sequence[Array], attributes: Attributes) -> Array:
    x, w = inputs
    return checked_cast(convolve(x, w, attributes), "int32")


def cost(inputs: Sequence[Spec], attributes: Attributes) -> Cost:
    _, w = inputs
    _, outputs, height, width = infer(inputs, attributes).shape
    return Cost(int8_macs=outputs * height * width * w.shape[1] * w.shape[2] * w.shape[3])


# A float convolution of integers is exact, in any order, while sums stay within 2^24, which the compiler has checked.
BODY = """
        <domain: "qnn_deploy", opset_import: ["" : 20]>
        Conv <strides, pads, dilations, group> (x, w) => (y) {
            xf = Cast <to: int = 1> (x)
            wf = Cast <to: int = 1> (w)
            sum = Conv <strides: ints = @strides, pads: ints = @pads, dilations: ints = @dilations, group: int = @group> (xf, wf)
            y = Cast <to: int = 6> (sum)
        }"""

OP = OpDef(
    DOMAIN,
    "Conv",
    infer,
    reference,
    BODY,
    cost,
    doc="2-D convolution of int8 or int16 by int8 weights [O, C / group, kh, kw], zero padding, int32 sums.",
)
