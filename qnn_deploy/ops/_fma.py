"""Fused multiply-add in binary32, exactly rounded once, for numpy and as ONNX text."""

from __future__ import annotations

import numpy as np

from qnn_deploy.ops._base import Array


def fma(x: Array, a: Array, b: Array) -> Array:
    """``x * a + b`` with one rounding, as C's ``fmaf``.

    The product of two binary32 numbers is exact in binary64, and the sum's rounding error ``e`` is another binary64 number (two-sum).
    The sum is then *rounded to odd*: where it is inexact and its last bit is even, it moves one step towards the truth.
    From a number rounded to odd with at least two spare bits the second rounding gives what a single one would
    (Boldo and Melquiond 2008); so it does for subnormal results and at overflow.

    Args:
        x, a, b: float32, broadcast against each other.

    Returns:
        float32, of the broadcast shape.
    """
    for name, values in (("x", x), ("a", a), ("b", b)):
        if values.dtype != np.float32:
            raise TypeError(f"fma takes float32, {name} is {values.dtype}")
    with np.errstate(all="ignore"):
        p = x.astype(np.float64) * a.astype(np.float64)
        addend = b.astype(np.float64)
        s = np.asarray(p + addend)
        t = s - p
        e = (p - (s - t)) + (addend - t)
        even = (s.view(np.int64) & 1) == 0
        move = (e != 0) & even
        s[move] = np.nextafter(s[move], np.copysign(np.inf, e[move]))
        return s.astype(np.float32)


# The same from ONNX operators, which cannot see a double's last bit. Values in: xf, af, bf (float). Value out: y (float).
# Rounding s first and the rest after goes wrong only where s is halfway between two binary32 numbers, which e then decides.
# With y0 = float(s) and d = s - y0, the number as far on the other side, y0 + 2 d, is binary32 only at such a tie.
# (To move every inexact s a little towards e is not enough: it may move a neighbour of a tie onto the tie.)
# An infinite y0 makes q0 NaN, which equals nothing; the tie between the largest finite number and 2^128, which has such a y0,
# is compared by value.
FMA_BODY = """
            xd = Cast <to: int = 11> (xf)
            ad = Cast <to: int = 11> (af)
            bd = Cast <to: int = 11> (bf)
            p = Mul (xd, ad)
            s = Add (p, bd)
            t = Sub (s, p)
            u = Sub (s, t)
            e1 = Sub (p, u)
            e2 = Sub (bd, t)
            e = Add (e1, e2)
            y0 = Cast <to: int = 1> (s)
            y0d = Cast <to: int = 11> (y0)
            d = Sub (s, y0d)
            d2 = Add (d, d)
            q0 = Add (y0d, d2)
            q = Cast <to: int = 1> (q0)
            qd = Cast <to: int = 11> (q)
            tie = Equal (qd, q0)
            side = Mul (e, d)
            zero = Constant <value: tensor = double {0.0}> ()
            beyond = Greater (side, zero)
            other = And (tie, beyond)
            y1 = Where (other, q, y0)
            size = Abs (s)
            limit = Constant <value: tensor = double {340282356779733661637539395458142568448.0}> ()
            edge = Equal (size, limit)
            inward = Mul (e, s)
            less = Less (inward, zero)
            finite = And (edge, less)
            direction = Sign (s)
            finite_max = Constant <value: tensor = double {340282346638528859811704183484516925440.0}> ()
            largest_d = Mul (direction, finite_max)
            largest = Cast <to: int = 1> (largest_d)
            y = Where (finite, largest, y1)"""
