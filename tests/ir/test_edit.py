"""Edits keep names unique, users connected and provenance with its operator."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from qnn_deploy.errors import QnnDeployError
from qnn_deploy.ir import edit
from qnn_deploy.ir.levels import Level, verify

TEXT = """
<ir_version: 10, opset_import: ["" : 20, "qnn_deploy" : 1]>
net (float[2, 3] x) => (float[2, 3] y)
<float[3] w = {1, 2, 3}, float[1] unused = {0}>
{
    [mul] m = Mul (x, w)
    [dead] d = Neg (m)
    [relu] y = Relu (m)
}
"""


@pytest.fixture
def model() -> ir.Model:
    model = ir.from_onnx_text(TEXT)
    for node in model.graph:
        node.metadata_props.update({edit.LAYER: f"layers.{node.name}", edit.SOURCE: "net.py:1 in forward"})
    return model


def _node(model: ir.Model, name: str) -> ir.Node:
    return next(node for node in model.graph if node.name == name)


def test_fresh_names_avoid_inputs_values_and_constants(model: ir.Model) -> None:
    assert [edit.fresh_name(model.graph, name) for name in ("x", "m", "w", "new")] == ["x_1", "m_1", "w_1", "new"]


def test_initializers_are_copies(model: ir.Model) -> None:
    array = np.arange(4, dtype=np.int16)
    value = edit.add_initializer(model.graph, "w", array)
    array[:] = 9
    assert value.name == "w_1"
    assert model.graph.initializers["w_1"] is value
    found = edit.constant(value)
    assert found is not None
    assert found.tolist() == [0, 1, 2, 3]
    assert found.dtype == np.int16
    assert value.dtype == ir.DataType.INT16
    assert edit.shape_of(value) == (4,)


def test_constant_and_shape_of_other_values(model: ir.Model) -> None:
    assert edit.constant(model.graph.inputs[0]) is None
    assert edit.constant(None) is None
    assert edit.shape_of(None) is None
    assert edit.shape_of(ir.Value(name="n", shape=ir.Shape(["N", 3]))) is None


def test_replace_node_takes_name_users_and_provenance(model: ir.Model) -> None:
    old = _node(model, "mul")
    x, w = old.inputs
    assert x is not None and w is not None
    new = edit.replace_node(old, "Scale", [x, w], {}, domain=edit.DOMAIN)
    verify(model, Level.L0)
    assert [node.op_type for node in model.graph] == ["Scale", "Neg", "Relu"]
    assert new.outputs[0].name == "m"
    assert edit.shape_of(new.outputs[0]) == edit.shape_of(_node(model, "relu").inputs[0])
    assert new.metadata_props == {edit.LAYER: "layers.mul", edit.SOURCE: "net.py:1 in forward"}
    assert old.graph is None


def test_insert_after_and_supersede_keep_the_graph_output(model: ir.Model) -> None:
    relu = _node(model, "relu")
    assert relu.inputs[0] is not None
    clip = edit.insert_after(relu, "Abs", [relu.inputs[0]], {}, shape=(2, 3))
    edit.supersede(relu, clip)
    verify(model, Level.L0)
    assert model.graph.outputs[0] is clip.outputs[0]
    assert model.graph.outputs[0].name == "y"


def test_bypass(model: ir.Model) -> None:
    edit.bypass(_node(model, "relu"))
    verify(model, Level.L0)
    assert model.graph.outputs[0].producer() is _node(model, "mul")


def test_remove_unused(model: ir.Model) -> None:
    assert edit.remove_unused(model.graph)
    assert [node.name for node in model.graph] == ["mul", "relu"]
    assert list(model.graph.initializers) == ["w"]
    assert not edit.remove_unused(model.graph)


def test_findings_name_layer_and_line_and_come_in_graph_order(model: ir.Model) -> None:
    late = edit.refuse(_node(model, "relu"), "QD0301", "late")
    early = edit.refuse(_node(model, "mul"), "QD0301", "early", "do this")
    loose = QnnDeployError("QD0301", "about the model")
    assert (early.where, early.help) == ("layers.mul (net.py:1 in forward)", "do this")
    assert edit.is_refused(_node(model, "mul"))
    assert not edit.is_refused(_node(model, "dead"))
    edit.pass_over(_node(model, "dead"))
    assert edit.is_refused(_node(model, "dead"))
    assert edit.in_graph_order(model.graph, [loose, late, early]) == [early, late, loose]
    bare = ir.node("Relu", [model.graph.inputs[0]])
    assert edit.location(bare) == "Relu"
