"""``last.pt``: everything that a training run needs to go on after a whole epoch as if it had never stopped."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import random
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from qnn_deploy.data import Dataset
from qnn_deploy.errors import UserError
from qnn_deploy.files import write_whole
from qnn_deploy.train.recipe import FREE_ON_RESUME, Recipe, make_recipe, plain

FILE = "last.pt"
FORMAT, VERSION = "qnn-deploy-training", 1


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """What ``last.pt`` holds.

    Attributes:
        epoch: the last whole epoch, counted from 0.
        model, optimizer, scheduler: their ``state_dict()``.
        rng: the random generators of each process (see `rng_state`).
        rows: the metrics of every epoch; ``metrics.csv`` is written from them.
        recipe: the resolved recipe, as plain values.
        data: digests of the data sets (see `data_digests`).
    """

    epoch: int
    model: dict[str, Any]
    optimizer: list[dict[str, Any]]
    scheduler: dict[str, Any]
    rng: list[dict[str, Any]]
    rows: list[dict[str, Any]]
    recipe: dict[str, Any]
    data: dict[str, str]


def save(path: Path, snapshot: Snapshot) -> None:
    """Write ``snapshot`` to ``path``, whole or not at all.

    Raises:
        UserError: QD0105 where it cannot be written; the file that was there is intact.
    """
    fields = {field.name: getattr(snapshot, field.name) for field in dataclasses.fields(Snapshot)}
    stream = io.BytesIO()
    torch.save({"format": FORMAT, "version": VERSION, **fields}, stream)
    write_whole(path, stream.getvalue())


def load(path: Path) -> Snapshot:
    """The snapshot in ``path``, tensors on the CPU.

    Raises:
        UserError: QD0101 where it cannot be read, QD0102 where it is damaged, foreign or newer.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError("QD0101", f"cannot read the training state: {error.strerror}", where=str(path)) from error
    help = "start again without --resume, or put a good copy there"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's guesses about foreign files
            table = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises anything at all on damaged bytes
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise UserError("QD0102", f"the training state is damaged: {reason}", where=str(path), help=help) from error
    if not isinstance(table, dict) or table.get("format") != FORMAT:
        raise UserError("QD0102", "not a training state of this version of qnn-deploy", where=str(path), help=help)
    if table.get("version") != VERSION:
        raise UserError("QD0102", f"format version {table.get('version')} is not the one read here ({VERSION})", where=str(path), help=help)
    for field in dataclasses.fields(Snapshot):
        if not isinstance(table.get(field.name), {"int": int, "list": list, "dict": dict}[str(field.type).partition("[")[0]]):
            raise UserError("QD0102", f"the entry {field.name!r} is missing or of the wrong type", where=str(path), help=help)
    return Snapshot(**{field.name: table[field.name] for field in dataclasses.fields(Snapshot)})


def check_same_run(saved: Snapshot, recipe: Recipe, data: Mapping[str, str], path: Path) -> None:
    """Refuse to go on with another recipe or other data than ``saved`` was made with.

    ``epochs`` may grow where nothing in the recipe is a share of them: else the epochs already done would have been other ones.

    Raises:
        UserError: QD0205 naming the keys that differ.
    """
    # Read again, so that a key that recipes did not have then has its default.
    now, then = plain(recipe), plain(make_recipe(saved.recipe, str(path)))
    differing = sorted(key for key in {*now, *then} - {*FREE_ON_RESUME} if now.get(key) != then.get(key))
    shares = recipe.depends_on_epochs()
    if differing == ["epochs"] and now["epochs"] > then["epochs"]:
        if not shares:
            differing = []
        else:
            what = f"epochs cannot be raised from {then['epochs']} to {now['epochs']}: {', '.join(shares)} count in shares of them"
            help = 'train anew, or from the start with lr_schedule = "constant" or "step" and warmup = 0.0'
            raise UserError("QD0205", what, where=str(path), help=help)
    if differing:
        shown = "; ".join(f"{key} is {now.get(key)!r}, was {then.get(key)!r}" for key in differing)
        raise UserError("QD0205", f"the run was started with another recipe: {shown}", where=str(path), help="give the same, or train anew")
    if dict(data) != saved.data:
        raise UserError("QD0205", "the run was started with other data", where=str(path), help=f"it had {saved.data}, this is {dict(data)}")


def data_digests(**sets: Dataset) -> dict[str, str]:
    """A short SHA-256 of the images and labels of each data set."""
    digests = {}
    for name, data in sets.items():
        digest = hashlib.sha256(f"{data.images.shape}{data.images.dtype}".encode())
        for array in (data.images, data.labels):
            digest.update(np.ascontiguousarray(array).data)
        digests[name] = digest.hexdigest()[:16]
    return digests


def rng_state() -> dict[str, Any]:
    """The states of the generators of Python, numpy and torch, as plain values and tensors."""
    version, words, gauss = random.getstate()
    kind, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    return {
        "python": [version, list(words), gauss],
        "numpy": [str(kind), torch.from_numpy(np.asarray(keys).astype(np.int64)), int(position), int(has_gauss), float(cached)],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all(),
    }


def set_rng_state(state: Mapping[str, Any]) -> None:
    """Put back what `rng_state` gave."""
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    kind, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(state["torch"])
    if len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
