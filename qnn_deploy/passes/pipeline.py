"""The ordered table of passes, and the function that runs them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import onnx_ir as ir

from qnn_deploy.ir.levels import Level, verify
from qnn_deploy.passes._base import LevelPass
from qnn_deploy.passes.canonicalise import CANONICALISE
from qnn_deploy.passes.departures import Departure, departures_of
from qnn_deploy.passes.drop_softmax import drop_softmax
from qnn_deploy.passes.fold_thresholds import FoldThresholds
from qnn_deploy.passes.make_exact import MakeExact
from qnn_deploy.passes.move_scales import MoveScales
from qnn_deploy.passes.pack_binary_weights import PackBinaryWeights
from qnn_deploy.passes.pool_before_quantise import PoolBeforeQuantise
from qnn_deploy.passes.prove_signs import ProveSigns
from qnn_deploy.passes.prove_straight_through import ProveStraightThrough
from qnn_deploy.passes.quantise_activations import Calibration, QuantiseActivations, calibrate_with
from qnn_deploy.passes.remove_unused import RemoveUnused
from qnn_deploy.passes.scan import ThresholdProof
from qnn_deploy.passes.sink_movement import SinkMovement

# (pass, why it stands where it stands)
EXACT: tuple[tuple[type[LevelPass], str], ...] = (
    (ProveStraightThrough, "on ranges, while every step is there that they follow from"),
    (SinkMovement, "before thresholds, which are found right behind a reduction"),
    (MoveScales, "before reductions become integer: a scale in front of one goes behind it"),
    (QuantiseActivations, "what reads floats after that, by data"),
    (PoolBeforeQuantise, "on every quantiser there is"),
    (ProveSigns, "a sign with three values must go before ranges are used as +1/-1"),
    (MakeExact, "every reduction becomes integer; the level changes here"),
    (FoldThresholds, "on exact operators, so that a threshold replaces exactly what it was scanned from"),
    (PackBinaryWeights, "after the thresholds, which negate weights of falling channels"),
    (RemoveUnused, "BatchNorm constants that thresholds replaced"),
)


@dataclasses.dataclass(frozen=True)
class Lowered:
    """The exact network and what was proven on the way.

    Attributes:
        model: at L2.
        l1: the canonical form it was made from, a copy.
        proofs: one record per thresholded layer.
        departures: layers in which torch's own bits cannot be had; empty for a network that equals torch throughout.
        scales: of the activations that were calibrated, by value; empty without a calibration.
    """

    model: ir.Model
    l1: ir.Model
    proofs: tuple[ThresholdProof, ...]
    departures: tuple[Departure, ...] = ()
    scales: Mapping[str, float] = dataclasses.field(default_factory=dict)


def lower(
    model: ir.Model, *, calibration: Calibration | None = None, logits: bool = False, after: Callable[[str, ir.Model], None] | None = None
) -> Lowered:
    """Lower an imported model (L0) to L2, in place.

    Args:
        calibration: for float activations in front of reductions; None refuses them.
        logits: leave out a softmax at the very end.
        after: called with each pass's name and the model behind it (for ``--print-ir``).

    Raises:
        CompileErrors: why the model cannot be deployed, all reasons of the first pass that found any.
    """

    def apply(make: type[LevelPass]) -> LevelPass:
        step = make()
        step(model)
        if after is not None:
            after(make.__name__, model)
        return step

    if logits:
        drop_softmax(model)
    for make in CANONICALISE:
        apply(make)
    verify(model, Level.L1)
    l1 = model.clone()
    if calibration is not None:
        calibrate_with(model, calibration)
    steps = [apply(make) for make, _ in EXACT]
    proofs = tuple(proof for step in steps if isinstance(step, FoldThresholds) for proof in step.proofs)
    scales = {name: scale for step in steps if isinstance(step, QuantiseActivations) for name, scale in step.scales.items()}
    return Lowered(model, l1, proofs, departures_of(model.graph), scales)
