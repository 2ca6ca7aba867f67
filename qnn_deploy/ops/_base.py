"""What an operator is: a shape rule, a slow and obvious numpy reference, an ONNX function body and a cost. One file per operator."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

DOMAIN = "qnn_deploy"
VERSION = 1

Array = NDArray[Any]
Attributes = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Spec:
    """Type of a tensor: numpy dtype name and shape. Axis 0 is the batch and is not looked at by shape rules."""

    dtype: str
    shape: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Cost:
    """Multiply-accumulates of one operator for one sample, by operand width (padding taps counted, as the field does)."""

    binary_macs: int = 0
    int8_macs: int = 0


class ShapeError(ValueError):
    """Inputs that the operator does not take; the text says why."""


class ExactnessError(ArithmeticError):
    """Values that leave the range where the operator is exact; the text says which. The compiler refuses such models beforehand."""


@dataclasses.dataclass(frozen=True)
class OpDef:
    """One operator.

    Attributes:
        domain, name: as in the ONNX graph; domain "" is standard ONNX.
        infer: (input specs, attributes) -> output spec; raises ShapeError.
        reference: (input arrays, attributes) -> output array; the living definition of the operator.
        body: the ONNX function as text for ``onnx.parser.parse_function``; None for standard operators.
        cost: (input specs, attributes) -> Cost.
        doc: what it computes, in one sentence; also the doc string of the ONNX function.
    """

    domain: str
    name: str
    infer: Callable[[Sequence[Spec], Attributes], Spec]
    reference: Callable[[Sequence[Array], Attributes], Array]
    body: str | None = None
    cost: Callable[[Sequence[Spec], Attributes], Cost] = lambda inputs, attributes: Cost()
    doc: str = ""

    @property
    def key(self) -> tuple[str, str]:
        return self.domain, self.name


def per_channel(values: Array, rank: int) -> Array:
    """[C] or [1] values, shaped to broadcast against a tensor of ``rank`` whose channels are axis 1."""
    return np.reshape(values, (1, -1, *[1] * (rank - 2)))


def require(condition: bool, text: str) -> None:
    """Raise `ShapeError` with ``text`` unless ``condition`` holds."""
    if not condition:
        raise ShapeError(text)


def onnx_dtype(to: int) -> str:
    """Numpy dtype name of an ONNX dtype enum, such as an attribute ``to``."""
    return str(ir.DataType(to).numpy().name)


def checked_cast(values: Array, dtype: str) -> Array:
    """Integer-valued ``values`` as ``dtype``, every one of them unchanged.

    Raises:
        ExactnessError: a value is no integer or does not fit (float32 holds integers up to 2^24).
    """
    if values.dtype.kind == "f" and not np.array_equal(values, np.rint(values)):
        raise ExactnessError("a value is not an integer")
    if dtype == "float32":
        low, high = -(2**24), 2**24
    else:
        low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    if values.size and (values.min() < low or values.max() > high):
        raise ExactnessError(f"values in [{values.min()}, {values.max()}] do not fit {dtype}")
    return values.astype(dtype)


# ONNX text that gives ``shape``, to which [C] or [1] values are reshaped to broadcast against x: [1, -1, 1, ...] of x's rank.
CHANNEL_SHAPE = """
            trailing = Shape <start: int = 2> (x)
            ones = Div (trailing, trailing)
            head = Constant <value_ints: ints = [1, -1]> ()
            shape = Concat <axis: int = 0> (head, ones)"""
