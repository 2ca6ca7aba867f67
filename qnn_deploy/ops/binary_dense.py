"""BinaryDense: product of integers and a matrix of one bit."""

from __future__ import annotations

from collections.abc import Sequence

from qnn_deploy.ops._base import DOMAIN, Array, Attributes, Cost, OpDef, Spec, checked_cast, require
from qnn_deploy.ops._bits import UNPACK_BODY, unpack_signs
from qnn_deploy.ops.dense import multiply


def infer(inputs: Sequence[Spec], attributes: Attributes) -> Spec:
    x, w = inputs
    features = attributes["in_features"]
    width = -(-features // 8)
    require(x.dtype in ("int8", "int16"), f"the input is {x.dtype}, not int8 or int16")
    require(len(x.shape) == 2, f"the input has {len(x.shape)} axes, not 2")
    require(x.shape[1] == features, f"the input has {x.shape[1]} features, the weights take {features}")
    require(
        w.dtype == "uint8" and len(w.shape) == 2 and w.shape[1] == width,
        f"the weights are {w.dtype} {list(w.shape)}, not uint8 [O, {width}]",
    )
    return Spec("int32", (x.shape[0], w.shape[0]))


def reference(inputs: Sequence[Array], attributes: Attributes) -> Array:
    x, packed = inputs
    return checked_cast(multiply(x, unpack_signs(packed, attributes["in_features"])), "int32")


def cost(inputs: Sequence[Spec], attributes: Attributes) -> Cost:
    x, w = inputs
    macs = w.shape[0] * int(attributes["in_features"])
    return Cost(binary_macs=macs) if x.dtype == "int8" else Cost(int8_macs=macs)


BODY = f"""
        <domain: "qnn_deploy", opset_import: ["" : 20]>
        BinaryDense <in_features> (x, packed) => (y) {{
            features = Constant <value_int: int = @in_features> ()
            single = Constant <value_ints: ints = [1]> ()
            count = Reshape (features, single){UNPACK_BODY}
            xd = Cast <to: int = 11> (x)
            wd = Cast <to: int = 11> (flat)
            wt = Transpose <perm: ints = [1, 0]> (wd)
            sum = MatMul (xd, wt)
            y = Cast <to: int = 6> (sum)
        }}"""

OP = OpDef(
    DOMAIN,
    "BinaryDense",
    infer,
    reference,
    BODY,
    cost,
    doc="x @ w.T of int8 or int16 x [N, I] and weights +1/-1, int32 sums. "
    "Weights: uint8 [O, ceil(I / 8)], least significant bit first, bit 1 = -1, spare bits 0.",
)
