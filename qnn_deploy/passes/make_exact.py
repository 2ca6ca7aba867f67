"""L1 to L2: reductions over integers, streams by the written formula. Node by node; thresholds are folded later, on exact operators."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from qnn_deploy.errors import UserError
from qnn_deploy.ir.edit import DOMAIN, add_initializer, copy_provenance, fresh_name, insert_after, is_op, location, replace_node
from qnn_deploy.ir.levels import Level
from qnn_deploy.ops.batch_norm import fold_batchnorm
from qnn_deploy.passes._base import LevelPass
from qnn_deploy.passes.departures import depart
from qnn_deploy.passes.ranges import Range, Ranges, analyse, weights_of

_EXACT_IN_FLOAT = 2**24
_INTEGER_TYPES = (ir.DataType.UINT8, ir.DataType.INT8, ir.DataType.INT16, ir.DataType.INT32)


class MakeExact(LevelPass):
    """Give every operator its exact form.

    1. Conv, Gemm and SumPool over integers become integer operators with int32 accumulators; over floats they are refused (QD0307), but
       for SumPool, which becomes a float island.
    2. An accumulator that may leave 2^24, where torch's float32 sum stops being exact, is refused (QD0303).
    3. BatchNormalization becomes ``fma(x, a, b)`` with torch's a and b.
    4. Sign and Quantize give int8 or int16; standard float operators read integers through a Cast.
    """

    reads = Level.L1
    writes = Level.L2

    def rewrite(self, model: ir.Model) -> bool:
        graph = model.graph
        ranges = analyse(graph)
        for node in list(graph):
            self._convert(graph, node, ranges)
        if self.findings:
            return True
        output = graph.outputs[0]
        if output.dtype != ir.DataType.FLOAT:
            producer = output.producer()
            assert producer is not None
            name, output.name = output.name, f"{output.name}.int"
            to, title = _to(ir.DataType.FLOAT), f"{producer.name}.float"
            if any(node.name == title for node in graph):  # that of its input
                title = f"{producer.name}.output"
            cast = insert_after(producer, "Cast", [output], to, dtype=ir.DataType.FLOAT, name=title)
            cast.outputs[0].name = name
            graph.outputs[0] = cast.outputs[0]
        return True

    def _convert(self, graph: ir.Graph, node: ir.Node, ranges: Ranges) -> None:
        x = node.inputs[0]
        assert x is not None
        span = ranges.get(node.outputs[0])
        kind = node.op_type
        new: ir.Node | None = None
        if kind in ("Conv", "ConvTranspose", "Gemm", "SumPool"):
            new = self._reduction(graph, node, ranges)
        elif kind == "SubtractZero":
            new = replace_node(node, kind, node.inputs, _to(ir.DataType.INT16), domain=DOMAIN, dtype=ir.DataType.INT16)
        elif kind == "Pad":
            new = self._pad(node, span)
        elif kind == "Sign":
            new = replace_node(node, kind, [_as_float(graph, node, x)], _to(ir.DataType.INT8), domain=DOMAIN, dtype=ir.DataType.INT8)
        elif kind == "Quantize":
            low, high = node.attributes["low"].as_int(), node.attributes["high"].as_int()
            if x.dtype in (ir.DataType.INT8, ir.DataType.INT16):
                node.replace_input_with(0, _as_float(graph, node, x))
            dtype = ir.DataType.INT8 if low >= -128 and high <= 127 else ir.DataType.INT16
            new = replace_node(node, kind, node.inputs, {"low": low, "high": high, "to": int(dtype)}, domain=DOMAIN, dtype=dtype)
        elif kind == "ArgMax":
            values = x if x.dtype == ir.DataType.INT32 else _as_float(graph, node, x)
            new = replace_node(node, kind, [values], _to(ir.DataType.INT32), domain=DOMAIN, dtype=ir.DataType.INT32)
        elif kind in ("Scale", "Bias") and x.dtype in (ir.DataType.INT8, ir.DataType.INT16):
            node.replace_input_with(0, _as_float(graph, node, x))
        elif kind == "BatchNormalization":
            gamma, beta, mean, var = (v.const_value.numpy() for v in node.inputs[1:5])  # type: ignore[union-attr]
            a, b = fold_batchnorm(gamma, beta, mean, var, node.attributes["epsilon"].as_float())
            inputs = [x, add_initializer(graph, f"{node.name}.a", a), add_initializer(graph, f"{node.name}.b", b)]
            new = replace_node(node, "BatchNorm", inputs, {}, domain=DOMAIN, dtype=ir.DataType.FLOAT)
        elif kind == "MaxPool" and x.dtype == ir.DataType.INT8:
            channels = int(x.shape[1])  # type: ignore[index, arg-type]
            attributes = {name: node.attributes[name].as_ints() for name in ("kernel_shape", "strides", "pads")}
            if node.attributes["ceil_mode"].as_int():
                self.fail(UserError("QD0301", "a ceil-mode pool of a quantised map has no kernel", where=location(node), help="pad it"))
                return
            minimum = add_initializer(graph, f"{node.name}.minimum", np.zeros(channels, np.uint8))
            new = replace_node(node, "BipolarMaxPool", [x, minimum], attributes, domain=DOMAIN, dtype=ir.DataType.INT8)
        elif kind in ("Rearrange", "Squeeze"):
            assert x.dtype is not None
            node.outputs[0].type = ir.TensorType(x.dtype)
        elif kind in ("Flatten", "Concat"):
            assert x.dtype is not None
            if any(v.dtype != x.dtype for v in node.inputs):  # type: ignore[union-attr]
                for index, value in enumerate(node.inputs):
                    node.replace_input_with(index, _as_float(graph, node, value, index))  # type: ignore[arg-type]
            node.outputs[0].type = ir.TensorType(node.inputs[0].dtype)  # type: ignore[union-attr, arg-type]
        elif kind in ("Add", "Relu", "PRelu", "Clip", "MaxPool"):
            for index, value in enumerate(node.inputs[: 2 if kind == "Add" else 1]):
                node.replace_input_with(index, _as_float(graph, node, value, index))  # type: ignore[arg-type]
        if new is not None and span is not None:
            ranges[new.outputs[0]] = span

    def _pad(self, node: ir.Node, span: Range | None) -> ir.Node | None:
        x = node.inputs[0]
        assert x is not None
        value = node.attributes["value"].as_int()
        if span is None or x.dtype not in (ir.DataType.INT8, ir.DataType.INT16):
            help = "pad behind the activation: QuantConv2d(..., padding_value=1)"
            self.fail(UserError("QD0301", f"padding of a real-valued map with {value}", where=location(node), help=help))
            return None
        info = np.iinfo(x.dtype.numpy())
        if not info.min <= value <= info.max:
            self.fail(UserError("QD0301", f"padding with {value} of a map of {x.dtype.name.lower()}", where=location(node)))
            return None
        attributes = {name: each.value for name, each in node.attributes.items()}
        return replace_node(node, "Pad", [x], attributes, domain=DOMAIN, dtype=x.dtype)

    def _reduction(self, graph: ir.Graph, node: ir.Node, ranges: Ranges) -> ir.Node | None:
        x = node.inputs[0]
        assert x is not None
        if x not in ranges and node.op_type == "SumPool":
            what = "torch sums floats over the map in an order of its own, the artefacts in row-major order (a float island)"
            depart(graph, node, what, "quantise first, then sum the integers: qnn_deploy.nn.layers.GlobalSumPool2d")
            return replace_node(node, "FloatSumPool", [x], {}, domain=DOMAIN, dtype=ir.DataType.FLOAT)
        if x not in ranges:
            help = (
                "quantise its input (qnn_deploy.nn IntActivation or SignActivation before the layer); as it is, `build --calibrate DATA` "
                "gives it int16 activations"
            )
            self.fail(
                UserError(
                    "QD0307", f"{node.op_type} sums real values, in an order that no two machines share", where=location(node), help=help
                )
            )
            return None
        if x.dtype not in (ir.DataType.INT8, ir.DataType.INT16):
            message = f"{node.op_type} reads {_what(x)}"
            help = "put an activation between (SignActivation or IntActivation)"
            self.fail(UserError("QD0301", message, where=location(node), help=help))
            return None
        largest = ranges[node.outputs[0]].largest
        if largest > _EXACT_IN_FLOAT:
            message = f"the accumulator may reach {largest}, over 2^24, where float32 sums stop being exact"
            help = "fewer input channels, smaller weights, or a requantisation before the layer"
            self.fail(UserError("QD0303", message, where=location(node), help=help))
            return None
        if node.op_type == "SumPool":
            return replace_node(node, "SumPool", [x], _to(ir.DataType.INT32), domain=DOMAIN, dtype=ir.DataType.INT32)
        weights = weights_of(node)
        if weights.min() < -128 or weights.max() > 127:
            self.fail(UserError("QD0305", f"weights reach {int(np.abs(weights).max())}; int8 holds -128..127", where=location(node)))
            return None
        source = node.inputs[1]
        assert source is not None
        value = add_initializer(graph, f"{source.name}.int8", weights.astype(np.int8))
        if node.op_type == "Gemm":
            return replace_node(node, "Dense", [x, value], {}, domain=DOMAIN, dtype=ir.DataType.INT32)
        if node.op_type == "ConvTranspose":
            attributes = {name: each.value for name, each in node.attributes.items()} | _to(ir.DataType.INT32)
            return replace_node(node, "ConvTranspose", [x, value], attributes, domain=DOMAIN, dtype=ir.DataType.INT32)
        attributes = {name: node.attributes[name].as_ints() for name in ("strides", "pads", "dilations")}
        return replace_node(
            node, "Conv", [x, value], {**attributes, "group": node.attributes["group"].as_int()}, domain=DOMAIN, dtype=ir.DataType.INT32
        )


def _what(x: ir.Value) -> str:
    """Integers that are no activation's, for people."""
    producer = x.producer()
    if producer is not None and x.dtype == ir.DataType.FLOAT and is_op(producer, "MaxPool", "Concat"):
        return f"{producer.op_type} of integers that has no form but floats"
    return "raw pixels" if x.dtype == ir.DataType.UINT8 else "accumulators"


def _to(dtype: ir.DataType) -> dict[str, int]:
    return {"to": int(dtype)}


def _as_float(graph: ir.Graph, node: ir.Node, value: ir.Value, index: int = 0) -> ir.Value:
    """``value`` itself where it is float, else a Cast of it in front of ``node``."""
    if value.dtype not in _INTEGER_TYPES:
        return value
    name = f"{node.name}.float" + (f".{index}" if index else "")
    cast = ir.node("Cast", [value], _to(ir.DataType.FLOAT), name=name)
    copy_provenance(node, cast)
    cast.outputs[0].name, cast.outputs[0].shape = fresh_name(graph, name), None if value.shape is None else value.shape.copy()
    cast.outputs[0].type = ir.TensorType(ir.DataType.FLOAT)
    graph.insert_before(node, cast)
    return cast.outputs[0]
