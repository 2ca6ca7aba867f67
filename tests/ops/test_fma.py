"""The software fma against exact rational arithmetic and against the C library's."""

from __future__ import annotations

import ctypes
import ctypes.util
from fractions import Fraction

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from qnn_deploy.ops import batch_norm
from qnn_deploy.ops._fma import fma

Floats = NDArray[np.float32]
MAX = float(np.finfo(np.float32).max)


def rounded(value: Fraction) -> float:
    """The binary32 number nearest to a non-zero rational, half to even, without any floating-point arithmetic."""
    sign, size = (-1 if value < 0 else 1), abs(value)
    exponent = max(size.numerator.bit_length() - size.denominator.bit_length() - 1, -126)
    if size >= Fraction(2) ** (exponent + 1):
        exponent += 1
    unit = Fraction(2) ** (exponent - 23)
    # Python rounds a Fraction half to even.
    nearest = round(size / unit) * unit
    return sign * (np.inf if nearest >= Fraction(2) ** 128 else float(nearest))


def exact(x: Floats, a: Floats, b: Floats) -> Floats:
    """fma by rational arithmetic, for finite operands; an exact zero is taken from IEEE 754's rule."""
    out = []
    for u, v, w in zip(x.tolist(), a.tolist(), b.tolist(), strict=True):
        value = Fraction(u) * Fraction(v) + Fraction(w)
        out.append(rounded(value) if value else u * v + w)
    with np.errstate(over="ignore"):
        return np.array(out, np.float32)


def bits(values: Floats) -> NDArray[np.int32]:
    return values.view(np.int32)


def double_then_float(x: Floats, a: Floats, b: Floats) -> Floats:
    with np.errstate(all="ignore"):
        return (x.astype(np.float64) * a + b).astype(np.float32)


def nudged(x: Floats, a: Floats, b: Floats) -> Floats:
    """The sum moved by about one last bit towards the error, inexact or not: looks right, is not."""
    with np.errstate(all="ignore"):
        p = x.astype(np.float64) * a
        s = p + b
        t = s - p
        e = (p - (s - t)) + (b - t)
        return (s + np.sign(e) * np.abs(s) * 2.0**-52).astype(np.float32)


def near_ties() -> tuple[Floats, Floats, Floats]:
    """Products that lie halfway between two binary32 numbers, and addends of the order of a double's last bit or below."""
    rng = np.random.default_rng(1)
    triples = []
    for middle in rng.integers(2**24, 2**25, 1000) | 1:
        divisor = next((d for d in range(3, 400, 2) if middle % d == 0 and middle // d < 2**24), None)
        if divisor is None:
            continue
        for addend in (2.0**-60, 0.4 * 2.0**-28, 0.6 * 2.0**-28, 0.9 * 2.0**-28, 2.0**-28, 1.4 * 2.0**-28, 1.6 * 2.0**-28, 2.5 * 2.0**-28):
            for sign in (1, -1):
                scale = 2.0 ** int(rng.integers(-40, 40))
                triples.append((divisor * float(rng.choice([-1, 1])), middle // divisor * scale, sign * addend * scale))
    x, a, b = np.array(triples, np.float32).T
    return x.copy(), a.copy(), b.copy()


def edges() -> tuple[Floats, Floats, Floats]:
    """Every triple of a list of extreme numbers: zeros of both signs, subnormals, the largest and around the tie with infinity."""
    tiny, least = 2.0**-126, 2.0**-149
    values = [
        0.0,
        1.0,
        3.0,
        least,
        3 * least,
        tiny,
        tiny - least,
        2.0**-75,
        2.0**-74 * 1.5,
        2.0**64,
        2.0**103,
        2.0**104,
        2.0**-60,
        MAX,
        2.0**24 + 2,
    ]
    values = np.array(values + [-v for v in values], np.float32)
    x, a, b = (grid.ravel().copy() for grid in np.meshgrid(values, values, values, indexing="ij"))
    return x, a, b


def overflow_ties() -> tuple[Floats, Floats, Floats]:
    """Sums at 2^128 - 2^103, halfway between the largest number and 2^128, a little less, a little more."""
    # (2^25 - 1) = 31 * 601 * 1801
    x = np.array([31 * 601.0] * 6, np.float32)
    a = np.array([1801.0 * 2.0**103] * 6, np.float32)
    b = np.array([0.0, 1.0, -1.0, -(2.0**-149), 2.0**74, -(2.0**75)], np.float32)
    return np.concatenate([x, -x]), np.concatenate([a, a]), np.concatenate([b, -b])


SETS = {"near ties": near_ties, "edges": edges, "overflow ties": overflow_ties}


@pytest.mark.parametrize("name", SETS)
def test_equals_rational_arithmetic(name: str) -> None:
    x, a, b = SETS[name]()
    np.testing.assert_array_equal(bits(fma(x, a, b)), bits(exact(x, a, b)))


@pytest.mark.parametrize("name", SETS)
def test_onnx_body_equals_rational_arithmetic(name: str, agree) -> None:
    x, a, b = SETS[name]()
    pad = -len(x) % 500
    x, a, b = (np.pad(v, (0, pad)) for v in (x, a, b))
    # a and b are initializers of the operator: the triples lie along its channels.
    ends = [onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL, onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL]
    got = agree(batch_norm.OP, [x[None], a, b], levels=ends)
    np.testing.assert_array_equal(bits(got[0]), bits(exact(x, a, b)))


def test_shorter_ways_fail_on_near_ties() -> None:
    x, a, b = near_ties()
    truth = bits(exact(x, a, b))
    assert (bits(double_then_float(x, a, b)) != truth).mean() > 0.05
    assert (bits(nudged(x, a, b)) != truth).any()


def test_equals_the_c_library() -> None:
    name = ctypes.util.find_library("m")
    if name is None:
        pytest.skip("no C mathematics library is found")
    libm = ctypes.CDLL(name)
    libm.fmaf.restype, libm.fmaf.argtypes = ctypes.c_float, [ctypes.c_float] * 3
    rng = np.random.default_rng(2)
    count = 1_000_000
    # Any bit pattern, and a second half whose product and addend are of one order, so that they interact.
    x, a, b = (rng.integers(0, 2**32, count, dtype=np.uint64).astype(np.uint32).view(np.float32) for _ in range(3))
    half = count // 2
    x[half:], a[half:], b[half:] = (rng.standard_normal(half).astype(np.float32) * 2.0 ** rng.integers(-12, 12, half) for _ in range(3))
    x[half:] = np.rint(x[half:] * 64)
    truth = np.fromiter(map(libm.fmaf, x.tolist(), a.tolist(), b.tolist()), np.float32, count)
    got = fma(x, a, b)
    nan = np.isnan(truth)
    np.testing.assert_array_equal(np.isnan(got), nan)
    np.testing.assert_array_equal(bits(got[~nan]), bits(truth[~nan]))


finite = st.floats(width=32, allow_nan=False, allow_infinity=False)


@settings(max_examples=300, deadline=None)
@given(finite, finite, finite)
def test_equals_rational_arithmetic_anywhere(x: float, a: float, b: float) -> None:
    arrays = [np.array([v], np.float32) for v in (x, a, b)]
    np.testing.assert_array_equal(bits(fma(*arrays)), bits(exact(*arrays)))


def test_not_finite() -> None:
    inf, nan = np.inf, np.nan
    x, a, b = (
        np.array(v, np.float32) for v in ([inf, inf, inf, 0, nan, MAX, -MAX], [1, 1, 0, inf, 1, MAX, MAX], [1, -inf, 1, 1, 1, -MAX, inf])
    )
    np.testing.assert_array_equal(fma(x, a, b), np.array([inf, nan, nan, nan, nan, inf, inf], np.float32))


def test_takes_float32_only() -> None:
    with pytest.raises(TypeError):
        fma(np.zeros(1), np.zeros(1, np.float32), np.zeros(1, np.float32))
