"""Knowledge distillation: a trained teacher's logits as soft targets (Hinton et al. 2015)."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from qnn_deploy.errors import UserError
from qnn_deploy.train.spec import arguments


@dataclasses.dataclass(frozen=True)
class Teacher:
    """The table ``distill`` of a recipe.

    Attributes:
        teacher: a ``model.pt``, or the folder of a training run, whose last epoch is taken (a float network too).
        temperature: divides both sides' logits.
        weight: share of the teacher's term in the loss, in (0, 1].
    """

    teacher: str
    temperature: float = 4.0
    weight: float = 0.9

    def __post_init__(self) -> None:
        if not 0 < self.weight <= 1 or self.temperature <= 0:
            raise UserError("QD0202", "'distill' takes a weight in (0, 1] and a temperature above 0")


def read_distill(table: dict[str, Any], where: str = "") -> dict[str, Any]:
    """``table`` with every default filled in.

    Raises:
        UserError: QD0202 for an unknown, missing or bad entry.
    """
    return dataclasses.asdict(Teacher(**arguments(table, Teacher, "distill", where)))


def distillation_loss(logits: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """T^2 KL(targets || softmax(logits / T)), mean over the batch; logits and targets [N, classes]. T^2 keeps the size of the gradients."""
    return F.kl_div((logits / temperature).log_softmax(1), targets, reduction="batchmean") * temperature**2
