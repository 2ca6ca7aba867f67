"""Rearrange: channels and pixels in another order, as slices, shuffles, upsampling and pixel shuffles leave them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qnn_deploy.ops._base import DOMAIN, Array, Attributes, OpDef, Spec, require
from qnn_deploy.ops._window import check_window


def infer(inputs: Sequence[Spec], attributes: Attributes) -> Spec:
    x, index = inputs
    check_window(attributes, ("block", "strides", "size"))
    (block_h, block_w), (stride_h, stride_w), offset = attributes["block"], attributes["strides"], attributes["offset"]
    require(len(offset) == 2 and min(offset) >= 0, f"offset = {list(offset)} is not that of a map")
    require(len(x.shape) in (2, 4), f"the input has {len(x.shape)} axes, not 2 or 4")
    require(
        index.dtype == "int32" and len(index.shape) == 2 and index.shape[0] == block_h * block_w and index.shape[1] >= 1,
        f"the index is {index.dtype} {list(index.shape)}, not int32 [{block_h * block_w}, channels]",
    )
    height, width = (*x.shape[2:], 1, 1)[:2]
    sides = height // stride_h * block_h - offset[0], width // stride_w * block_w - offset[1]
    size = tuple(attributes["size"])
    require(size[0] <= sides[0] and size[1] <= sides[1], f"size = {list(size)} is larger than {list(sides)}, what there is")
    return Spec(x.dtype, (x.shape[0], index.shape[1], *size)[: len(x.shape)])


def reference(inputs: Sequence[Array], attributes: Attributes) -> Array:
    x, index = inputs
    (block_h, block_w), (stride_h, stride_w) = attributes["block"], attributes["strides"]
    (top, left), (height, width) = attributes["offset"], attributes["size"]
    maps = x.reshape(*x.shape, *[1] * (4 - x.ndim))
    y, z = np.arange(height) + top, np.arange(width) + left
    tap, channel = np.divmod(index[(y % block_h * block_w)[:, None] + z % block_w], x.shape[1])  # [height, width, channels]
    rows = (y // block_h * stride_h)[:, None, None] + tap // stride_w
    columns = (z // block_w * stride_w)[None, :, None] + tap % stride_w
    result = np.ascontiguousarray(maps[:, channel, rows, columns].transpose(0, 3, 1, 2))
    return result.reshape(result.shape[: x.ndim])


# Blocks of the input to channels, the channels picked, and channels to blocks of the output. Vectors are maps of one pixel meanwhile.
BODY = """
        <domain: "qnn_deploy", opset_import: ["" : 20]>
        Rearrange <block, strides, offset, size> (x, index) => (y) {
            zero = Constant <value_ints: ints = [0]> ()
            one = Constant <value_ints: ints = [1]> ()
            two = Constant <value_ints: ints = [2]> ()
            four = Constant <value_ints: ints = [4]> ()
            any = Constant <value_ints: ints = [-1]> ()
            ones = Constant <value_ints: ints = [1, 1]> ()
            corner = Constant <value_ints: ints = [0, 0]> ()
            axes = Constant <value_ints: ints = [2, 3]> ()
            given = Shape (x)
            long = Concat <axis: int = 0> (given, ones)
            shape = Slice (long, zero, four)
            maps = Reshape (x, shape)
            head = Slice (shape, zero, two)
            samples = Slice (shape, zero, one)
            sides = Slice (shape, two, four)
            stride = Constant <value_ints: ints = @strides> ()
            stride_h = Slice (stride, zero, one)
            stride_w = Slice (stride, one, two)
            counts = Div (sides, stride)
            rows = Slice (counts, zero, one)
            columns = Slice (counts, one, two)
            covered = Mul (counts, stride)
            whole = Slice (maps, corner, covered, axes)
            split_shape = Concat <axis: int = 0> (head, rows, stride_h, columns, stride_w)
            split = Reshape (whole, split_shape)
            turned = Transpose <perm: ints = [0, 3, 5, 1, 2, 4]> (split)
            deep_shape = Concat <axis: int = 0> (samples, any, rows, columns)
            deep = Reshape (turned, deep_shape)
            flat = Reshape (index, any)
            picked = Gather <axis: int = 1> (deep, flat)
            block_sides = Constant <value_ints: ints = @block> ()
            block_h = Slice (block_sides, zero, one)
            block_w = Slice (block_sides, one, two)
            spread_shape = Concat <axis: int = 0> (samples, block_h, block_w, any, rows, columns)
            spread = Reshape (picked, spread_shape)
            back = Transpose <perm: ints = [0, 3, 4, 1, 5, 2]> (spread)
            large = Mul (counts, block_sides)
            grown_shape = Concat <axis: int = 0> (samples, any, large)
            grown = Reshape (back, grown_shape)
            begin = Constant <value_ints: ints = @offset> ()
            extent = Constant <value_ints: ints = @size> ()
            end = Add (begin, extent)
            cut = Slice (grown, begin, end, axes)
            cut_shape = Shape (cut)
            rank = Size (given)
            rank_1 = Reshape (rank, one)
            kept = Slice (cut_shape, zero, rank_1)
            y = Reshape (cut, kept)
        }"""

OP = OpDef(
    DOMAIN,
    "Rearrange",
    infer,
    reference,
    BODY,
    doc="Blocks of strides pixels of a map [N, C, H, W] (or of a vector [N, C]) become blocks of block pixels; offset and size say what is "
    "kept. Channel o of pixel p of a block is channel i % C of pixel i / C of the block before, i = index[p, o], both row-major.",
)
