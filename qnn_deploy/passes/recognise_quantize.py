"""Quantisers become qnn_deploy::Quantize: our marker, and round and clamp in the two orders that give the same integers."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from qnn_deploy.ir.edit import DOMAIN, FLOAT, add_initializer, attribute, constant, insert_after, is_op, refuse, replace_node, supersede
from qnn_deploy.ir.match import Bind, Const, Either, Match, Op, match
from qnn_deploy.passes._importing import ImportPass, power_of_two

_X = Bind("x")
_RATIO = Either(Op("Div", _X, Const("divisor", size=1)), Op("Mul", _X, Const("factor", size=1), commutes=True), _X)
_FORMS = Either(
    Op("Clip", Op("Round", _RATIO), Const("low", size=1), Const("high", size=1)),
    Op("Round", Op("Clip", _RATIO, Const("low", size=1), Const("high", size=1))),
)
# The clamp in front of the scale: the scaled limits are the integers, and the product stays a step of its own.
_SCALED = Op(
    "Round",
    Either(
        Op("Mul", Op("Clip", _X, Const("low", size=1), Const("high", size=1)), Const("factor", size=1), commutes=True),
        Op("Div", Op("Clip", _X, Const("low", size=1), Const("high", size=1)), Const("divisor", size=1)),
    ),
)
# float32 holds every integer up to here.
_LARGEST = 2**24


class RecogniseQuantize(ImportPass):
    """``clamp(round(x / s), low, high)`` and ``round(clamp(x / s, low, high))``, low and high integers -> Quantize.

    ``round(clamp(x, low, high) * f)`` too, where low * f and high * f are integers.
    ``x * f`` counts as ``x / (1 / f)`` only where f is a power of two: elsewhere the two round differently.
    """

    def rewrite(self, model: ir.Model) -> bool:
        changed = False
        for node in list(model.graph):
            if node.domain == DOMAIN and node.op_type == "quantize":
                changed |= self._marker(model.graph, node)
            elif is_op(node, "Clip", "Round"):
                changed |= _from_arithmetic(model.graph, node)
        return changed

    def _marker(self, graph: ir.Graph, node: ir.Node) -> bool:
        x, scale = node.inputs
        assert x is not None
        array = constant(scale)
        if array is None or array.size != 1:
            self.fail(refuse(node, "QD0301", "the scale of an activation quantiser must be one constant number"))
            return False
        if not (np.isfinite(array).all() and (array > 0).all()):
            self.fail(refuse(node, "QD0301", f"the scale of an activation quantiser is {float(array.flat[0])}, not a positive number"))
            return False
        _put(graph, node, x, array, attribute(node, "low"), attribute(node, "high"))
        return True


def _from_arithmetic(graph: ir.Graph, node: ir.Node) -> bool:
    found = match(_FORMS, node.outputs[0])
    if not isinstance(found, Match) or not _integers(found):
        return _from_scaled_clamp(graph, node)
    low, high = (float(found.constants[name].flat[0]) for name in ("low", "high"))
    scale: NDArray[np.float32] = np.ones(1, np.float32)
    if "divisor" in found.constants:
        scale = found.constants["divisor"]
    elif "factor" in found.constants:
        if not power_of_two(float(found.constants["factor"].flat[0])):
            return False
        scale = (1 / found.constants["factor"]).astype(np.float32)
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        return False
    _put(graph, node, found.values["x"], scale, int(low), int(high))
    return True


def _integers(found: Match) -> bool:
    low, high = (float(found.constants[name].flat[0]) for name in ("low", "high"))
    return -_LARGEST <= low <= high <= _LARGEST and low == round(low) and high == round(high)


def _from_scaled_clamp(graph: ir.Graph, node: ir.Node) -> bool:
    """``round(clamp(x, a, b) * f)`` -> Quantize(x * f, 1, a * f, b * f): the rounded product rises with x, so clamping may come last."""
    found = match(_SCALED, node.outputs[0])
    if not isinstance(found, Match):
        return False
    kind = "Mul" if "factor" in found.constants else "Div"
    number = found.constants["factor" if kind == "Mul" else "divisor"].astype(np.float32).reshape(())
    limits = [found.constants[name].astype(np.float32).reshape(()) for name in ("low", "high")]
    low, high = (float(limit * number if kind == "Mul" else limit / number) for limit in limits)
    if not (np.isfinite(number) and number > 0 and -_LARGEST <= low <= high <= _LARGEST and low == round(low) and high == round(high)):
        return False
    x = found.values["x"]
    if kind == "Div":
        _put(graph, node, x, number, int(low), int(high))
        return True
    product = insert_after(node, "Mul", [x, add_initializer(graph, f"{node.outputs[0].name}_factor", number)], {})
    one = add_initializer(graph, f"{node.outputs[0].name}_scale", np.ones(1, np.float32))
    attributes = {"low": int(low), "high": int(high), "to": FLOAT}
    supersede(node, insert_after(product, "Quantize", [product.outputs[0], one], attributes, domain=DOMAIN))
    return True


def _put(graph: ir.Graph, node: ir.Node, x: ir.Value, scale: NDArray[np.float32], low: int, high: int) -> None:
    value = add_initializer(graph, f"{node.outputs[0].name}_scale", scale.reshape(1).astype(np.float32))
    replace_node(node, "Quantize", [x, value], {"low": low, "high": high, "to": FLOAT}, domain=DOMAIN)
