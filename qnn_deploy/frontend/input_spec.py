"""``--input 1x3x32x32:uint8[:zero=Z][:scale=S]``: what a model that starts from floats is fed with."""

from __future__ import annotations

import dataclasses
import math
import re

from qnn_deploy.errors import UserError

EXAMPLE = "1x3x32x32:uint8:zero=125,123,114"
_RANGES = {"uint8": (0, 255), "int8": (-128, 127), "int16": (-32768, 32767)}


@dataclasses.dataclass(frozen=True)
class InputSpec:
    """The integer input of a network.

    Attributes:
        shape: of one sample, [C, H, W], [C, L] or [features].
        dtype: "uint8", "int8" or "int16".
        zero: zero point of each channel; the network starts from ``float(x) - zero``.
        scale: factor of each channel on that, one binary32 multiplication; None for none.
    """

    shape: tuple[int, ...]
    dtype: str
    zero: tuple[int, ...]
    scale: tuple[float, ...] | None = None


def parse_input_spec(text: str) -> InputSpec:
    """The input that ``text`` describes: ``1xCxHxW:dtype``, ``1xCxL:dtype`` or ``1xF:dtype``, then ``:zero=`` and ``:scale=``
    of one or C numbers.

    Raises:
        UserError: QD0106 where the text is malformed, QD0308 where a zero point or scale cannot be used.
    """

    def malformed(what: str) -> UserError:
        return UserError("QD0106", f"--input {text!r}: {what}", help=f"for example --input {EXAMPLE}")

    sizes, *rest = text.strip().split(":")
    if not rest:
        raise malformed("the dtype is missing")
    if not re.fullmatch(r"[1N]x[1-9]\d*(x[1-9]\d*){0,2}", sizes):
        raise malformed("the shape is 1xCxHxW, 1xCxL or 1xFEATURES, the batch being 1")
    shape = tuple(int(size) for size in sizes.split("x")[1:])
    dtype, *options = rest
    if dtype not in _RANGES:
        raise malformed(f"the dtype is {', '.join(_RANGES)}, not {dtype!r}")
    given: dict[str, tuple[float, ...]] = {}
    for option in options:
        key, equals, value = option.partition("=")
        if key not in ("zero", "scale") or not equals or key in given:
            raise malformed(f"{option!r} is not zero=... or scale=..., each once")
        try:
            given[key] = tuple(float(number) for number in value.split(","))
        except ValueError:
            raise malformed(f"{option!r} does not hold numbers") from None
        if len(given[key]) not in (1, shape[0]):
            raise malformed(f"{key} takes 1 or {shape[0]} numbers, not {len(given[key])}")
    return InputSpec(shape, dtype, _zero(given.get("zero", (0,)), shape[0], dtype), _scale(given.get("scale"), shape[0]))


def _zero(values: tuple[float, ...], channels: int, dtype: str) -> tuple[int, ...]:
    low, high = _RANGES[dtype]
    for value in values:
        if not (math.isfinite(value) and value == int(value) and low <= value <= high):
            raise UserError("QD0308", f"the zero point {value:g} is not an integer of {dtype}, in [{low}, {high}]", help=_ZERO_HELP)
        if dtype == "int16" and value != 0:
            raise UserError("QD0308", f"the zero point {value:g}: x - zero would leave int16", help="int16 features take no zero point")
    zero = tuple(int(value) for value in values)
    return zero if len(zero) == channels else zero * channels


def _scale(values: tuple[float, ...] | None, channels: int) -> tuple[float, ...] | None:
    if values is None:
        return None
    for value in values:
        if not (math.isfinite(value) and value > 0):
            raise UserError("QD0308", f"the scale {value:g} is not a positive number")
    return values if len(values) == channels else values * channels


_ZERO_HELP = "round it to the next integer and let the first BatchNorm take the rest"
