"""All findings of all passes, together and in graph order; or L1."""

from __future__ import annotations

import onnx_ir as ir
import pytest

from qnn_deploy.ir.edit import LAYER, SOURCE
from qnn_deploy.ir.levels import Level, verify
from qnn_deploy.passes.canonicalise import canonicalise
from tests.passes._l0 import kinds, l0, refusals

CONSTANTS = "<float[3, 2] w = {1, 1, -1, 1, 1, 1}, float[3, 2] real = {0.1, 0.2718, 0.3142, 0.4669, 0.5772, 0.6931}, float third = {3}, float one = {1}>"
INPUT = "f = Cast <to = 1> (x)"


def _refusals(steps: str, outputs: str = "float[2, 3] y") -> list[str]:
    findings = refusals(l0(f"net (uint8[2, 2] x) => ({outputs}) {CONSTANTS} {{ {INPUT} {steps} }}"))
    return [f"{finding.code} {finding.message}" for finding in findings]


def test_level_one() -> None:
    model = l0(f"net (uint8[2, 2] x) => (float[2, 3] y) {CONSTANTS} {{ {INPUT} s = Sub (f, third) y = Gemm <transB = 1> (s, w) }}")
    canonicalise(model)
    verify(model, Level.L1)
    assert kinds(model) == ["q.SubtractZero", "Gemm"]
    assert isinstance(model.graph.inputs[0].shape, ir.Shape)
    assert [str(dim) for dim in model.graph.inputs[0].shape] == ["N", "2"]
    assert all(LAYER not in node.metadata_props and SOURCE in node.metadata_props for node in model.graph)


def test_everything_is_reported_in_graph_order() -> None:
    found = _refusals("t = Tanh (f) d = Div (t, third) g = Gemm <transB = 1> (d, real) e = Exp (g) p = Greater (e, one) y = Softmax (e)")
    assert [each.split()[0] for each in found] == ["QD0301", "QD0301", "QD0307", "QD0301", "QD0301"]
    assert ["Tanh" in found[0], "division by 3" in found[1], "not integers" in found[2], "Exp" in found[3], "Softmax" in found[4]] == [
        True
    ] * 5


def test_a_network_of_float_weights_is_refused_where_no_layer_is_quantised() -> None:
    (found,) = _refusals("y = Gemm <transB = 1> (f, real)")
    assert "QD0307" in found and "no other layer's are" in found
    steps = "g = Gemm <transB = 1> (f, real) h = Gemm <transB = 1> (f, w) y = Add (g, h)"
    model = l0(f"net (uint8[2, 2] x) => (float[2, 3] y) {CONSTANTS} {{ {INPUT} {steps} }}")
    canonicalise(model)
    assert kinds(model) == ["q.SubtractZero", "q.FloatDense", "Gemm", "Add"]


def test_operators_of_one_line_are_one_finding() -> None:
    model = l0(f"net (uint8[2, 2] x) => (float[2, 2] y) {CONSTANTS} {{ {INPUT} t = Tanh (f) e = Exp (t) y = Tanh (e) }}")
    for node in list(model.graph)[1:]:
        node.metadata_props.update({LAYER: "act", SOURCE: "net.py:7 in forward"})
    (finding,) = refusals(model)
    assert finding.message == "the operators Tanh, Exp cannot be lowered"
    assert finding.where == "act (net.py:7 in forward)"


def test_softmax_gets_advice() -> None:
    (finding,) = refusals(l0(f"net (uint8[2, 2] x) => (float[2, 2] y) {CONSTANTS} {{ {INPUT} y = Softmax (f) }}"))
    assert "logits" in finding.help


def test_shapes_that_depend_on_values() -> None:
    found = _refusals("z = NonZero (f) n = Cast <to = 1> (z) g = ReduceMax <keepdims = 0> (n) y = Mul (f, g)", "float[2, 2] y")
    assert found[0].startswith("QD0302 NonZero")


@pytest.mark.parametrize(
    ("steps", "outputs", "text"),
    [
        ("y = Relu (f) z = Relu (y)", "float[2, 2] y, float[2, 2] z", "2 tensors"),
        ("c = Flatten (w) y = Identity (third)", "float y", "constant"),
    ],
)
def test_outputs(steps: str, outputs: str, text: str) -> None:
    assert any(text in found for found in _refusals(steps, outputs))


def test_one_number_a_sample_is_no_vector_of_logits() -> None:
    (finding,) = refusals(
        l0(
            "net (uint8[2, 2] x) => (float[2] y) { f = Cast <to = 1> (x) axes = Constant <value_ints = [1]> () y = ReduceMax <keepdims = 0> (f, axes) }"
        )
    )
    assert "ReduceMax" in finding.message
