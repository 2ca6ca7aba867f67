"""Windows over maps: output sizes, exact integer convolution, exact integer products."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qnn_deploy.ops._base import Array, Attributes, ExactnessError, require


def check_window(attributes: Attributes, names: Sequence[str]) -> None:
    """Check the named attributes of a 2-D window operator: lengths, positive (pads: not negative)."""
    for name in names:
        values = list(attributes[name])
        least = 0 if name == "pads" else 1
        require(len(values) == (4 if name == "pads" else 2), f"{name} = {values} is not that of a 2-D window")
        require(all(v >= least for v in values), f"{name} = {values} has a value below {least}")


def output_size(
    size: tuple[int, int],
    kernel: Sequence[int],
    strides: Sequence[int],
    pads: Sequence[int] = (0, 0, 0, 0),
    dilations: Sequence[int] = (1, 1),
    ceil_mode: bool = False,
) -> tuple[int, int]:
    """(height, width) of the map that a window gives. pads: top, left, bottom, right.

    With ``ceil_mode`` a last, partial window counts if it begins inside the map or its leading padding (torch's rule).

    Raises:
        ShapeError: the window does not fit into the map.
    """
    out = []
    for axis in range(2):
        room = size[axis] + pads[axis] + pads[axis + 2] - (dilations[axis] * (kernel[axis] - 1) + 1)
        require(room >= 0, f"a window of {list(kernel)} does not fit into a map of {list(size)} with padding {list(pads)}")
        steps = -(-room // strides[axis]) if ceil_mode else room // strides[axis]
        if ceil_mode and steps * strides[axis] >= size[axis] + pads[axis]:
            steps -= 1
        out.append(steps + 1)
    return out[0], out[1]


def exact_dtype(x: Array, w: Array) -> str:
    """The faster float dtype in which ``sum(x * w)`` over w's axes from 1 on is exact in any order, found from the values at hand.

    Raises:
        ExactnessError: an operand is not integer-valued, or sums may leave 2^53.
    """
    for values in (x, w):
        if values.dtype.kind == "f" and not np.array_equal(values, np.rint(values)):
            raise ExactnessError("a reduction runs over a value that is not an integer")
    if not x.size or not w.size:
        return "float32"
    largest = max(abs(float(x.min())), abs(float(x.max())))
    bound = largest * float(np.abs(w.astype(np.float64)).reshape(w.shape[0], -1).sum(axis=1).max())
    if bound > 2**53:
        raise ExactnessError(f"sums may reach {bound:.0f}, past 2^53")
    return "float32" if bound <= 2**24 else "float64"


def convolve(x: Array, w: Array, attributes: Attributes) -> Array:
    """Exact 2-D convolution (correlation, as everywhere in this field) of integer-valued operands, zero padding.

    Args:
        x: [N, C, H, W].
        w: [O, C / group, kernel_h, kernel_w].
        attributes: strides, pads, dilations, group.

    Returns:
        Integer-valued float32 or float64 [N, O, OH, OW].

    Raises:
        ExactnessError: see `exact_dtype`.
    """
    return correlate(x, w, attributes, exact_dtype(x, w))


def correlate(x: Array, w: Array, attributes: Attributes, dtype: str) -> Array:
    """`convolve` in floats of ``dtype``, of any values, with sums in no order to rely on."""
    group, (stride_h, stride_w), (dilation_h, dilation_w) = attributes["group"], attributes["strides"], attributes["dilations"]
    top, left, bottom, right = attributes["pads"]
    outputs, channels, kernel_h, kernel_w = w.shape
    padded = np.pad(x.astype(dtype), ((0, 0), (0, 0), (top, bottom), (left, right)))
    reach = (dilation_h * (kernel_h - 1) + 1, dilation_w * (kernel_w - 1) + 1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=(2, 3))
    windows = windows[:, :, ::stride_h, ::stride_w, ::dilation_h, ::dilation_w]
    batch, _, out_h, out_w = windows.shape[:4]
    # One product for the whole batch: a BLAS that shares its cores loses most of its time where the products are many and small.
    columns = windows.transpose(1, 4, 5, 0, 2, 3).reshape(group, channels * kernel_h * kernel_w, batch * out_h * out_w)
    rows = w.astype(dtype).reshape(group, outputs // group, -1)
    sums = np.matmul(rows, columns).reshape(outputs, batch, out_h, out_w)
    return np.ascontiguousarray(sums.transpose(1, 0, 2, 3))


def window_maximum(
    x: Array, kernel: Sequence[int], strides: Sequence[int], out: tuple[int, int], dilations: Sequence[int] = (1, 1)
) -> Array:
    """Maximum of each window of x [N, C, H, W], already padded, found by ``if (v > m) m = v`` in row-major order."""
    maximum: Array | None = None
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            y, z = i * dilations[0], j * dilations[1]
            tap = x[:, :, y : y + (out[0] - 1) * strides[0] + 1 : strides[0], z : z + (out[1] - 1) * strides[1] + 1 : strides[1]]
            maximum = tap if maximum is None else np.where(tap > maximum, tap, maximum)
    assert maximum is not None
    return np.ascontiguousarray(maximum)
