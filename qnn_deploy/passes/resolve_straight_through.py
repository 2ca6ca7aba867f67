"""Straight-through tricks written as arithmetic: ``x + (q(x) - x)``, with detach() anywhere, is q(x), and nearly always in every bit.

In binary32, with r = fl(q - y) and the trick giving fl(y + r):

* q is sign(x) and y is 0 or has the sign of q (y = x, a clamp of x, tanh(x), Bi-Real's polynomial of x), |y| <= 2^24. For |y| >= 1/2 the
  difference is exact (Sterbenz up to 2; above, y is a multiple of its last place, and so is 1). Below 1/2, r is off by at most 2^-25, and
  so is y + r off 1 before it is rounded: half the distance to the next float below 1, a tie that goes to 1, the even one.
  All 1,266,679,809 floats of [0, 2^24] were tried as well: none gives anything but 1.
* q is clamp(round(y)) with 0 in [low, high], |y| <= 2^24: between 1/2 and 3/2 of q the difference is exact (Sterbenz), beyond the clamp
  it is a multiple of y's last place below y, where q is 0 it is -y.

Everything else is q up to rounding, and is noted as a departure.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from qnn_deploy.ir.edit import STRAIGHT, attribute, constant, is_op, replace_value
from qnn_deploy.ir.match import Bind, Const, Either, Match, Op, Pattern, match
from qnn_deploy.passes._importing import ImportPass
from qnn_deploy.passes.departures import depart

ROUNDS = "a straight-through trick, x + (q(x) - x): the difference rounds, so the sum is not always q(x). The artefacts compute q(x)"
REMEDY = "return q(x) itself in eval(), from qnn_deploy.nn.functional or a torch.autograd.Function"

_TRICK = Op("Add", Bind("y"), Op("Sub", Bind("q"), Bind("y")), commutes=True)
# q + (x - x.detach()): the difference is 0.
_NOTHING_ADDED = Op("Add", Bind("q"), Op("Sub", Bind("y"), Bind("y")), commutes=True)
# q + x - x.detach(): the sum rounds.
_SUM_FIRST = Op("Sub", Op("Add", Bind("q"), Bind("y"), commutes=True), Bind("y"))


class ResolveStraightThrough(ImportPass):
    """``y + (q - y)``, ``q + (y - y)`` and ``(q + y) - y`` of computed tensors -> q.

    `ProveStraightThrough` checks that y is small enough where that decides.
    """

    def rewrite(self, model: ir.Model) -> bool:
        changed = False
        for node in list(model.graph):
            if len(node.outputs) != 1 or node.graph is None:
                continue
            for trick in (_TRICK, _NOTHING_ADDED, _SUM_FIRST):
                found = match(trick, node.outputs[0])
                if isinstance(found, Match):
                    break
            else:
                continue
            assert isinstance(found, Match)
            y, q = found.values["y"], found.values["q"]
            producer = q.producer()
            if constant(y) is not None or producer is None or not _quantises(producer):
                continue
            if trick is _TRICK and _exact_for_bounded(producer, y):
                producer.metadata_props[STRAIGHT] = "y"
            elif trick is not _NOTHING_ADDED:
                depart(model.graph, node, ROUNDS, REMEDY)
            replace_value(node.outputs[0], q)
            model.graph.remove(node, safe=True)
            changed = True
        return changed


def _quantises(node: ir.Node) -> bool:
    """True for a sign or a quantiser, behind which may stand the multiplication by its scale."""
    if is_op(node, "Mul", "Div"):
        producers = [value.producer() for value in node.inputs if value is not None and constant(value) is None]
        return len(producers) == 1 and producers[0] is not None and _quantises(producers[0])
    return node.op_type in ("Sign", "Quantize")


def _exact_for_bounded(q: ir.Node, y: ir.Value) -> bool:
    """True where ``y + (q - y)`` is q for every input of the quantiser up to 2^24 (see above)."""
    x = q.inputs[0]
    assert x is not None
    if q.op_type == "Sign":
        return _root(y) is _strict_root(x)
    if q.op_type == "Quantize":
        low, high = attribute(q, "low"), attribute(q, "high")
        scale = constant(q.inputs[1])
        assert scale is not None
        return low <= 0 <= high and _ratio(y, float(scale.reshape(())), low, high) is x
    return False


def _limits(clip: ir.Node) -> tuple[float, float] | None:
    limits = [constant(value) for value in clip.inputs[1:3]]
    return None if len(limits) != 2 or limits[0] is None or limits[1] is None else (float(limits[0]), float(limits[1]))


def _root(y: ir.Value) -> ir.Value:
    """The value whose sign y has wherever y is not 0."""
    found = match(_BI_REAL, y)
    if isinstance(found, Match):
        return found.values["x"]
    node = y.producer()
    if node is not None and is_op(node, "Clip"):
        limits = _limits(node)
        if limits is None or not limits[0] <= 0 <= limits[1]:
            return y
    elif not (node is not None and (is_op(node, "Tanh") or _is_growth_inside_tanh(y, node))):
        return y
    assert node.inputs[0] is not None
    return _root(next(value for value in node.inputs if value is not None and constant(value) is None))


def _is_growth_inside_tanh(y: ir.Value, node: ir.Node) -> bool:
    """True for x times (or divided by) a positive number that only tanh reads, which bounds what may become of it."""
    if not (is_op(node, "Mul", "Div") and all(is_op(use.node, "Tanh") for use in y.uses())):
        return False
    factors = [constant(value) for value in node.inputs]
    return sum(factor is None for factor in factors) == 1 and all(factor is None or bool((factor > 0).all()) for factor in factors)


def _strict_root(x: ir.Value) -> ir.Value:
    """The value that is 0 or negative exactly where x is."""
    node = x.producer()
    while node is not None and is_op(node, "Clip"):
        limits = _limits(node)
        if limits is None or not limits[0] < 0 < limits[1]:
            break
        assert node.inputs[0] is not None
        x = node.inputs[0]
        node = x.producer()
    return x


def _ratio(y: ir.Value, scale: float, low: int, high: int) -> ir.Value | None:
    """x where y is x / scale, or that clamped to limits that do not change what clamp(round(y), low, high) is; None elsewhere."""
    node = y.producer()
    if node is not None and is_op(node, "Clip"):
        limits = _limits(node)
        if limits is None or limits[0] > low or limits[1] < high:
            return None
        return _ratio(node.inputs[0], scale, low, high) if node.inputs[0] is not None else None
    if node is not None and is_op(node, "Div", "Mul"):
        factor = constant(node.inputs[1])
        if factor is not None and bool(np.all(factor == np.float32(scale if node.op_type == "Div" else 1 / scale))):
            return node.inputs[0]
    return y if scale == 1 else None


def _below(limit: float) -> Op:
    return Op("Cast", Either(Op("Less", Bind("x"), Const(equal=limit)), Op("Greater", Const(equal=limit), Bind("x"))))


def _otherwise(limit: float) -> Op:
    return Op("Sub", Const(equal=1), _below(limit))


def _product(a: Pattern, b: Pattern) -> Op:
    return Op("Mul", a, b, commutes=True)


_SQUARE = Either(Op("Mul", Bind("x"), Bind("x")), Op("Pow", Bind("x"), Const(equal=2)))
_NEGATIVE_SQUARE = Either(_product(Op("Neg", Bind("x")), Bind("x")), Op("Neg", _SQUARE), _product(_SQUARE, Const(equal=-1)))
_DOUBLE = _product(Bind("x"), Const(equal=2))
_OUT_1 = Op(
    "Add", _product(_below(-1), Const(equal=-1)), _product(Op("Add", _SQUARE, _DOUBLE, commutes=True), _otherwise(-1)), commutes=True
)
_OUT_2 = Op("Add", _product(_OUT_1, _below(0)), _product(Op("Add", _NEGATIVE_SQUARE, _DOUBLE, commutes=True), _otherwise(0)), commutes=True)
# Bi-Real Net's ApproxSign (Liu et al. 2018), as its code and ReActNet's write it: -1, x^2 + 2x, 2x - x^2, 1 by masks.
# For -1 <= x < 0, x^2 <= |x| <= |2x|, also rounded, so the sum is not positive; the same from the other side.
_BI_REAL = Op("Add", _product(_OUT_2, _below(1)), Either(_otherwise(1), _product(_otherwise(1), Const(equal=1))), commutes=True)
