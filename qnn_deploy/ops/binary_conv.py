"""BinaryConv: 2-D convolution of integers by weights of one bit."""

from __future__ import annotations

from collections.abc import Sequence

from qnn_deploy.ops._base import DOMAIN, Array, Attributes, Cost, OpDef, Spec, checked_cast, require
from qnn_deploy.ops._bits import UNPACK_BODY, unpack_signs
from qnn_deploy.ops._window import check_window, convolve
from qnn_deploy.ops.conv import conv_shape


def taps(attributes: Attributes) -> int:
    """Weights of one output channel: in_channels * kernel_h * kernel_w."""
    height, width = attributes["kernel_shape"]
    return int(attributes["in_channels"] * height * width)


def infer(inputs: Sequence[Spec], attributes: Attributes) -> Spec:
    x, w = inputs
    check_window(attributes, ("kernel_shape",))
    width = -(-taps(attributes) // 8)
    require(x.dtype in ("int8", "int16"), f"the input is {x.dtype}, not int8 or int16")
    require(
        w.dtype == "uint8" and len(w.shape) == 2 and w.shape[1] == width,
        f"the weights are {w.dtype} {list(w.shape)}, not uint8 [O, {width}]",
    )
    return Spec("int32", conv_shape(x, w.shape[0], attributes["in_channels"], attributes["kernel_shape"], attributes))


def reference(inputs: Sequence[Array], attributes: Attributes) -> Array:
    x, packed = inputs
    weights = unpack_signs(packed, taps(attributes)).reshape(-1, attributes["in_channels"], *attributes["kernel_shape"])
    return checked_cast(convolve(x, weights, attributes), "int32")


def cost(inputs: Sequence[Spec], attributes: Attributes) -> Cost:
    x, _ = inputs
    _, outputs, height, width = infer(inputs, attributes).shape
    macs = outputs * height * width * taps(attributes)
    return Cost(binary_macs=macs) if x.dtype == "int8" else Cost(int8_macs=macs)


BODY = f"""
        <domain: "qnn_deploy", opset_import: ["" : 20]>
        BinaryConv <kernel_shape, in_channels, strides, pads, dilations, group> (x, packed) => (y) {{
            xf = Cast <to: int = 1> (x)
            kernel = Constant <value_ints: ints = @kernel_shape> ()
            channels = Constant <value_int: int = @in_channels> ()
            single = Constant <value_ints: ints = [1]> ()
            channels_1 = Reshape (channels, single)
            per_output = Concat <axis: int = 0> (channels_1, kernel)
            count = ReduceProd <keepdims: int = 1, noop_with_empty_axes: int = 0> (per_output){UNPACK_BODY}
            any = Constant <value_ints: ints = [-1]> ()
            shape = Concat <axis: int = 0> (any, per_output)
            wf = Reshape (flat, shape)
            sum = Conv <kernel_shape: ints = @kernel_shape, strides: ints = @strides, pads: ints = @pads,
                        dilations: ints = @dilations, group: int = @group> (xf, wf)
            y = Cast <to: int = 6> (sum)
        }}"""

OP = OpDef(
    DOMAIN,
    "BinaryConv",
    infer,
    reference,
    BODY,
    cost,
    doc="2-D convolution of int8 or int16 by weights +1/-1, zero padding, int32 sums. Weights: uint8 [O, ceil(C / group * kh * kw / 8)], "
    "packed per output in the order [C / group, kh, kw], least significant bit first, bit 1 = -1, spare bits 0.",
)
