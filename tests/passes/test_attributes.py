"""Every attribute that has no form of ours is refused by name: a table of operators as exporters write them, on a float map [1, 2, 8, 8]."""

from __future__ import annotations

import pytest

from tests.passes._l0 import l0, refusals

CONSTANTS = f"""<float[2, 2, 3, 3] w = {{{", ".join(["1"] * 36)}}}, int64[8] pads = {{0, 0, 1, 1, 0, 0, 1, 1}},
    float[4] twice = {{1, 1, 2, 2}}, float[4] more = {{1, 1, 1.5, 1.5}}, float[2] one = {{1, 1}}>"""

# What is written -> what the first line must say.
REFUSED = {
    "y = MaxPool <kernel_shape = [2, 2], dilations = [2, 2]> (f)": "a dilated max-pool",
    'y = MaxPool <kernel_shape = [2, 2], auto_pad = "SAME_UPPER"> (f)': "explicit padding",
    "y = AveragePool <kernel_shape = [3, 3]> (f)": "AveragePool averages floats",
    "y = AveragePool <kernel_shape = [2, 2], pads = [1, 1, 0, 0]> (f)": "count_include_pad=False",
    "y = AveragePool <kernel_shape = [2, 2], ceil_mode = 1, strides = [3, 3]> (f)": "ceil_mode=True",
    "y = AveragePool <kernel_shape = [2, 2], dilations = [2, 2]> (f)": "AveragePool with dilation",
    'y = AveragePool <kernel_shape = [2, 2], auto_pad = "SAME_UPPER"> (f)': "auto_pad",
    "y = LpPool <kernel_shape = [2, 2]> (f)": "LpPool",
    "y = GlobalMaxPool (f)": "GlobalMaxPool",
    "y = ReduceMax <keepdims = 1> (f)": "ReduceMax over other axes",
    "y = ConvTranspose <dilations = [2, 2]> (f, w)": "a dilated transposed convolution",
    'y = ConvTranspose <auto_pad = "SAME_UPPER", strides = [2, 2]> (f, w)': "padding of a transposed convolution",
    "y = ConvTranspose <output_shape = [17, 17], strides = [2, 2]> (f, w)": "padding of a transposed convolution",
    'p = Pad <mode = "reflect"> (f, pads) y = Conv (p, w)': "no constant integer",
    'p = Pad <mode = "edge"> (f, pads) y = Conv (p, w)': "no constant integer",
    'p = Pad <mode = "wrap"> (f, pads) y = Conv (p, w)': "no constant integer",
    "p = Pad (f, pads) y = Relu (p)": "Pad",
    'y = Resize <mode = "linear"> (f, , twice)': "Resize",
    'y = Resize <mode = "cubic"> (f, , twice)': "Resize",
    'y = Resize <mode = "nearest"> (f, , more)': "Resize",
    'y = Resize <mode = "nearest", nearest_mode = "floor"> (f, , twice)': "Resize",
    'y = Resize <mode = "nearest", coordinate_transformation_mode = "align_corners"> (f, , twice)': "Resize",
    "y = Softmax <axis = 1> (f)": "Softmax",
    "y = LogSoftmax <axis = 1> (f)": "LogSoftmax",
    "y = Concat <axis = 2> (f, f)": "Concat along axis 2",
    "m = MaxPool <kernel_shape = [2, 2]> (f) y = Concat <axis = 1> (f, m)": "Concat of tensors of unlike shapes, [1, 2, 8, 8], [1, 2, 7, 7]",
    "m = MaxPool <kernel_shape = [2, 2]> (f) y = Add (f, m)": "Add of tensors of two shapes, [1, 2, 8, 8] and [1, 2, 7, 7]",
    "y = Mul (f, f)": "Mul",
    "y = Transpose <perm = [0, 1, 3, 2]> (f)": "Transpose",
    "y = MatMul (f, f)": "weights are not constant",
    "y = InstanceNormalization (f, one, one)": "InstanceNormalization",
    "y = LRN <size = 3> (f)": "LRN",
    "y = Gelu (f)": "Gelu",
    "y = Elu (f)": "Elu",
    "y = HardSwish (f)": "HardSwish",
}


@pytest.mark.parametrize("written", REFUSED)
def test_refused_by_name(written: str) -> None:
    text = f"net (uint8[1, 2, 8, 8] x) => (float[N, a, b, c] y) {CONSTANTS} {{ f = Cast <to = 1> (x) {written} }}"
    first = refusals(l0(text))[0]
    assert first.code in ("QD0301", "QD0305", "QD0307") and first.where.startswith("layer")
    assert REFUSED[written] in first.message
