"""``qnn-deploy train``: a recipe to a folded checkpoint, and what it gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from qnn_deploy import data
from qnn_deploy.errors import UserError
from qnn_deploy.files import make_folder, remedy, write_whole
from qnn_deploy.nn import checkpoint
from qnn_deploy.train.check import check_data, check_recipe
from qnn_deploy.train.evaluation import count_correct
from qnn_deploy.train.loop import Progress, Report, train
from qnn_deploy.train.recipe import Recipe, plain, read_recipe


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
    report: Report,
    progress: Progress,
) -> dict[str, Any]:
    """Train the recipe ``name`` into ``out`` (see `run_recipe`) and return the contents of ``trained.json``.

    Raises:
        UserError: for a recipe, data or output that cannot be used.
    """
    path = find_recipe(name)
    if data_spec is not None:
        overrides = (*overrides, f"data={json.dumps(data_spec)}")
    recipe = read_recipe(path, overrides)
    return run_recipe(recipe, path.parent.name, str(path), out, resume=resume, report=report, progress=progress)


def run_recipe(
    recipe: Recipe, name: str, where: str, out: Path, *, resume: bool, report: Report, progress: Progress = lambda *_: None
) -> dict[str, Any]:
    """Train ``recipe`` (from ``where``, for messages) into ``out``: ``recipe.toml`` with every key filled in, what `loop.train` writes,
    ``model.pt`` and ``trained.json``. Returns the contents of the last.

    Raises:
        UserError: for a recipe, data or output that cannot be used. The recipe is checked before data are read.
    """
    network = check_recipe(recipe, where)
    train_set, test_set = data.load(recipe.data, "train"), data.load(recipe.data, "test")
    check_data(recipe, network, train_set, test_set)
    try:
        make_folder(out)
    except OSError as error:
        raise UserError("QD0105", f"cannot make the output directory: {error.strerror}", where=str(out), help=remedy(error)) from error
    model = train(recipe, train_set, test_set, out, resume=resume, report=report, progress=progress)
    correct = count_correct(model, test_set)
    expected = {"data": test_set.name, "images": len(test_set.images), "correct": correct, "epochs": recipe.epochs}
    digest = checkpoint.save(out / "model.pt", model, recipe.architecture, recipe.arguments, {"recipe": plain(recipe), **expected})
    expected = {"schema_version": 1, "name": name, **expected, "contents_sha256": digest}
    write_whole(out / "trained.json", (json.dumps(expected, indent=1) + "\n").encode())
    return expected
