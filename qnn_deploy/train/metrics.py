"""What is measured each epoch, and the two places it is written to: ``metrics.csv`` and TensorBoard."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from qnn_deploy.errors import UserError
from qnn_deploy.files import write_whole
from qnn_deploy.nn.layers import QuantLayer

Row = dict[str, Any]
"""The metrics of one epoch, in the order of `COLUMNS`; None for what the model does not have."""

COLUMNS = {
    "epoch": "whole epochs done",
    "epochs": "of so many",
    "size": "side of the training images",
    "loss": "mean over the epoch's batches",
    "train_accuracy": "of the training forward passes, augmentation included",
    "test_correct": "right answers of the deployed form on the test images",
    "test_accuracy": "their share",
    "learning_rate": "at the last step",
    "flip_ratio": "share of the weights of up to 2 bits whose integer is not what it was before the epoch",
    "clip_fraction": "share of the latent weights that the clip moved behind the last step",
    "sparsity": "share of zeros among the weights of up to 2 bits",
    "seconds": "of the epoch, evaluation included",
}


@torch.no_grad()
def low_bit_weights(model: nn.Module) -> list[Tensor]:
    """Deployed integers (int8) of each layer with weights of at most 2 bits; ``model`` in ``eval()``."""
    layers = [m for m in model.modules() if isinstance(m, QuantLayer) and int(m.quantizer.bits) <= 2]  # type: ignore[arg-type]
    return [layer.quantized_weight()[0].to(torch.int8) for layer in layers]


def share(counts: Sequence[Tensor], weights: Sequence[Tensor]) -> float | None:
    """Share of True in ``counts`` over the elements of ``weights``; None where there are none."""
    total = sum(weight.numel() for weight in weights)
    return round(sum(int(count.sum()) for count in counts) / total, 6) if total else None


def flip_ratio(before: Sequence[Tensor], after: Sequence[Tensor]) -> float | None:
    """Share of the integers that differ."""
    return share([a != b for a, b in zip(before, after, strict=True)], after)


def sparsity(weights: Sequence[Tensor]) -> float | None:
    """Share of zeros."""
    return share([weight == 0 for weight in weights], weights)


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """Write ``rows`` to ``path``, whole or not at all.

    Raises:
        UserError: QD0105 where it cannot be written.
    """
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(COLUMNS), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(path, text.getvalue().encode())


class TensorBoard:
    """Event files in ``folder``, from ``first_epoch`` on (what was written of later epochs before an interruption is hidden).

    Raises:
        UserError: QD0111 where the package is missing.
    """

    def __init__(self, folder: Path, first_epoch: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise UserError("QD0111", "event files need tensorboard", help='pip install "qnn-deploy[tensorboard]"') from error
        self._writer = SummaryWriter(str(folder), purge_step=first_epoch)

    def write(self, row: Row) -> None:
        for name, value in row.items():
            if value is not None and name not in ("epoch", "epochs"):
                self._writer.add_scalar(name, value, row["epoch"])
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()
