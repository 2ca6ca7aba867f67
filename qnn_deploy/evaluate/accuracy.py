"""Correct predictions of anything that gives logits."""

from __future__ import annotations

from typing import Any

from qnn_deploy.errors import UserError
from qnn_deploy.evaluate.parity import count_correct
from qnn_deploy.evaluate.subjects import load_data, predictor

SCHEMA_VERSION = 1


def evaluate(
    name: str, data: str | None, limit: int | None = None, *, target: str | None = None, runner: str | None = None, kernels: str = "auto"
) -> dict[str, Any]:
    """Top-1 of the trained model, build directory or ``.qdm`` called ``name``; the JSON of ``eval``.

    Raises:
        UserError: QD0203 where there is no data or no labels, QD0104 where its images do not fit.
    """
    subject = predictor(name, target=target, runner=runner, kernels=kernels)
    loaded = load_data(data, subject.shape, subject.dtype, limit)
    if loaded is None:
        raise UserError("QD0203", f"no data for images of {list(subject.shape)}", help="name it with --data")
    correct = count_correct(subject.predict(loaded.images), loaded.labels, subject.classes)
    if correct is None:
        raise UserError("QD0203", f"{loaded.name} has no labels for what the model gives", help="`verify` and `run` need none")
    count = len(loaded.images)
    return {
        "schema_version": SCHEMA_VERSION,
        "model": name,
        "data": loaded.name,
        "images": count,
        "correct": correct,
        "top1": correct / loaded.labels.size,
    }
