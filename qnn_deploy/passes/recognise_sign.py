"""The many ways to write a sign with sign(0) = +1 become one operator, qnn_deploy::Sign. torch.sign (three values) stays ONNX's Sign."""

from __future__ import annotations

import onnx_ir as ir

from qnn_deploy.ir.edit import DOMAIN, FLOAT, insert_after, is_op, replace_node, shape_of, supersede
from qnn_deploy.ir.match import Bind, Const, Either, Match, Op, Pattern, match
from qnn_deploy.passes._importing import ImportPass

_X, _C = Bind("x"), Const("c")
_NOT_LESS = Either(Op("GreaterOrEqual", _X, _C), Op("LessOrEqual", _C, _X), Op("Not", Either(Op("Less", _X, _C), Op("Greater", _C, _X))))
_LESS = Either(Op("Less", _X, _C), Op("Greater", _C, _X), Op("Not", Either(Op("GreaterOrEqual", _X, _C), Op("LessOrEqual", _C, _X))))


def _constant(value: float) -> Const:
    return Const(equal=value)


def _doubled(condition: Pattern) -> Op:
    return Op("Mul", Op("Cast", condition), _constant(2), commutes=True)


_SIGN3 = Op("Sign", _X)
_ZERO = Either(Op("Equal", _SIGN3, _constant(0), commutes=True), Op("Equal", _X, _constant(0), commutes=True))
# s[s == 0] = 1 comes as a scatter of a 1, expanded to the number of zeros.
_SCATTER = Op(
    "ScatterND",
    _SIGN3,
    Op("Transpose", Op("NonZero", _ZERO)),
    Either(_constant(1), Op("Reshape", Op("Expand", _constant(1), Bind()), Bind()), Op("Expand", _constant(1), Bind())),
)
# Forms with a threshold c: +1 where x >= c.
_COMPARED = Either(
    Op("Where", _NOT_LESS, _constant(1), _constant(-1)),
    Op("Where", _LESS, _constant(-1), _constant(1)),
    Op("Sub", _doubled(_NOT_LESS), _constant(1)),
    Op("Add", _doubled(_NOT_LESS), _constant(-1), commutes=True),
    Op("Sub", _constant(1), _doubled(_LESS)),
    Op("Sub", Op("Cast", _NOT_LESS), Op("Cast", _LESS)),
)
# Forms on top of torch.sign.
_REPAIRED = Either(
    Op("Where", _ZERO, _constant(1), _SIGN3),
    Op("Where", Op("Not", _ZERO), _SIGN3, _constant(1)),
    Op("Add", _SIGN3, Op("Cast", _ZERO), commutes=True),
    _SCATTER,
)


class RecogniseSign(ImportPass):
    """1. The marker qnn_deploy::sign.  2. Comparisons with 0.  3. torch.sign whose zeros are replaced by ones.  All -> qnn_deploy::Sign.

    A comparison with another constant c becomes the sign of x - c: in binary32 the difference is negative exactly where x < c.
    """

    def rewrite(self, model: ir.Model) -> bool:
        changed = False
        for node in list(model.graph):
            if len(node.outputs) != 1 or node.graph is None:
                continue
            if node.domain == DOMAIN and node.op_type == "sign":
                assert node.inputs[0] is not None
                replace_node(node, "Sign", [node.inputs[0]], {"to": FLOAT}, domain=DOMAIN)
                changed = True
            elif is_op(node, "Where", "Sub", "Add", "Cast", "ScatterND"):
                changed |= _recognise(node)
        return changed


def _recognise(node: ir.Node) -> bool:
    if node.outputs[0].dtype != ir.DataType.FLOAT:
        return False  # an integer form, completed by a Cast further on
    for pattern in (_COMPARED, _REPAIRED):
        found = match(pattern, node.outputs[0])
        if not found and node.op_type == "Cast":
            found = match(Op("Cast", pattern), node.outputs[0])
        if isinstance(found, Match):
            break
    else:
        return False
    x, threshold = found.values["x"], found.constants.get("c")
    if x.dtype != ir.DataType.FLOAT or shape_of(x) != shape_of(node.outputs[0]):
        return False
    last = node
    if threshold is not None and threshold.any():
        # The comparison's own operand, so that the constant keeps its shape; NormaliseElementwise makes it a Bias.
        comparison = next(each for each in found.nodes if each.op_type in ("GreaterOrEqual", "LessOrEqual", "Less", "Greater"))
        operand = next(value for value in comparison.inputs if value is not x)
        assert operand is not None
        last = insert_after(node, "Sub", [x, operand], {})
        x = last.outputs[0]
    supersede(node, insert_after(last, "Sign", [x], {"to": FLOAT}, domain=DOMAIN))
    return True
