"""Training recipes: a TOML file, read into a frozen dataclass. Unknown keys are refused."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

from qnn_deploy.errors import UserError


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How one model is trained.

    Attributes:
        architecture, arguments: a row of `nn.architectures.ARCHITECTURES` and its keyword arguments.
        data: a data specification (see `qnn_deploy.data`).
        epochs, batch_size, learning_rate, seed: as usual; Adam with a one-cycle schedule (linear warm-up, cosine to zero).
        warmup: share of the steps in the warm-up.
        logit_scale: factor on the logits inside the cross-entropy only (integer logits are large).
        crop, flip: augmentation (see `train.data.augment`).
        sizes: progressive resolution, [[share of epochs done, image size], ...]; empty for full size throughout.
        freeze: progressive freezing, [[share of epochs done, number of quantised layers], ...]: from there on the first layers, and the
            BatchNorms behind them, stay as they are and cost a forward pass only (FreezeOut, Brock et al. 2017).
        precision: "float32", or "bfloat16" for autocast in training (evaluation is always float32).
        compile: use ``torch.compile`` (needs a C++ compiler; same result up to float rounding in training).
        threads: CPU threads; 0 leaves torch's default.
    """

    architecture: str
    data: str
    epochs: int
    arguments: dict[str, Any] = dataclasses.field(default_factory=dict)
    batch_size: int = 128
    learning_rate: float = 4e-3
    warmup: float = 0.1
    logit_scale: float = 1.0
    crop: int = 0
    flip: bool = False
    sizes: tuple[tuple[float, int], ...] = ()
    freeze: tuple[tuple[float, int], ...] = ()
    seed: int = 0
    precision: str = "float32"
    compile: bool = False
    threads: int = 0


def read_recipe(path: Path, overrides: tuple[str, ...] = ()) -> Recipe:
    """The recipe in ``path`` with ``key=value`` overrides (values in TOML syntax, bare words as strings).

    Raises:
        UserError: QD0201 where the file cannot be read or parsed, QD0202 for an unknown or ill-typed key.
    """
    try:
        table = tomllib.loads(path.read_text())
    except OSError as error:
        raise UserError("QD0201", f"cannot read the recipe: {error.strerror}", where=str(path)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError("QD0201", f"not a TOML file: {error}", where=str(path)) from error
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals:
            raise UserError("QD0202", f"--set takes key=value, not {text!r}")
        try:
            table[key.strip()] = tomllib.loads(f"v = {value}")["v"]
        except tomllib.TOMLDecodeError:
            table[key.strip()] = value
    fields = {field.name: field for field in dataclasses.fields(Recipe)}
    unknown = sorted(set(table) - set(fields))
    if unknown:
        raise UserError("QD0202", f"unknown key {unknown[0]!r}", where=str(path), help=f"known keys: {', '.join(fields)}")
    missing = [name for name in ("architecture", "data", "epochs") if name not in table]
    if missing:
        raise UserError("QD0202", f"missing key {missing[0]!r}", where=str(path))
    for name, value in table.items():
        types: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "bool": (bool,), "str": (str,)}
        expected = types.get(str(fields[name].type))
        if expected and (not isinstance(value, expected) or (isinstance(value, bool) and bool not in expected)):
            raise UserError("QD0202", f"{name!r} takes {fields[name].type}, not {value!r}", where=str(path))
    if table.get("precision", "float32") not in ("float32", "bfloat16"):
        raise UserError("QD0202", f"'precision' takes \"float32\" or \"bfloat16\", not {table['precision']!r}", where=str(path))
    for name in ("sizes", "freeze"):
        if name in table:
            table[name] = tuple((float(share), int(number)) for share, number in table[name])
    return Recipe(**table)
