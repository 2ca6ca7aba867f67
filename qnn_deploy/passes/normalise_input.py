"""The way from integer pixels to integer-valued floats: SubtractZero, one per zero point."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from qnn_deploy.errors import QnnDeployError
from qnn_deploy.ir.edit import DOMAIN, FLOAT, add_initializer, attribute, constant, insert_after, is_op, refuse, shape_of, supersede
from qnn_deploy.passes._importing import ImportPass

_DTYPES = {ir.DataType.UINT8: (0, 255), ir.DataType.INT8: (-128, 127), ir.DataType.INT16: (-32768, 32767)}
_HELP = "a zero point is an integer of the input's own range (for int16: 0); what is left of it belongs into the first BatchNorm"


class NormaliseInput(ImportPass):
    """Cast of the input to float and a Bias of integers -> SubtractZero; a Cast with no Bias has the zero point 0 (QD0308)."""

    def rewrite(self, model: ir.Model) -> bool:
        if len(model.graph.inputs) != 1:
            names = ", ".join(str(value.name) for value in model.graph.inputs)
            self.fail(QnnDeployError("QD0308", f"the model has {len(model.graph.inputs)} inputs, not one", where=names))
            return False
        pixels = model.graph.inputs[0]
        shape = shape_of(pixels)
        if pixels.dtype not in _DTYPES:
            dtype = pixels.dtype.name.lower() if pixels.dtype is not None else "unknown"
            help = "describe it: --input 1x3x32x32:uint8[:zero=Z][:scale=S]"
            self.fail(
                QnnDeployError("QD0308", f"the model's input is {dtype}, not uint8, int8 or int16", where=str(pixels.name), help=help)
            )
            return False
        if shape is None or len(shape) not in (2, 3, 4):
            self.fail(QnnDeployError("QD0302", f"the input's shape {pixels.shape} is not static of 2 to 4 axes", where=str(pixels.name)))
            return False
        span = _DTYPES[pixels.dtype]
        if len(shape) == 3:  # one Unsqueeze stands behind a signal
            pixels = next(node for node, _ in pixels.uses()).outputs[0]
        for node in dict.fromkeys(node for node, _ in pixels.uses()):
            if is_op(node, "Cast") and attribute(node, "to") == FLOAT:
                self._subtract(model.graph, node, pixels, shape[1], span)
            else:
                help = "convert it first, x.to(torch.float32): uint8 arithmetic wraps around"
                self.fail(refuse(node, "QD0308", f"{node.op_type} on the integer input itself", help))
        return True

    def _subtract(self, graph: ir.Graph, cast: ir.Node, pixels: ir.Value, channels: int, span: tuple[int, int]) -> None:
        users = list(dict.fromkeys(node for node, _ in cast.outputs[0].uses()))
        for user in users:
            if not is_op(user, "Bias", domain=DOMAIN):
                continue
            array = constant(user.inputs[1])
            assert array is not None
            zero = -array
            largest = max(span[1] - float(zero.min()), float(zero.max()) - span[0])
            if not np.array_equal(np.rint(zero), zero) or zero.min() < span[0] or zero.max() > span[1] or largest > 32768:
                self.fail(refuse(user, "QD0308", f"the zero point {_text(zero)} of the input cannot be used", _HELP))
                continue
            supersede(user, _subtract_zero(graph, user, pixels, zero, channels))
        if cast.outputs[0].uses() or cast.outputs[0].is_graph_output():
            supersede(cast, _subtract_zero(graph, cast, pixels, np.zeros(1, np.float32), channels))
        else:
            graph.remove(cast, safe=True)


def _subtract_zero(graph: ir.Graph, after: ir.Node, pixels: ir.Value, zero: NDArray[np.float32], channels: int) -> ir.Node:
    value = add_initializer(graph, f"{pixels.name}_zero", np.broadcast_to(zero, (channels,)).astype(np.int16))
    return insert_after(after, "SubtractZero", [pixels, value], {"to": FLOAT}, domain=DOMAIN)


def _text(zero: NDArray[np.float32]) -> str:
    return ", ".join(f"{float(each):g}" for each in zero[:4]) + (", ..." if zero.size > 4 else "")
