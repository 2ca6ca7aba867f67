"""A max-pool of int16 activations moves in front of their quantiser: there it is one of floats, which every runtime has."""

from __future__ import annotations

import onnx_ir as ir

from qnn_deploy.ir.edit import DOMAIN, insert_after, is_op, remove_unused, supersede
from qnn_deploy.ir.levels import Level
from qnn_deploy.passes._base import LevelPass

_INT8 = range(-128, 128)


class PoolBeforeQuantise(LevelPass):
    """MaxPool(Quantize(x)) -> Quantize(MaxPool(x)) where int8 does not hold the levels. A quantiser never falls: the values are the same.

    Other readers of the quantised map keep it.
    """

    reads = Level.L1
    writes = Level.L1

    def rewrite(self, model: ir.Model) -> bool:
        changed = False
        for node in list(model.graph):
            producer = node.inputs[0].producer() if node.op_type == "MaxPool" and node.inputs[0] is not None else None
            if producer is not None and is_op(producer, "Quantize", domain=DOMAIN) and not _fits_int8(producer):
                _exchange(node, producer)
                changed = True
        if changed:
            remove_unused(model.graph)  # quantisers that only pools read
        return changed


def _fits_int8(node: ir.Node) -> bool:
    return node.attributes["low"].as_int() in _INT8 and node.attributes["high"].as_int() in _INT8


def _exchange(pool: ir.Node, quantize: ir.Node) -> None:
    shape = pool.outputs[0].shape
    assert shape is not None
    attributes = [{name: each.value for name, each in node.attributes.items()} for node in (pool, quantize)]
    first = insert_after(pool, "MaxPool", [quantize.inputs[0]], attributes[0], shape=shape.dims, name=pool.name)
    inputs = [first.outputs[0], *quantize.inputs[1:]]
    name = f"{pool.name}.quantised"
    second = insert_after(first, "Quantize", inputs, attributes[1], domain=DOMAIN, shape=shape.dims, name=name)
    supersede(pool, second)
