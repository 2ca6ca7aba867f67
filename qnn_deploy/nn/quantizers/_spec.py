"""From a name, or a table of a recipe, to a quantiser."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from torch import nn

from qnn_deploy.errors import UserError, unknown

Spec = str | Mapping[str, Any]
Kind = TypeVar("Kind", bound=nn.Module)


def build(spec: Spec, registry: Mapping[str, type[Kind]], kind: str, **given: Any) -> Kind:
    """The module that ``spec`` names: "twn", or {"name": "twn", "factor": 0.5}.

    Args:
        kind: of what, for messages ("weight quantiser").
        given: arguments that the caller knows, passed to classes that take them; ``None`` where it does not.

    Raises:
        UserError: QD0202 for an unknown name, an unknown, missing or bad argument.
    """
    table = {"name": spec} if isinstance(spec, str) else dict(spec) if isinstance(spec, Mapping) else {}
    name = table.pop("name", None)
    if not isinstance(name, str):
        raise UserError("QD0202", f"a {kind} is a name or a table with a name, not {spec!r}", help=f"known: {', '.join(registry)}")
    check_name(name, registry, kind)
    signature = inspect.signature(registry[name].__init__).parameters
    known = [parameter for parameter in signature if parameter != "self"]
    for argument in table:
        check_name(argument, known, f"argument of the {kind} {name!r}")
    for argument, value in given.items():
        if argument in known and argument not in table and value is not None:
            table[argument] = value
    missing = [each for each in known if each not in table and signature[each].default is inspect.Parameter.empty]
    if missing:
        raise UserError("QD0202", f"the {kind} {name!r} needs {missing[0]!r}", help=f'{{ name = "{name}", {missing[0]} = ... }}')
    try:
        return registry[name](**table)
    except (TypeError, ValueError) as error:
        raise UserError("QD0202", f"{kind} {name!r}: {error}") from error


def check_name(name: str, known: Iterable[str], what: str) -> None:
    """Raise UserError QD0202 where ``name`` is not one of ``known``."""
    names = list(known)
    if name not in names:
        raise unknown(what, name, names)
