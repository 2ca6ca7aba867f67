"""The matcher finds exact forms, binds what it met, and says why it did not match."""

from __future__ import annotations

import onnx_ir as ir
import pytest

from qnn_deploy.ir.match import Bind, Const, Either, Match, Miss, Op, Pattern, match

TEXT = """
<ir_version: 10, opset_import: ["" : 20]>
net (float[2] x, float[2] z) => (float[2] sum, float[2] pick, float[2] square, float[2] clip)
<float one = {1}, float[2] minus = {-1, -1}, float[2] mixed = {1, 2}, float zero = {0}>
{
    [ge] positive = GreaterOrEqual (x, zero)
    [where] pick = Where (positive, one, minus)
    [sub] difference = Sub (z, x)
    [add] sum = Add (difference, x)
    [mul] square = Mul (x, mixed)
    [clip_] clip = Clip (x, zero)
}
"""


@pytest.fixture(scope="module")
def values() -> dict[str, ir.Value]:
    graph = ir.from_onnx_text(TEXT).graph
    return {str(value.name): value for value in (*graph.inputs, *(output for node in graph for output in node.outputs))}


SIGN = Op("Where", Op("GreaterOrEqual", Bind("x"), Const(equal=0)), Const(equal=1), Const(equal=-1))


def test_binds_values_constants_and_nodes(values: dict[str, ir.Value]) -> None:
    found = match(SIGN, values["pick"])
    assert isinstance(found, Match)
    assert found.values == {"x": values["x"]}
    assert [node.name for node in found.nodes] == ["where", "ge"]
    found = match(Op("Mul", Bind(), Const("c")), values["square"])
    assert isinstance(found, Match)
    assert found.constants["c"].tolist() == [1, 2]
    assert found.values == {}


def test_one_name_is_one_value(values: dict[str, ir.Value]) -> None:
    assert match(Op("Add", Op("Sub", Bind("q"), Bind("x")), Bind("x")), values["sum"])
    assert not match(Op("Add", Op("Sub", Bind("x"), Bind("q")), Bind("x")), values["sum"])


def test_commuting_operands(values: dict[str, ir.Value]) -> None:
    swapped = Op("Add", Bind("x"), Op("Sub", Bind("q"), Bind("x")), commutes=True)
    assert match(swapped, values["sum"])
    assert not match(Op("Add", Bind("x"), Op("Sub", Bind("q"), Bind("x"))), values["sum"])


def test_either_goes_on_to_the_next(values: dict[str, ir.Value]) -> None:
    # The first alternative matches x itself and fails later, at the second operand.
    pattern = Op("Mul", Either(Op("Add", Bind(), Bind()), Bind("x")), Const(size=2))
    assert match(pattern, values["square"])


@pytest.mark.parametrize(
    ("pattern", "name", "reason"),
    [
        (Op("Add", Bind(), Bind()), "x", "x is an input or a constant, not Add"),
        (Op("Add|Sub", Bind(), Bind()), "square", "mul is Mul, not Add or Sub"),
        (Op("Mul", Bind(), Bind(), domain="qnn_deploy"), "square", "mul is Mul, not Mul"),
        (Op("Mul", Bind(), Const(equal=1)), "square", "the constant mixed is not 1 throughout"),
        (Op("Mul", Bind(), Const(size=1)), "square", "the constant mixed has 2 elements, not 1"),
        (Op("Mul", Const(), Bind()), "square", "x is not a constant"),
        (Op("Clip", Bind(), Bind(), Bind()), "clip", "clip_ has 2 inputs, not 3"),
        (Op("Add", Op("Sub", Bind("x"), Bind()), Bind("x")), "sum", "x is not z"),
        (Op("Where", Op("Greater", Bind("x"), Const()), Const(), Const()), "pick", "ge is GreaterOrEqual, not Greater"),
        (Op("Add", Bind(""), Op("Sub", Bind(), Const(equal=1)), commutes=True), "sum", "x is not a constant"),
    ],
)
def test_reasons(values: dict[str, ir.Value], pattern: Pattern, name: str, reason: str) -> None:
    found = match(pattern, values[name])
    assert not found
    assert found == Miss(reason)
