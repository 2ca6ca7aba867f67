"""Everything that can be wrong with a recipe before any data are read, and with data before any training."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from qnn_deploy.data import Dataset
from qnn_deploy.errors import UserError
from qnn_deploy.nn.anneal import Schedule, Scheduler
from qnn_deploy.nn.layers import QuantLayer
from qnn_deploy.train import state
from qnn_deploy.train.build import build_network, named
from qnn_deploy.train.clipping import latent_weights, make_clip
from qnn_deploy.train.init import warm_start
from qnn_deploy.train.lr_schedules import lr_factor
from qnn_deploy.train.optimizers import make_optimizer
from qnn_deploy.train.recipe import Recipe, within
from qnn_deploy.train.teacher import load_teacher


def check_recipe(recipe: Recipe, where: str) -> nn.Module:
    """The network of ``recipe``, once everything in it has been found to fit together.

    Raises:
        UserError: QD0202 naming the key, or what a teacher's file is refused with.
    """
    problem = next(_numbers(recipe), None)
    if problem:
        raise UserError("QD0202", problem, where=where)
    try:
        model = build_network(recipe)
        _fits_network(recipe, model)
    except UserError as error:
        raise within(error, where) from error
    return model


def _numbers(recipe: Recipe) -> Iterator[str]:
    """What is wrong with the numbers."""
    for name in ("epochs", "batch_size", "devices"):
        if getattr(recipe, name) < 1:
            yield f"{name!r} takes a whole number above 0, not {getattr(recipe, name)}"
    for name in ("learning_rate", "logit_scale"):
        if not (getattr(recipe, name) > 0 and math.isfinite(getattr(recipe, name))):
            yield f"{name!r} takes a number above 0, not {getattr(recipe, name)}"
    for name in ("crop", "threads", "seed"):
        if getattr(recipe, name) < 0:
            yield f"{name!r} takes 0 or more, not {getattr(recipe, name)}"
    for name in ("warmup", "label_smoothing"):
        if not 0 <= getattr(recipe, name) < 1:
            yield f"{name!r} takes a share in [0, 1), not {getattr(recipe, name)}"
    if recipe.batch_size % recipe.devices:
        yield f"'batch_size' {recipe.batch_size} cannot be shared by {recipe.devices} devices"
    for name in ("sizes", "freeze"):
        rows = getattr(recipe, name)
        shares = [share for share, _ in rows]
        if shares != sorted(set(shares)) or any(not 0 <= share < 1 for share in shares):
            yield f"the shares of {name!r} rise within [0, 1), unlike {shares}"
        if any(number < 1 for _, number in rows):
            yield f"{name!r} takes numbers above 0"


def _fits_network(recipe: Recipe, model: nn.Module) -> None:
    layers = sum(isinstance(module, QuantLayer) for module in model.modules())
    for _, number in recipe.freeze:
        if number >= layers:
            raise UserError("QD0202", f"'freeze' asks for {number} layers, and the network has {layers}: nothing would be left to train")
    if isinstance(recipe.clip, dict):
        named("clip", lambda: make_clip(recipe.clip, model))
        if not latent_weights(model):
            raise UserError("QD0202", "'clip' is set, and the network has no quantised layer", help='clip = "none"')
    assert isinstance(recipe.lr_schedule, dict)
    lr_factor(recipe.lr_schedule, recipe.warmup, recipe.warmup, recipe.epochs)
    make_optimizer(recipe.optimizer, model)
    named("schedules", lambda: Scheduler(model, [Schedule(**table) for table in recipe.schedules], recipe.epochs))
    if recipe.init:
        _require_network("init", Path(recipe.init), (state.FILE, "model.pt"))
        named("init", lambda: warm_start(model, Path(recipe.init)))
    if recipe.distill is not None:
        _require_network("distill.teacher", Path(recipe.distill["teacher"]), (state.FILE,))


def _require_network(key: str, path: Path, inside: tuple[str, ...]) -> None:
    """See that ``path`` is a file, or a folder with one of the files ``inside``.

    Raises:
        UserError: QD0101 where it is not.
    """
    if not (any((path / name).is_file() for name in inside) if path.is_dir() else path.is_file()):
        help = f"a model.pt, or a run's folder; a relative path starts in the working directory, {Path.cwd()}"
        raise UserError("QD0101", f"no network {str(path)!r}", where=key, help=help)


def check_data(recipe: Recipe, model: nn.Module, train_set: Dataset, test_set: Dataset) -> None:
    """See that the images and labels fit the network.

    Raises:
        UserError: QD0104 for images of another shape, QD0203 for labels or a number of images that cannot be trained on.
    """
    expected = getattr(model, "input_shape", None)
    for split, data in (("training", train_set), ("test", test_set)):
        found = data.images.shape[1:]
        if expected is not None and (found[0] != expected[0] or tuple(found) != tuple(expected)):
            raise UserError(
                "QD0104", f"{recipe.architecture} takes images of {list(expected)}, the {split} images are {list(found)}", where=data.name
            )
        if not len(data.images) or data.labels.min() < 0:
            raise UserError("QD0203", f"the {split} images have no labels" if len(data.images) else f"no {split} images", where=data.name)
    if len(train_set.images) < recipe.batch_size:
        what = f"a batch of {recipe.batch_size} is more than the {len(train_set.images)} training images"
        raise UserError("QD0203", what, where=train_set.name, help="lower batch_size")
    room = min(train_set.images.shape[2:]) + 2 * recipe.crop
    for _, size in recipe.sizes:
        if recipe.resize == "crop" and size > room:
            raise UserError("QD0202", f"'sizes' asks for parts of {size} pixels, and the images have {room}", help='resize = "area"')
    one = torch.from_numpy(test_set.images[:1])
    with torch.no_grad():
        classes = model.eval()(one).shape[1]
    if recipe.distill is not None:
        _check_teacher(recipe.distill["teacher"], one, classes)
    highest = int(max(train_set.labels.max(), test_set.labels.max()))
    if highest >= classes:
        what = f"a label is {highest}, and the network has {classes} classes"
        raise UserError(
            "QD0203", what, where=train_set.name, help=f"arguments = {{ classes = {highest + 1} }}, where the architecture takes it"
        )


@torch.no_grad()
def _check_teacher(path: str, image: Tensor, classes: int) -> None:
    teacher, _ = load_teacher(Path(path))
    try:
        found = teacher(image).shape[1]
    except RuntimeError as error:
        raise UserError("QD0104", f"the teacher does not take images of {list(image.shape[1:])}: {error}", where=path) from error
    if found != classes:
        raise UserError("QD0202", f"the teacher has {found} classes, the network {classes}", where=path)
