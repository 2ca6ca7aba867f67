"""FloatConv: a float island, 2-D convolution in binary32 by one order of summation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qnn_deploy.ops._base import DOMAIN, Array, Attributes, Cost, OpDef, Spec, require
from qnn_deploy.ops.conv import conv_shape

INPUTS = ("int8", "int16", "int32", "float32")


def infer(inputs: Sequence[Spec], attributes: Attributes) -> Spec:
    x, w = inputs
    require(x.dtype in INPUTS, f"the input is {x.dtype}, not {', '.join(INPUTS)}")
    require(w.dtype == "float32" and len(w.shape) == 4, f"the weights are {w.dtype} {list(w.shape)}, not float32 [O, I, kh, kw]")
    return Spec("float32", conv_shape(x, w.shape[0], w.shape[1], w.shape[2:], attributes))


def reference(inputs: Sequence[Array], attributes: Attributes) -> Array:
    x, w = inputs
    group, (stride_h, stride_w), (dilation_h, dilation_w) = attributes["group"], attributes["strides"], attributes["dilations"]
    top, left, bottom, right = attributes["pads"]
    outputs, channels, kernel_h, kernel_w = w.shape
    padded = np.pad(x.astype(np.float32), ((0, 0), (0, 0), (top, bottom), (left, right)))
    size = infer([Spec(x.dtype.name, x.shape), Spec("float32", w.shape)], attributes).shape[2:]
    weights = w.reshape(group, outputs // group, channels, kernel_h, kernel_w)
    sums = np.zeros((len(x), group, outputs // group, *size), np.float32)
    rows, columns = ((count - 1) * stride + 1 for count, stride in zip(size, (stride_h, stride_w), strict=True))
    with np.errstate(all="ignore"):
        for c in range(channels):
            for i in range(0, kernel_h * dilation_h, dilation_h):
                for j in range(0, kernel_w * dilation_w, dilation_w):
                    tap = padded[:, c::channels, i : i + rows : stride_h, j : j + columns : stride_w]
                    # A product, rounded, then a sum, rounded; a tap on the padding adds a zero, which changes no sum.
                    sums = sums + tap[:, :, None] * weights[:, :, c, i // dilation_h, j // dilation_w, None, None]
    return sums.reshape(len(x), outputs, *size)


def cost(inputs: Sequence[Spec], attributes: Attributes) -> Cost:
    return Cost()  # of integers it has none


BODY = """
        <domain: "qnn_deploy", opset_import: ["" : 20]>
        FloatConv <strides, pads, dilations, group> (x, w) => (y) {
            xf = Cast <to: int = 1> (x)
            strides = Constant <value_ints: ints = @strides> ()
            dilations = Constant <value_ints: ints = @dilations> ()
            pads = Constant <value_ints: ints = @pads> ()
            group = Constant <value_int: int = @group> ()
            zero = Constant <value_ints: ints = [0]> ()
            one = Constant <value_ints: ints = [1]> ()
            two = Constant <value_ints: ints = [2]> ()
            four = Constant <value_ints: ints = [4]> ()
            batch_and_channels = Constant <value_ints: ints = [0, 0]> ()
            before = Slice (pads, zero, two)
            behind = Slice (pads, two, four)
            margins = Concat <axis: int = 0> (batch_and_channels, before, batch_and_channels, behind)
            padded = Pad (xf, margins)
            groups = Reshape (group, one)
            batch = Shape <start: int = 0, end: int = 1> (x)
            in_channels = Shape <start: int = 1, end: int = 2> (x)
            outputs = Shape <start: int = 0, end: int = 1> (w)
            channels = Shape <start: int = 1, end: int = 2> (w)
            kernel = Shape <start: int = 2> (w)
            kernel_w = Shape <start: int = 3> (w)
            taps = ReduceProd <keepdims: int = 1> (kernel)
            terms = Mul (channels, taps)
            size = Shape <start: int = 2> (padded)
            ones = Div (kernel, kernel)
            last = Sub (kernel, ones)
            reach = Mul (last, dilations)
            room0 = Sub (size, reach)
            room = Sub (room0, ones)
            steps = Div (room, strides)
            out = Add (steps, ones)
            way = Mul (steps, strides)
            span = Add (way, ones)
            of_group = Div (outputs, groups)
            rows_shape = Concat <axis: int = 0> (outputs, terms)
            rows = Reshape (w, rows_shape)
            columns = Transpose <perm: ints = [1, 0]> (rows)
            weights_shape = Concat <axis: int = 0> (terms, one, groups, of_group, one, one)
            weights = Reshape (columns, weights_shape)
            sums_shape = Concat <axis: int = 0> (batch, groups, of_group, out)
            nothing = Constant <value: tensor = float[1] {0.0}> ()
            sums0 = Expand (nothing, sums_shape)
            axes = Constant <value_ints: ints = [1, 2, 3]> ()
            slice_steps = Concat <axis: int = 0> (channels, strides)
            scalar = Constant <value_ints: ints = [-1]> ()
            count = Squeeze (terms)
            more = Constant <value: tensor = bool {1}> ()
            sums = Loop (count, more, sums0) <body: graph = add_product (int64 k, bool go, float[] sum) => (bool go_on, float[] sum_out) {
                go_on = Identity (go)
                k1 = Reshape (k, scalar)
                c = Div (k1, taps)
                tap = Mod (k1, taps)
                row = Div (tap, kernel_w)
                column = Mod (tap, kernel_w)
                place = Concat <axis: int = 0> (row, column)
                from = Mul (place, dilations)
                to = Add (from, span)
                starts = Concat <axis: int = 0> (c, from)
                ends = Concat <axis: int = 0> (in_channels, to)
                under = Slice (padded, starts, ends, axes, slice_steps)
                under5 = Unsqueeze (under, two)
                weight = Gather <axis: int = 0> (weights, k)
                product = Mul (under5, weight)
                sum_out = Add (sum, product)
            }>
            y_shape = Concat <axis: int = 0> (batch, outputs, out)
            y = Reshape (sums, y_shape)
        }"""

OP = OpDef(
    DOMAIN,
    "FloatConv",
    infer,
    reference,
    BODY,
    cost,
    doc="Float island: 2-D convolution by float weights [O, C / group, kh, kw], zero padding. Each output is the sum from 0 over channel, "
    "row and column of the kernel in that order, of binary32 products rounded before they are added.",
)
