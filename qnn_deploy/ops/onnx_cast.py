"""ONNX Cast of integers to float, in front of standard operators and of the graph output."""

from __future__ import annotations

from collections.abc import Sequence

from qnn_deploy.ops._base import Array, Attributes, OpDef, Spec, onnx_dtype, require


def infer(inputs: Sequence[Spec], attributes: Attributes) -> Spec:
    (x,) = inputs
    to = onnx_dtype(attributes["to"])
    require(x.dtype in ("int8", "int16", "int32") and to == "float32", f"it casts {x.dtype} to {to}, not int8, int16 or int32 to float32")
    return Spec(to, x.shape)


def reference(inputs: Sequence[Array], attributes: Attributes) -> Array:
    return inputs[0].astype(onnx_dtype(attributes["to"]))


OP = OpDef("", "Cast", infer, reference, doc="Integers to float32.")
