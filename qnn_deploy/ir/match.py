"""A small, exact matcher: does the expression that computes a value have this form?

A pattern is a tree of `Op`, `Const`, `Bind` and `Either`, matched from a value backwards along its producers. There is no tolerance
anywhere: constants are compared element by element. Values inside a match may have other users; who replaces the root leaves them.

    match(Op("Where", Op("GreaterOrEqual", Bind("x"), Const(equal=0)), Const(equal=1), Const(equal=-1)), node.outputs[0])

gives a `Match` with ``values["x"]``, or a `Miss` that says why not.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from qnn_deploy.ir.edit import constant


@dataclasses.dataclass(frozen=True)
class Bind:
    """Any value. Two of one name must be the same value; an empty name binds nothing."""

    name: str = ""


@dataclasses.dataclass(frozen=True)
class Const:
    """A constant.

    Attributes:
        name: what to bind it to; empty binds nothing.
        equal: every element must be equal to this number.
        size: it must have this many elements.
    """

    name: str = ""
    equal: float | None = None
    size: int | None = None


@dataclasses.dataclass(frozen=True, init=False)
class Op:
    """The output of an operator.

    Attributes:
        op_types: names separated by ``|``.
        inputs: patterns of all its inputs.
        domain: "" is standard ONNX.
        commutes: the two inputs may stand in either order.
    """

    op_types: tuple[str, ...]
    inputs: tuple[Pattern, ...]
    domain: str
    commutes: bool

    def __init__(self, op_types: str, *inputs: Pattern, domain: str = "", commutes: bool = False) -> None:
        object.__setattr__(self, "op_types", tuple(op_types.split("|")))
        object.__setattr__(self, "inputs", inputs)
        object.__setattr__(self, "domain", domain)
        object.__setattr__(self, "commutes", commutes)


@dataclasses.dataclass(frozen=True, init=False)
class Either:
    """The first of several patterns that leads to a match."""

    patterns: tuple[Pattern, ...]

    def __init__(self, *patterns: Pattern) -> None:
        object.__setattr__(self, "patterns", patterns)


Pattern = Bind | Const | Op | Either


@dataclasses.dataclass(frozen=True)
class Match:
    """What a pattern found.

    Attributes:
        values: of each `Bind`.
        constants: of each named `Const`.
        nodes: every operator of the match, root first.
    """

    values: dict[str, ir.Value] = dataclasses.field(default_factory=dict)
    constants: dict[str, NDArray[Any]] = dataclasses.field(default_factory=dict)
    nodes: tuple[ir.Node, ...] = ()


@dataclasses.dataclass(frozen=True)
class Miss:
    """Why a pattern did not match: what was met in the deepest place it reached."""

    reason: str

    def __bool__(self) -> bool:
        return False


def match(pattern: Pattern, value: ir.Value) -> Match | Miss:
    """Match ``pattern`` against the expression that computes ``value``."""
    reasons: list[tuple[int, str]] = []
    for found in _solve(pattern, value, Match(), 0, reasons):
        return found
    deepest = max(depth for depth, _ in reasons)
    return Miss(next(reason for depth, reason in reasons if depth == deepest))


def _solve(pattern: Pattern, value: ir.Value | None, state: Match, depth: int, reasons: list[tuple[int, str]]) -> Iterator[Match]:
    """Every way in which ``pattern`` matches ``value`` on top of what ``state`` has bound."""
    if isinstance(pattern, Either):
        for alternative in pattern.patterns:
            yield from _solve(alternative, value, state, depth, reasons)
        return
    if value is None:
        reasons.append((depth, "an input is absent"))
        return
    if isinstance(pattern, Bind):
        if state.values.get(pattern.name, value) is not value:
            reasons.append((depth, f"{value.name} is not {state.values[pattern.name].name}"))
        elif pattern.name:
            yield dataclasses.replace(state, values={**state.values, pattern.name: value})
        else:
            yield state
        return
    if isinstance(pattern, Const):
        array = constant(value)
        reason = _why_not_constant(pattern, array, value)
        if array is None or reason:
            reasons.append((depth, reason))
        elif pattern.name:
            yield dataclasses.replace(state, constants={**state.constants, pattern.name: array})
        else:
            yield state
        return
    node = value.producer()
    wanted = " or ".join(pattern.op_types)
    if node is None:
        reasons.append((depth, f"{value.name} is an input or a constant, not {wanted}"))
        return
    if node.domain != pattern.domain or node.op_type not in pattern.op_types:
        reasons.append((depth, f"{node.name} is {node.op_type}, not {wanted}"))
        return
    if len(node.inputs) != len(pattern.inputs):
        reasons.append((depth, f"{node.name} has {len(node.inputs)} inputs, not {len(pattern.inputs)}"))
        return
    here = dataclasses.replace(state, nodes=(*state.nodes, node))
    orders = [tuple(node.inputs), tuple(reversed(node.inputs))] if pattern.commutes else [tuple(node.inputs)]
    for inputs in orders:
        yield from _solve_all(pattern.inputs, inputs, here, depth + 1, reasons)


def _solve_all(
    patterns: tuple[Pattern, ...], values: tuple[ir.Value | None, ...], state: Match, depth: int, reasons: list[tuple[int, str]]
) -> Iterator[Match]:
    if not patterns:
        yield state
        return
    for found in _solve(patterns[0], values[0], state, depth, reasons):
        yield from _solve_all(patterns[1:], values[1:], found, depth, reasons)


def _why_not_constant(pattern: Const, array: NDArray[Any] | None, value: ir.Value) -> str:
    if array is None:
        return f"{value.name} is not a constant"
    if pattern.size is not None and array.size != pattern.size:
        return f"the constant {value.name} has {array.size} elements, not {pattern.size}"
    if pattern.equal is not None and not bool(np.all(array == pattern.equal)):
        return f"the constant {value.name} is not {pattern.equal:g} throughout"
    return ""
