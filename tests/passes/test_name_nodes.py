"""Names come from the user's modules and are unique."""

from __future__ import annotations

from qnn_deploy.ir.edit import LAYER
from qnn_deploy.ir.levels import Level, verify
from qnn_deploy.passes.name_nodes import NameNodes
from tests.passes._l0 import l0, run

TEXT = """net (float[2, 2] image) => (float[2, 2] result)
<float[2, 2] x = {1, 0, 0, 1}, float[2] logits = {1, 2}, float low = {-1}, float high = {1}>
{
    a = Gemm <transB = 1> (image, x)
    b = qnn_deploy.Scale (a, logits)
    c = qnn_deploy.Bias (b, logits)
    d = Clip (c, low, high)
    e = Relu (d)
    f = Add (e, d)
    g = Add (f, d)
    result = Add (g, d)
}"""
LAYERS = ["fc", "fc", "fc", "", "block", "block", "", ""]


def test_names() -> None:
    model = l0(TEXT)
    for node, layer in zip(model.graph, LAYERS, strict=True):
        node.metadata_props[LAYER] = layer
    run(model, NameNodes)
    verify(model, Level.L0)
    assert [node.name for node in model.graph] == ["fc", "fc.scale", "fc.bias", "clip", "block.relu", "block", "add", "add.2"]
    assert [value.name for value in model.graph.inputs] == ["x"]
    assert [node.outputs[0].name for node in model.graph][:-1] == [node.name for node in model.graph][:-1]
    assert model.graph.outputs[0].name == "logits"
    # Initializers take their first reader's name; one may have been called what another value is called now.
    assert set(model.graph.initializers) == {"fc.weight", "fc.scale.scale", "clip.low", "clip.high"}
    assert all(value.const_value is not None and value.const_value.name == name for name, value in model.graph.initializers.items())


def test_a_layer_called_x() -> None:
    model = l0("net (float[2, 2] image) => (float[2, 2] y) { a = Relu (image) y = Relu (a) }")
    for node, layer in zip(model.graph, ["x", "logits"], strict=True):
        node.metadata_props[LAYER] = layer
    run(model, NameNodes)
    values = [*model.graph.inputs, *(node.outputs[0] for node in model.graph)]
    assert len({value.name for value in values}) == len(values)
