"""The three claims of the exactness contract, in numbers: every artefact's logits against the trained model's, bit for bit.

Where the compiler noted departures, claim 1 is lost by construction. Then the artefacts are held to one another, bit for bit, and what
differs from the trained model is counted (claim 2): bits, and every changed prediction with the trained model's margin.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qnn_deploy.data import Dataset
from qnn_deploy.errors import ToolchainError
from qnn_deploy.evaluate.backends import Backend, KernelsMissingError, Logits

SCHEMA_VERSION = 1
# Of predictions that a defect changes; those that departures change are all listed.
_MAX_CHANGED = 20


@dataclasses.dataclass(frozen=True)
class VerifyReport:
    """What `verify` found; `to_json` is the stable form.

    Attributes:
        rows: one per backend and set of inputs.
        trained: the trained model's own count, and predictions that an artefact changes.
        proof: thresholds checked by the compiler; None where the manifest has none.
        divergence: for each artefact that differs, the first layer that does.
        layers: with ``layers``, per backend and operator the differing elements on one image.
        departures: layers in which torch's own bits cannot be had (`passes.departures`), as in the manifest.
        ties: generated (channel, accumulator) pairs on or beside a threshold of the first layer.
    """

    rows: tuple[Mapping[str, Any], ...]
    trained: Mapping[str, Any]
    proof: Mapping[str, Any] | None
    divergence: tuple[str, ...]
    layers: tuple[Mapping[str, Any], ...]
    ties: int
    departures: tuple[Mapping[str, Any], ...] = ()

    @property
    def ok(self) -> bool:
        """True where something ran and no artefact differs from the trained model; with departures: from the others."""
        ran = [row for row in self.rows if not row.get("not_run")]
        proven = self.proof is None or self.proof["violations"] == 0
        return bool(ran) and proven and all(row["differing_bits"] == 0 for row in ran) and all(row["differing"] == 0 for row in self.layers)

    def to_json(self) -> dict[str, Any]:
        """As documented for ``verify --json``."""
        return {
            "schema_version": SCHEMA_VERSION,
            "rows": [dict(row) for row in self.rows],
            "trained": dict(self.trained),
            "proof": None if self.proof is None else dict(self.proof),
            "divergence": list(self.divergence),
            "layers": [dict(row) for row in self.layers],
            "departures": [dict(row) for row in self.departures],
            "ties": self.ties,
            "ok": self.ok,
        }


def differing_bits(a: Logits, b: Logits) -> int:
    """Bits that differ between two float32 arrays of one shape; every bit of a row that is missing counts."""
    if a.shape != b.shape:
        return 32 * max(a.size, b.size)
    return int(np.bitwise_count(np.ascontiguousarray(a).view(np.uint32) ^ np.ascontiguousarray(b).view(np.uint32)).sum())


def top1(logits: Logits, classes: bool) -> NDArray[np.int64]:
    """The class of each image, of maps of each pixel: that of the largest logit, of equal ones the lowest. With ``classes`` the numbers
    are classes themselves, of a network that ends in an argmax.
    """
    return logits[:, 0].astype(np.int64) if classes else logits.argmax(axis=1)


def count_correct(logits: Logits, labels: NDArray[np.int64], classes: bool = False) -> int | None:
    """Top-1 hits, a tie goes to the lowest class. Of maps each pixel counts, if it has a label.

    None where the labels are not known, and for a single logit, which is no choice between classes.
    """
    if logits.shape[1] == 1 and not classes:
        return None
    top = top1(logits, classes)
    if top.shape != labels.shape or (len(labels) and labels.min() < 0):
        return None
    return int((top == labels).sum())


def margin(logits: NDArray[np.float32]) -> float:
    """Distance between the two largest logits of one image; 0 where there is one only."""
    top = np.sort(logits)[-2:]
    return float(top[-1] - top[0])


def compare(
    oracle: Callable[[NDArray[Any]], Logits],
    backends: Sequence[Backend],
    data: Dataset | None,
    generated: NDArray[Any],
    *,
    proof: Mapping[str, Any] | None,
    ties: int,
    classes: bool = False,
    layers: bool = False,
    departures: Sequence[Mapping[str, Any]] = (),
    progress: Callable[[str], None] = lambda stage: None,
) -> VerifyReport:
    """Run every backend on ``data`` and on the ``generated`` inputs and compare its logits with the oracle's.

    With ``classes`` they give classes, not logits. With ``departures``, compare them with those of the backend before it that ran on the
    most images, and those with the oracle's.
    A backend that lacks its kernels or its runner becomes a row with ``not_run``.
    """
    sets = [] if data is None else [data]
    sets.append(Dataset(generated, np.full(len(generated), -1, np.int64), "generated"))
    progress("the trained model")
    truth = [oracle(part.images) for part in sets]
    agreed: list[Logits] = [np.zeros((0, *part.shape[1:]), np.float32) for part in truth]
    rows: list[dict[str, Any]] = []
    changed: list[dict[str, Any]] = []
    divergence: list[str] = []
    table: list[dict[str, Any]] = []
    for backend in backends:
        progress(f"{backend.artefact} on {backend.runner} ({backend.kernels})")
        head = {"artefact": backend.artefact, "runner": backend.runner, "kernels": backend.kernels}
        if backend.predict is None:
            rows.append({**head, **_not_run(backend.not_run)})
            continue
        explained = False
        counted = False
        for index, part in enumerate(sets):
            images, labels = part.images, part.labels
            if part is data:
                images, labels = images[: backend.limit], labels[: backend.limit]
            try:
                logits = backend.predict(images)
            except KernelsMissingError as error:
                rows.append({**head, **_not_run(error.message)})
                break
            expected = truth[index][: len(images)]
            if departures:
                if len(agreed[index]) < len(logits):
                    agreed[index] = np.concatenate([agreed[index], logits[len(agreed[index]) :]])
                expected = agreed[index][: len(images)]
            bits = differing_bits(logits, expected)
            correct = count_correct(logits, labels, classes) if part is data else None
            rows.append({**head, "inputs": part.name, "images": len(images), "differing_bits": bits, "correct": correct})
            if layers and not counted and backend.layers is not None:
                table += backend.layers(images[:1])
                counted = True
            if bits and logits.shape == expected.shape and not departures:
                changed += [{**head, **change} for change in _changes(logits, expected, classes)] if part is data else []
                if not explained and backend.diagnose is not None:
                    first = int(
                        np.flatnonzero((logits.view(np.uint32) != expected.view(np.uint32)).reshape(len(logits), -1).any(axis=1))[0]
                    )
                    try:
                        divergence.append(
                            f"{backend.artefact} on {backend.runner} ({backend.kernels}): {backend.diagnose(images[first : first + 1])}"
                        )
                    except ToolchainError as error:
                        divergence.append(f"{backend.artefact} on {backend.runner} ({backend.kernels}): {error.message}")
                    explained = True
    departed: dict[str, Any] = {}
    if departures:
        pairs = [(part, ours, theirs[: len(ours)]) for part, ours, theirs in zip(sets, agreed, truth, strict=True)]
        changed = [{"inputs": part.name, **change} for part, ours, theirs in pairs for change in _changes(ours, theirs, classes)]
        departed = {
            "compared": sum(len(ours) for _, ours, _ in pairs),
            "equal_images": sum(
                int((ours.view(np.uint32) == theirs.view(np.uint32)).reshape(len(ours), -1).all(axis=1).sum()) for _, ours, theirs in pairs
            ),
            "largest_difference": float(max((np.abs(ours - theirs).max() for _, ours, theirs in pairs if ours.size), default=0.0)),
        }
    trained = {
        "images": 0 if data is None else len(data.images),
        "correct": None if data is None else count_correct(truth[0], data.labels, classes),
        "changed": changed if departures else changed[:_MAX_CHANGED],
        "changed_total": len(changed),
        **departed,
    }
    return VerifyReport(tuple(rows), trained, proof, tuple(divergence), tuple(table), ties, tuple(departures))


def _not_run(reason: str) -> dict[str, Any]:
    return {"inputs": None, "images": 0, "differing_bits": None, "correct": None, "not_run": reason}


def _changes(logits: Logits, expected: Logits, classes: bool) -> list[dict[str, Any]]:
    """Images whose top-1 class differs, of maps at the first pixel where it does, with the trained model's margin."""
    scores, ours, theirs = np.moveaxis(expected, 1, -1), top1(logits, classes), top1(expected, classes)
    places = np.argwhere(ours != theirs)
    first = places[np.unique(places[:, 0], return_index=True)[1]]
    return [
        {"image": int(at[0]), "trained": int(theirs[at]), "artefact_class": int(ours[at]), "margin": margin(scores[at])}
        for at in map(tuple, first)
    ]
