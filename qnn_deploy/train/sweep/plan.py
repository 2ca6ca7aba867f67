"""From a sweep file to its trials: the base recipe, what each trial sets over it, and a folder name that no other trial can have."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from qnn_deploy.errors import QnnDeployError, UserError, unknown
from qnn_deploy.train.recipe import Recipe, make_recipe, plain, read_override, read_toml, set_key
from qnn_deploy.train.run import find_recipe
from qnn_deploy.train.spec import typed

SORTS = {"test_accuracy": True, "train_accuracy": True, "loss": False}
"""What the table can be sorted by, and whether more is better."""


@dataclasses.dataclass(frozen=True)
class Trial:
    """One run.

    Attributes:
        name: of its folder: what it sets, for people, and a digest of the whole resolved recipe.
        settings: what it sets over the base recipe, by dotted key; the seed apart.
        recipe: the resolved recipe.
    """

    name: str
    settings: dict[str, Any]
    recipe: Recipe


@dataclasses.dataclass(frozen=True)
class Sweep:
    """A sweep file: the trials, no two with the same recipe, and how they run.

    Attributes:
        sort: a key of `SORTS`.
        cpus, gpus: that each trial gets (a share of a GPU is possible).
        retries: further attempts at a trial whose process failed.
    """

    trials: tuple[Trial, ...]
    sort: str = "test_accuracy"
    cpus: float = 1.0
    gpus: float = 0.0
    retries: int = 1


_DIGEST, _MOST = 16, 10_000
_TYPES = {"sort": str, "cpus": float, "gpus": float, "retries": int}
_KEYS = ("recipe", "seeds", "set", "grid", "trials", *_TYPES)


def read_sweep(path: Path, overrides: Sequence[str] = (), seeds: Sequence[int] = ()) -> Sweep:
    """The sweep in ``path`` (docs/training.md has its keys), with ``key=value`` over its ``[set]``, and with ``seeds`` instead of its own.

    Raises:
        UserError: QD0201 where it cannot be read, QD0206 for what is wrong with it, QD0202 for what is wrong with a trial's recipe.
    """
    table, where = read_toml(path), str(path)
    for key in table:
        if key not in _KEYS:
            raise malformed(unknown("key", key, _KEYS, where))
    if "recipe" not in table:
        raise UserError("QD0206", "missing key 'recipe'", where=where, help="a recipe's file or name, or a table with its keys")
    try:
        options = {name: typed(table[name], kind, name, where) for name, kind in _TYPES.items() if name in table}
        if options.get("sort", "test_accuracy") not in SORTS:
            raise unknown("sort", options["sort"], SORTS, where)
    except UserError as error:
        raise malformed(error) from error
    if options.get("cpus", 1.0) <= 0 or options.get("gpus", 0.0) < 0 or options.get("retries", 1) < 0:
        raise UserError("QD0206", "'cpus' is above 0, 'gpus' and 'retries' are not below", where=where)
    own = list(seeds) or table.get("seeds", [None])
    if not isinstance(own, list) or not own or not all(seed is None or type(seed) is int for seed in own):
        raise UserError("QD0206", f"'seeds' takes whole numbers, not {own!r}", where=where)
    base = _base(table["recipe"], path)
    common = dict(_leaves(_table(table.get("set", {}), "set", where))) | dict(map(read_override, overrides))
    trials: dict[str, Trial] = {}
    every = list(itertools.islice(((each, seed) for each in _settings(table, where) for seed in own), _MOST + 1))
    if len(every) > _MOST:
        raise UserError("QD0206", f"the sweep has more than {_MOST:,} trials", where=where)
    for settings, seed in every:
        trial = _trial(base, common, settings, seed, where)
        if trials.setdefault(trial.name[-_DIGEST:], trial).recipe != trial.recipe:
            raise QnnDeployError("QD0901", f"two recipes have the digest of {trial.name}")
    return Sweep(tuple(trials.values()), **options)


def malformed(error: UserError) -> UserError:
    """``error`` as one of the sweep file itself."""
    return UserError("QD0206", error.message, where=error.where, help=error.help)


def _base(recipe: object, path: Path) -> dict[str, Any]:
    """The recipe's keys, from the table itself, from a file beside the sweep, or by name as `train` finds it."""
    if isinstance(recipe, dict):
        return recipe
    if not isinstance(recipe, str):
        raise UserError("QD0206", f"'recipe' takes a name or a table, not {recipe!r}", where=str(path))
    beside = path.parent / recipe
    return read_toml(beside if beside.is_file() else find_recipe(recipe))


def _settings(table: Mapping[str, Any], where: str) -> Iterator[dict[str, Any]]:
    """What each trial sets: every combination within each ``grid``, then each of ``trials``; {} where there is neither."""
    grids, trials = table.get("grid", []), table.get("trials", [])
    if "grid" not in table and "trials" not in table:
        yield {}
    for grid in grids if isinstance(grids, list) else [grids]:
        axes = dict(_leaves(_table(grid, "grid", where)))
        for key, values in axes.items():
            if not isinstance(values, list) or not values:
                raise UserError("QD0206", f"'grid.{key}' takes a list of values, not {values!r}", where=where)
        for values in itertools.product(*axes.values()):
            yield dict(zip(axes, values, strict=True))
    for trial in trials if isinstance(trials, list) else [trials]:
        yield dict(_leaves(_table(trial, "trials", where)))


def _table(value: object, key: str, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UserError("QD0206", f"{key!r} takes tables, not {value!r}", where=where)
    return value


def _leaves(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of everything in ``table`` that is no table itself."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _trial(base: Mapping[str, Any], common: Mapping[str, Any], settings: Mapping[str, Any], seed: int | None, where: str) -> Trial:
    table = copy.deepcopy(dict(base))
    for key, value in {**common, **settings, **({} if seed is None else {"seed": seed})}.items():
        set_key(table, key, value, where)
    shown = ",".join(f"{key.rpartition('.')[2]}={_short(value)}" for key, value in settings.items())
    recipe = make_recipe(table, f"{where}, trial {shown or 'of the base recipe'}")
    digest = hashlib.sha256(json.dumps(plain(recipe), sort_keys=True).encode()).hexdigest()[:_DIGEST]
    slug = re.sub(r"[^A-Za-z0-9._=,+-]+", "_", f"{shown},seed={recipe.seed}".lstrip(","))[:80]
    return Trial(f"{slug}-{digest}", dict(settings), recipe)


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":")).replace('"', "")
