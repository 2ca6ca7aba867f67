"""Fused multiply-add from TFLite's float32 operators, each of which rounds once: the same as C's ``fmaf``, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qnn_deploy.emit.tflite_file import Graph

# Integers up to here have 12 bits, or are this power of two: their products with half of a float32 are exact.
NARROW = 2**12
# Of the constants, so that no intermediate result is subnormal (the interpreter flushes those to zero) or overflows.
LEAST, MOST = 2.0**-60, 2.0**60
# What is left after two roundings is up to 2^-48 of the result; its product with the last error must not vanish.
_LIFT = np.float32(2.0**96)
_SPLITTER = np.float32(2**12 + 1)


def halves(values: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Each float32 as a sum of two that have 12 bits (Veltkamp)."""
    scaled = values * _SPLITTER
    high = scaled - (scaled - values)
    return high, values - high


def in_reach(values: NDArray[np.float32]) -> bool:
    """True where every constant is 0 or of a size that `fma` takes."""
    sizes = np.abs(values[values != 0])
    return bool(np.all((sizes >= LEAST) & (sizes <= MOST)))


def fma(graph: Graph, x: int, a: NDArray[np.float32], b: NDArray[np.float32], name: str, *, narrow: bool) -> int:
    """The tensor ``x * a + b``, rounded once.

    The product is exact as a sum of two floats (Dekker). The sum of these and b is rounded as in Boldo and Melquiond, "Emulation of a
    FMA and correctly rounded sums" (2008), with a test for the tie in place of their rounding to odd, see `ops._fma`.

    Args:
        x: tensor [1, H, W, C].
        a, b: float32 [C] or [1], for which `in_reach` holds.
        narrow: x holds integers up to `NARROW`, which spares nine operators.
    """
    shape = graph.shape(x)
    count = 0

    def op(kind: str, left: int, right: int, dtype: str = "float32") -> int:
        nonlocal count
        count += 1
        return graph.add(kind, (left, right), f"{name}.fma{count}", shape, dtype)

    def constant(values: Any, what: str) -> int:
        return graph.constant(f"{name}.{what}", np.asarray(values, np.float32).reshape(-1))

    def two_sum(left: int, right: int) -> tuple[int, int]:
        """The rounded sum and its error (Knuth)."""
        total = op("ADD", left, right)
        part = op("SUB", total, left)
        return total, op("ADD", op("SUB", left, op("SUB", total, part)), op("SUB", right, part))

    high, low = (constant(half, what) for half, what in zip(halves(a), ("high", "low"), strict=True))
    if narrow:
        product, rest = op("MUL", x, high), op("MUL", x, low)
    else:
        product = op("MUL", x, constant(a, "a"))
        scaled = op("MUL", x, constant(_SPLITTER, "splitter"))
        x_high = op("SUB", scaled, op("SUB", scaled, x))
        x_low = op("SUB", x, x_high)
        error = op("SUB", product, op("MUL", x_high, high))
        error = op("SUB", error, op("MUL", x_low, high))
        error = op("SUB", error, op("MUL", x_high, low))
        rest = op("SUB", op("MUL", x_low, low), error)
    upper, upper_error = two_sum(rest, constant(b, "b"))
    total, total_error = two_sum(product, upper)
    small, lost = two_sum(total_error, upper_error)
    y, error = two_sum(total, small)
    # Halfway between y and q stands total + small; which side of it the whole sum is on, `lost` says.
    twice = op("ADD", error, error)
    q = op("ADD", y, twice)
    tie = op("EQUAL", op("SUB", q, y), twice, "bool")
    beyond = op("GREATER", op("MUL", op("MUL", lost, constant(_LIFT, "lift")), error), constant(0.0, "zero"), "bool")
    return graph.add("SELECT_V2", (op("LOGICAL_AND", tie, beyond, "bool"), q, y), name, shape)
