"""Training recipes: a TOML file, read into a frozen dataclass with every default filled in. Unknown keys are refused."""

from __future__ import annotations

import dataclasses
import tomllib
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qnn_deploy.errors import UserError, as_damage, unknown
from qnn_deploy.files import write_whole
from qnn_deploy.nn.anneal import read_schedule
from qnn_deploy.train import toml_writer
from qnn_deploy.train.clipping import read_clip
from qnn_deploy.train.distill import read_distill
from qnn_deploy.train.lr_schedules import IN_EPOCHS, LR_SCHEDULES
from qnn_deploy.train.optimizers import read_optimizer
from qnn_deploy.train.spec import resolve, typed

PRECISIONS = ("float32", "bfloat16")
RESIZES = ("area", "crop")
DEVICE_KINDS = ("auto", "cpu", "cuda")
FREE_ON_RESUME = ("data", "tensorboard")
"""Keys that a resumed run may have otherwise: the data are compared by their contents."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How one model is trained; docs/training.md explains each key with examples.

    Attributes:
        architecture, arguments: a row of `nn.architectures.ARCHITECTURES` and its keyword arguments.
        data: a data specification (see `qnn_deploy.data`).
        epochs, batch_size, learning_rate, seed: as usual. ``batch_size`` is that of all devices together.
        optimizer: a row of `optimizers.OPTIMIZERS` with its arguments.
        lr_schedule: a row of `lr_schedules.LR_SCHEDULES` with its arguments.
        warmup: share of the steps in which the learning rate rises from 0.
        clip: projection of latent weights after each step: "unit" clamps binary ones to [-1, 1] (BinaryNet), "none", or the arguments of
            `nn.weight_clip.WeightClip`.
        schedules: annealed quantities, tables of `nn.anneal.Schedule`.
        distill: a teacher (see `distill.Teacher`), or None.
        init: a run's folder or a checkpoint whose weights the network begins with (see `init.warm_start`); "" for fresh ones.
        logit_scale: factor on the logits inside the loss only (integer logits are large).
        label_smoothing: of the cross-entropy, in [0, 1).
        crop, flip: augmentation (see `train.data.augment`).
        sizes: progressive resolution, [[share of epochs done, image size], ...]; empty for full size throughout.
        resize: how images get smaller: "area" averages, "crop" takes a random part at full resolution.
        freeze: progressive freezing, [[share of epochs done, number of quantised layers], ...]: from there on the first layers, and the
            BatchNorms behind them, stay as they are and cost a forward pass only (FreezeOut, Brock et al. 2017).
        precision: "float32", or "bfloat16" for autocast in training (evaluation is always float32).
        compile: use ``torch.compile`` (needs a C++ compiler; same result up to float rounding in training).
        device: "cpu", "cuda", or "auto" for CUDA where there is one.
        devices: processes, each with a device (or a share of the cores) of its own.
        threads: CPU threads of each; 0 leaves torch's default.
        tensorboard: also write event files, into ``tensorboard/``.
    """

    architecture: str
    data: str
    epochs: int
    arguments: dict[str, Any] = dataclasses.field(default_factory=dict)
    batch_size: int = 128
    learning_rate: float = 4e-3
    optimizer: str | dict[str, Any] = "adam"
    lr_schedule: str | dict[str, Any] = "cosine"
    warmup: float = 0.1
    clip: str | dict[str, Any] = "unit"
    schedules: tuple[dict[str, Any], ...] = ()
    distill: dict[str, Any] | None = None
    init: str = ""
    logit_scale: float = 1.0
    label_smoothing: float = 0.0
    crop: int = 0
    flip: bool = False
    sizes: tuple[tuple[float, int], ...] = ()
    resize: str = "area"
    freeze: tuple[tuple[float, int], ...] = ()
    seed: int = 0
    precision: str = "float32"
    compile: bool = False
    device: str = "auto"
    devices: int = 1
    threads: int = 0
    tensorboard: bool = False

    def __post_init__(self) -> None:
        # Completed here, so that a recipe made in Python is as good as one from a file.
        for name, value in (
            ("optimizer", read_optimizer(self.optimizer)),
            ("lr_schedule", resolve(self.lr_schedule, LR_SCHEDULES, "lr_schedule", "")),
            ("clip", read_clip(self.clip)),
            ("schedules", tuple(_schedule(table, index) for index, table in enumerate(self.schedules))),
            ("distill", None if self.distill is None else read_distill(self.distill)),
        ):
            object.__setattr__(self, name, value)

    def depends_on_epochs(self) -> list[str]:
        """The keys by which an epoch would be another one if more of them followed: shares of training."""
        assert isinstance(self.lr_schedule, dict)
        found = ["lr_schedule"] if self.lr_schedule["name"] not in IN_EPOCHS else []
        return found + [key for key in ("warmup", "schedules", "sizes", "freeze") if getattr(self, key)]


def read_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe in ``path`` with ``key=value`` overrides: values in TOML syntax, bare words as strings; ``key.inner`` reaches into tables.

    Raises:
        UserError: QD0201 where the file cannot be read or parsed, QD0202 for an unknown or ill-typed key.
    """
    table = read_toml(path)
    for text in overrides:
        set_key(table, *read_override(text), str(path))
    return make_recipe(table, str(path))


def read_toml(path: Path) -> dict[str, Any]:
    """The table in ``path``.

    Raises:
        UserError: QD0201 where it cannot be read or is no TOML.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError("QD0201", f"cannot read the recipe: {error.strerror}", where=str(path)) from error
    with as_damage("QD0201", "not a TOML file", where=str(path)):
        return tomllib.loads(content.decode())


def read_override(text: str) -> tuple[str, Any]:
    """Key and value of ``key=value``.

    Raises:
        UserError: QD0202 where it is not of that form.
    """
    key, equals, value = text.partition("=")
    if not equals:
        raise UserError("QD0202", f"--set takes key=value, not {text!r}")
    return key.strip(), parse_value(value)


def parse_value(text: str) -> Any:
    """``text`` as a TOML value; a bare word is a string."""
    try:
        return tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        return text


def set_key(table: dict[str, Any], key: str, value: Any, where: str) -> None:
    """Set ``key`` (dots reach into inner tables, which are made where they are missing) to ``value``; a name becomes ``{name = ...}``.

    Raises:
        UserError: QD0202 where the path leads through something that is no table.
    """
    *outer, last = key.split(".")
    for name in outer:
        inner = table.setdefault(name, {})
        if isinstance(inner, str):  # weights = "ttq", and now weights.estimator
            inner = {"name": inner}
        if not isinstance(inner, dict):
            raise UserError("QD0202", f"{key!r} reaches into {name!r}, which is no table", where=where)
        table[name] = dict(inner)
        table = table[name]
    table[last] = value


def make_recipe(table: Mapping[str, Any], where: str) -> Recipe:
    """A `Recipe` from the keys of a TOML file.

    Raises:
        UserError: QD0202 for an unknown, missing or ill-typed key.
    """
    hints = typing.get_type_hints(Recipe)
    for name in table:
        if name not in hints:
            raise unknown("key", name, hints, where)
    missing = [name for name in ("architecture", "data", "epochs") if name not in table]
    if missing:
        raise UserError("QD0202", f"missing key {missing[0]!r}", where=where)
    values = {name: typed(value, hints[name], name, where) for name, value in table.items()}
    for name, known in (("precision", PRECISIONS), ("resize", RESIZES), ("device", DEVICE_KINDS)):
        if values.get(name, known[0]) not in known:
            raise unknown(name, values[name], known, where)
    for name in ("sizes", "freeze"):
        if name in values:
            values[name] = _rows(values[name], name, where)
    for name in ("arguments", "distill"):
        if not isinstance(values.get(name, {}), dict):
            raise UserError("QD0202", f"{name!r} takes a table, not {values[name]!r}", where=where)
    schedules = values.get("schedules", ())
    if not isinstance(schedules, (list, tuple)) or not all(isinstance(row, dict) for row in schedules):
        raise UserError("QD0202", f"'schedules' takes tables, [[schedules]], not {schedules!r}", where=where)
    try:
        return Recipe(**values | {"schedules": tuple(schedules)})
    except UserError as error:
        raise within(error, where) from error


def within(error: UserError, where: str) -> UserError:
    """``error`` with the recipe it comes from in front of its place."""
    return UserError(error.code, error.message, where=f"{where}, {error.where}" if error.where else where, help=error.help)


def _schedule(table: Mapping[str, Any], index: int) -> dict[str, Any]:
    return dataclasses.asdict(read_schedule(table, f"schedules[{index}]"))


def _rows(rows: Any, name: str, where: str) -> tuple[tuple[float, int], ...]:
    try:
        return tuple((float(share), int(number)) for share, number in rows)
    except (TypeError, ValueError) as error:
        raise UserError("QD0202", f"{name!r} takes [[share of the epochs, number], ...], not {rows!r}", where=where) from error


def write_recipe(recipe: Recipe) -> str:
    """``recipe`` as TOML; `read_recipe` gives the same recipe back."""
    return toml_writer.dumps(dataclasses.asdict(recipe))


def keep_recipe(recipe: Recipe, path: Path) -> None:
    """Write ``recipe`` to ``path``, but for a file there that says the same (with comments, perhaps).

    Raises:
        UserError: QD0105 where it cannot be written.
    """
    try:
        if read_recipe(path) == recipe:
            return
    except UserError:
        pass  # none there, or another
    write_whole(path, write_recipe(recipe).encode())


def plain(recipe: Recipe) -> dict[str, Any]:
    """``recipe`` as tables, lists and plain values, as TOML and JSON give them back; what is None is left out."""
    return tomllib.loads(write_recipe(recipe))
