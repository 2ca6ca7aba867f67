"""``qnn-deploy train``: a recipe to a folded checkpoint, and what it gives."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qnn_deploy import data
from qnn_deploy.errors import UserError
from qnn_deploy.nn import checkpoint
from qnn_deploy.nn.architectures import ARCHITECTURES
from qnn_deploy.train.loop import count_correct, train
from qnn_deploy.train.recipe import read_recipe


def find_recipe(name: str) -> Path:
    """The recipe file ``name``, or that of the folder of this name in ``models/`` (of the working directory or the checkout).

    Raises:
        UserError: QD0201 where there is none, with the names that there are.
    """
    path = Path(name)
    if path.is_file():
        return path
    if path.is_dir() and (path / "recipe.toml").is_file():
        return path / "recipe.toml"
    folders = [Path("models"), Path(__file__).resolve().parents[2] / "models"]
    for folder in folders:
        if path.name == name and (folder / name / "recipe.toml").is_file():
            return folder / name / "recipe.toml"
    known = sorted({recipe.parent.name for folder in folders for recipe in folder.glob("*/recipe.toml")})
    raise UserError("QD0201", f"no recipe {name!r}", help=f"a TOML file, or one of: {', '.join(known)}" if known else "name a TOML file")


def run(
    name: str,
    out: Path,
    *,
    overrides: tuple[str, ...] = (),
    data_spec: str | None = None,
    resume: bool = False,
    report: Callable[[dict[str, float]], None],
) -> dict[str, Any]:
    """Train the recipe ``name``; write ``model.pt`` and ``trained.json`` (and what `loop.train` writes) into ``out``.

    Returns the contents of ``trained.json``.

    Raises:
        UserError: for a recipe, data or output that cannot be used.
    """
    path = find_recipe(name)
    recipe = read_recipe(path, overrides)
    if recipe.architecture not in ARCHITECTURES:
        raise UserError(
            "QD0202", f"unknown architecture {recipe.architecture!r}", where=str(path), help=f"known: {', '.join(ARCHITECTURES)}"
        )
    spec = data_spec or recipe.data
    train_set, test_set = data.load(spec, "train"), data.load(spec, "test")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError("QD0105", f"cannot make the output directory: {error.strerror}", where=str(out)) from error
    model = train(recipe, train_set, test_set, out, resume=resume, report=report)
    correct = count_correct(model, test_set)
    expected = {"data": test_set.name, "images": len(test_set.images), "correct": correct, "epochs": recipe.epochs}
    meta = {"recipe": dataclasses.asdict(recipe), **expected}
    digest = checkpoint.save(out / "model.pt", model, recipe.architecture, recipe.arguments, meta)
    expected = {"schema_version": 1, "name": path.parent.name, **expected, "contents_sha256": digest}
    (out / "trained.json").write_text(json.dumps(expected, indent=1) + "\n")
    return expected
