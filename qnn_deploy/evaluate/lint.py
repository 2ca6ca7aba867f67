"""`lint`: which layers will really run on bits on the device, and why not the others."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from qnn_deploy.emit import manifest
from qnn_deploy.errors import CompileErrors, QnnDeployError
from qnn_deploy.frontend import load_model, load_module
from qnn_deploy.passes.pipeline import lower
from qnn_deploy.plan import plan

if TYPE_CHECKING:
    from qnn_deploy.frontend.torch_export import Module


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What becomes of one layer with weights.

    Attributes:
        name: path of the module. op: the operator that runs it.
        weight_bits, activation_bits: information of one operand. macs: of one sample.
        binary: both operands are packed bits.
        why: empty for a binary layer; else what keeps it from being one.
    """

    name: str
    op: str
    weight_bits: int
    activation_bits: int
    macs: int
    binary: bool
    why: str


@dataclasses.dataclass(frozen=True)
class Lint:
    """What the compiler makes of a model.

    Attributes:
        layers: one verdict for each layer with weights; empty where the model cannot be deployed.
        findings: every reason why it cannot; empty where it can.
    """

    layers: tuple[Verdict, ...]
    findings: tuple[QnnDeployError, ...]

    @property
    def deployable(self) -> bool:
        return not self.findings

    @property
    def binary_share(self) -> float:
        """Share of the multiply-accumulates that run on bits."""
        macs = sum(layer.macs for layer in self.layers)
        return sum(layer.macs for layer in self.layers if layer.binary) / macs if macs else 0.0


def lint(model: str | Module, *, weights: str | None = None, input_spec: str | None = None, trust_pickle: bool = False) -> Lint:
    """Compile ``model`` as `api.build` would, write nothing, and say what each layer became.

    Args:
        model: as for `frontend.load_model`, or a torch module.
        weights, input_spec, trust_pickle: see `frontend.load_model`.

    Raises:
        UserError: the model cannot be read. What keeps it from being deployed is not raised but listed.
    """
    try:
        if isinstance(model, str):
            loaded = load_model(model, weights=weights, input_spec=input_spec, trust_pickle=trust_pickle)
        else:
            loaded = load_module(model, input_spec)
        rows = manifest.layers(plan(lower(loaded.model).model))
    except CompileErrors as error:
        return Lint((), tuple(error.findings))
    verdicts = []
    for row in rows:
        if row.weight_bits:
            binary = row.macs_8b == 0
            why = "" if binary else _why(row)
            verdicts.append(Verdict(row.name, row.op, row.weight_bits, row.activation_bits, row.macs_1b + row.macs_8b, binary, why))
    return Lint(tuple(verdicts), ())


def _why(row: manifest.Layer) -> str:
    if row.op == "float_conv":
        return "a float island, since its weights are floats: give it a weight quantiser"
    if row.weight_bits > 1 and row.activation_bits > 1:
        return f"{row.weight_bits}-bit weights on {row.activation_bits}-bit inputs: give it a binary weight quantiser and a sign in front"
    if row.weight_bits > 1:
        return f"{row.weight_bits}-bit weights: give it a binary weight quantiser"
    return f"its input has {row.activation_bits} bits: put a sign in front of it, unless these are the pixels"
