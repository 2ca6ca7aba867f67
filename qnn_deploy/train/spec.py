"""Specs in recipes: a name, or a table ``{name = ..., argument = ...}``, checked against a function's signature and completed from it."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any

from qnn_deploy.errors import UserError, unknown


def resolve(spec: object, registry: Mapping[str, Callable[..., Any]], key: str, where: str) -> dict[str, Any]:
    """``{"name": ..., **arguments}`` with every default of the registry's function filled in.

    Args:
        spec: a name or a table with the entry ``name``.
        key: the recipe's key, for messages; where: the recipe.

    Raises:
        UserError: QD0202 for an unknown name or argument, a missing or an ill-typed one.
    """
    table = {"name": spec} if isinstance(spec, str) else spec
    if not isinstance(table, Mapping) or not isinstance(table.get("name"), str):
        raise UserError("QD0202", f"{key!r} takes a name or a table with a name, not {spec!r}", where=where)
    if table["name"] not in registry:
        raise unknown(key, table["name"], registry, where)
    given = {name: value for name, value in table.items() if name != "name"}
    return {"name": table["name"], **arguments(given, registry[table["name"]], key, where)}


def arguments(given: Mapping[str, Any], function: Callable[..., Any], key: str, where: str) -> dict[str, Any]:
    """The named arguments of ``function`` (positional-only ones are the caller's own): ``given`` over its defaults, types checked.

    Raises:
        UserError: QD0202 for an unknown, missing or ill-typed one.
    """
    signature = inspect.signature(function)
    named = {name: p for name, p in signature.parameters.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    if not any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values()):
        for name in given:
            if name not in named:
                raise unknown("key", f"{key}.{name}", [f"{key}.{other}" for other in named], where)
    missing = [name for name, p in named.items() if p.default is p.empty and name not in given]
    if missing:
        raise UserError("QD0202", f"missing key '{key}.{missing[0]}'", where=where)
    hints = typing.get_type_hints(function.__init__ if inspect.isclass(function) else function)
    values = {name: p.default for name, p in named.items() if p.default is not p.empty} | dict(given)
    return {name: typed(value, hints.get(name), f"{key}.{name}", where) for name, value in values.items()}


def typed(value: Any, kind: object, key: str, where: str) -> Any:
    """``value``, an int made a float where ``kind`` is float. Kinds other than int, float, bool and str are
    not looked into; a tuple becomes a list, as TOML has it.

    Raises:
        UserError: QD0202 where it is of another type.
    """
    accepted: dict[object, tuple[type, ...]] = {int: (int,), float: (int, float), bool: (bool,), str: (str,)}
    if kind not in accepted or not isinstance(kind, type):
        return list(value) if isinstance(value, tuple) else value
    fits = isinstance(value, accepted[kind]) and (kind is bool or not isinstance(value, bool))
    if not fits:
        raise UserError("QD0202", f"{key!r} takes {kind.__name__}, not {value!r}", where=where)
    return float(value) if kind is float else value
