"""The checker of levels: takes legal graphs, and names node and reason for every kind of illegal one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest

from qnn_deploy.errors import QnnDeployError
from qnn_deploy.ir.levels import Level, attributes_of, infer_types, spec_of, verify
from qnn_deploy.ops._base import Spec

CANONICAL = """
<ir_version: 10, opset_import: ["" : 20, "qnn_deploy" : 1]>
net (uint8[N, 1, 4, 4] x) => (float[N, 2] y)
<int16[1] zero = {7}, float[2, 1, 3, 3] w = {1, -1, 1, -1, 1, -1, 1, -1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1},
 float[2] gamma = {1, -1}, float[2] beta = {0, 1}, float[2] mean = {2, 3}, float[2] var = {4, 5}, float[2, 2] head = {1, 2, -1, 0},
 float low = {-1}, float high = {1}, float[1] s = {0.5}, float[1, 2, 1, 1] shift = {1, 2}>
{
    [zero_0] z = qnn_deploy.SubtractZero <to: int = 1> (x, zero)
    [conv] c = Conv <kernel_shape = [3, 3], strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1], group = 1> (z, w)
    [bn] b = BatchNormalization <epsilon = 0.00001> (c, gamma, beta, mean, var)
    [pool] p = MaxPool <kernel_shape = [2, 2], strides = [2, 2], pads = [0, 0, 0, 0], dilations = [1, 1], ceil_mode = 0> (b)
    [clip] l = Clip (p, low, high)
    [sign] a = qnn_deploy.Sign <to: int = 1> (l)
    [sum] g = qnn_deploy.SumPool <to: int = 1> (a)
    [head] h = Gemm <transB = 1> (g, head)
    [scale] y = qnn_deploy.Scale (h, s)
}
"""

EXACT = """
<ir_version: 10, opset_import: ["" : 20, "qnn_deploy" : 1]>
net (uint8[N, 1, 4, 4] x) => (float[N, 2] y)
<int16[1] zero = {7}, uint8[2, 2] w = {85, 1, 0, 1}, int32[2] thr = {3, -2}, uint8[2] minimum = {0, 1}, int8[2, 2] head = {1, 2, -1, 0}>
{
    [zero_0] z = qnn_deploy.SubtractZero <to: int = 5> (x, zero)
    [conv] c = qnn_deploy.BinaryConv <kernel_shape: ints = [3, 3], in_channels: int = 1, strides: ints = [1, 1],
        pads: ints = [0, 0, 0, 0], dilations: ints = [1, 1], group: int = 1> (z, w)
    [threshold] t = qnn_deploy.Threshold (c, thr)
    [pool] p = qnn_deploy.BipolarMaxPool <kernel_shape: ints = [2, 2], strides: ints = [2, 2], pads: ints = [0, 0, 0, 0]> (t, minimum)
    [flat] f = Flatten <axis = 1> (p)
    [head] h = qnn_deploy.Dense (f, head)
    [cast] y = Cast <to = 1> (h)
}
"""

ZERO_LINE = "[zero_0] z = qnn_deploy.SubtractZero <to: int = 5> (x, zero)"


def load(text: str, infer: bool = True) -> ir.Model:
    model = ir.from_onnx_text(text)
    if infer:
        infer_types(model)
    return model


def node(model: ir.Model, name: str) -> ir.Node:
    return next(n for n in model.graph if n.name == name)


def test_takes_legal_graphs() -> None:
    verify(load(CANONICAL), Level.L1)
    verify(load(EXACT), Level.L2)
    verify(load(CANONICAL, infer=False), Level.L0)


def test_levels_are_not_each_others() -> None:
    with pytest.raises(QnnDeployError, match="to is INT16, not FLOAT"):
        verify(load(EXACT), Level.L1)
    with pytest.raises(QnnDeployError, match="to is FLOAT, not INT16"):
        verify(load(CANONICAL), Level.L2)
    model = load(EXACT.replace("int16[1] zero = {7}, ", "").replace("uint8[N, 1, 4, 4] x", "int16[N, 1, 4, 4] z").replace(ZERO_LINE, ""))
    verify(model, Level.L2)
    with pytest.raises(QnnDeployError, match="no operator of L1"):
        verify(model, Level.L1)


def test_infer_types_records_every_value() -> None:
    model = load(EXACT)
    got = {value.name: (spec_of(value).dtype, str(value.shape)) for n in model.graph for value in n.outputs}
    assert got == {
        "z": ("int16", "[N,1,4,4]"),
        "c": ("int32", "[N,2,2,2]"),
        "t": ("int8", "[N,2,2,2]"),
        "p": ("int8", "[N,2,1,1]"),
        "f": ("int8", "[N,2]"),
        "h": ("int32", "[N,2]"),
        "y": ("float32", "[N,2]"),
    }


def test_spec_of_an_initializer_without_type() -> None:
    value = ir.Value(name="w", const_value=ir.tensor(np.zeros((2, 3), np.int8)))
    assert spec_of(value) == Spec("int8", (2, 3))


# What is replaced in the text of a graph, and the reason that must be given.
WRONG_TEXT = {
    "missing attribute": (CANONICAL, ", ceil_mode = 0", "", "ceil_mode"),
    "surplus attribute": (CANONICAL, "epsilon = 0.00001", "epsilon = 0.00001, training_mode = 1", "training_mode"),
    "fractional weights": (CANONICAL, "w = {1,", "w = {1.5,", "not an integer"),
    "integer output at L1": (CANONICAL, "[sign] a = qnn_deploy.Sign <to: int = 1>", "[sign] a = qnn_deploy.Sign <to: int = 3>", "INT8"),
    "constant operand": (CANONICAL, "[clip] l = Clip (p, low, high)", "[add] l = Add (p, shift)", "is an initializer"),
    "name taken": (CANONICAL, "[pool]", "[bn]", "name"),
    "bias": (CANONICAL, "(z, w)", "(z, w, beta)", "surplus|inputs|bias"),
    "unknown operator": (CANONICAL, "qnn_deploy.Scale (h, s)", "qnn_deploy.Shrug (h, s)", "Shrug"),
    "opset": (CANONICAL, '"" : 20', '"" : 19', "opset"),
    "spare bits": (EXACT, "{85, 1, 0, 1}", "{85, 2, 0, 1}", "spare bit"),
    "float output at L2": (EXACT, "to: int = 5", "to: int = 3", "INT16"),
    "cast to another type": (EXACT, "Flatten <axis = 1> (p)", "Cast <to = 6> (p)", "casts int8 to int32"),
    "weights of the wrong width": (EXACT, "uint8[2, 2] w = {85, 1, 0, 1}", "uint8[2, 1] w = {85, 1}", "uint8"),
    "float input": (EXACT, "uint8[N, 1, 4, 4]", "float[N, 1, 4, 4]", "float32"),
}


@pytest.mark.parametrize("case", WRONG_TEXT)
def test_refuses_wrong_graphs(case: str) -> None:
    text, old, new, reason = WRONG_TEXT[case]
    assert old in text
    with pytest.raises(QnnDeployError, match=reason) as caught:
        verify(load(text.replace(old, new)), Level.L1 if text is CANONICAL else Level.L2)
    assert caught.value.code == "QD0901"


def _forget(model: ir.Model) -> None:
    node(model, "conv").outputs[0].shape = None


def _wrong_shape(model: ir.Model) -> None:
    node(model, "conv").outputs[0].shape = ir.Shape(["N", 2, 2, 3])


def _wrong_dtype(model: ir.Model) -> None:
    node(model, "conv").outputs[0].dtype = ir.DataType.FLOAT


def _fixed_batch(model: ir.Model) -> None:
    model.graph.inputs[0].shape = ir.Shape([1, 1, 4, 4])


def _order(model: ir.Model) -> None:
    conv = node(model, "conv")
    model.graph.remove(conv)
    model.graph.append(conv)


def _computed(model: ir.Model) -> None:
    node(model, "threshold").replace_input_with(1, node(model, "conv").outputs[0])


def _unnamed(model: ir.Model) -> None:
    node(model, "conv").name = ""


WRONG_EDITS: dict[str, tuple[Callable[[ir.Model], None], str]] = {
    "type not recorded": (_forget, "not recorded"),
    "wrong shape": (_wrong_shape, "shape rule"),
    "wrong dtype": (_wrong_dtype, "shape rule"),
    "fixed batch": (_fixed_batch, "batch"),
    "order": (_order, "not computed before"),
    "computed constant": (_computed, "not an initializer"),
    "no name": (_unnamed, "name"),
}


@pytest.mark.parametrize("case", WRONG_EDITS)
def test_refuses_wrong_edits(case: str) -> None:
    edit, reason = WRONG_EDITS[case]
    model = load(EXACT)
    edit(model)
    with pytest.raises(QnnDeployError, match=reason) as caught:
        verify(model, Level.L2)
    assert caught.value.code == "QD0901"


def test_dynamic_shape() -> None:
    for call in (infer_types, lambda model: verify(model, Level.L1)):
        with pytest.raises(QnnDeployError) as caught:
            call(load(CANONICAL.replace("uint8[N, 1, 4, 4]", "uint8[N, 1, H, 4]"), infer=False))
        assert caught.value.code == "QD0302"


def test_error_names_the_source_line() -> None:
    model = load(EXACT)
    node(model, "threshold").metadata_props["qnn_deploy.source"] = "net.py:12 in forward"
    node(model, "threshold").attributes["extra"] = ir.AttrInt64("extra", 1)
    with pytest.raises(QnnDeployError, match=r"threshold.*extra") as caught:
        verify(model, Level.L2)
    assert caught.value.where == "net.py:12 in forward"


def test_attributes_are_python_values() -> None:
    assert list(attributes_of(node(load(EXACT), "pool"))["kernel_shape"]) == [2, 2]
