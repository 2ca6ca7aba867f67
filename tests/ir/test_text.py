"""The text of a graph is stable and complete."""

from __future__ import annotations

import onnx_ir as ir

from qnn_deploy.ir.edit import SOURCE
from qnn_deploy.ir.text import dump

TEXT = """
<ir_version: 10, opset_import: ["" : 20, "qnn_deploy" : 1]>
net (uint8[N, 1, 4, 4] x) => (float[N, 2] y)
<int16[1] zero = {7}, float[2, 1, 4, 4] w = {1, -1, 1, -1, 1, -1, 1, -1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, 1, -1, 1, -1, 1, -1, 1, 1, 1, 1, 1, 1, 1, 1},
 float[2] b = {0.1, -3}>
{
    [z] z = qnn_deploy.SubtractZero <to: int = 1> (x, zero)
    [conv] c = Conv <strides = [1, 1], kernel_shape = [4, 4]> (z, w)
    [flat] f = Flatten <axis = 1> (c)
    [bias] y = qnn_deploy.Bias (f, b)
}
"""

EXPECTED = """\
graph net
  input x: u8[N,1,4,4]
  z: ?[?] = qnn_deploy.SubtractZero(x, i16[1]{7}) to=1
  c: ?[?] = Conv(z, f32[2,1,4,4]#CRC) kernel_shape=[4,4] strides=[1,1]  [conv]
  f: ?[?] = Flatten(c) axis=1  [flat]
  y: f32[N,2] = qnn_deploy.Bias(f, f32[2]{0.1, -3.0})  [bias]
  output y
"""


def test_dump() -> None:
    import zlib

    import numpy as np

    model = ir.from_onnx_text(TEXT)
    weights = model.graph.initializers["w"].const_value
    assert weights is not None
    crc = f"{zlib.crc32(weights.numpy().astype(np.float32).tobytes()):08x}"
    assert dump(model) == EXPECTED.replace("CRC", crc)
    assert dump(model.clone()) == dump(model)


def test_sources_on_request() -> None:
    model = ir.from_onnx_text(TEXT)
    for node in model.graph:
        node.metadata_props[SOURCE] = f"net.py:{node.name}"
    assert "net.py" not in dump(model)
    assert "axis=1  [flat]  # net.py:flat\n" in dump(model, sources=True)
