"""The teacher of a distillation: a network from a checkpoint or a run's folder, frozen."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from qnn_deploy.nn import checkpoint
from qnn_deploy.train import state
from qnn_deploy.train.build import load_trained
from qnn_deploy.train.distill import Teacher


class SoftTargets(nn.Module):
    """The teacher, in ``eval()`` for good: images uint8 [N, C, H, W] to probabilities [N, classes] at the temperature, without gradients.

    Raises:
        UserError: QD0101 or QD0102 for a teacher that cannot be loaded.
    """

    def __init__(self, teacher: Teacher) -> None:
        super().__init__()
        self.model, self.logit_scale = load_teacher(Path(teacher.teacher))
        self.temperature = teacher.temperature
        self.requires_grad_(False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.model(images).float() * self.logit_scale
        return (logits / self.temperature).softmax(1)


def load_teacher(path: Path) -> tuple[nn.Module, float]:
    """The network in ``path`` (a ``model.pt`` or a run's folder) in ``eval()``, and the ``logit_scale`` it was trained with.

    Raises:
        UserError: QD0101 where there is none, QD0102 for a damaged one.
    """
    if path.is_dir():
        return load_trained(path), float(state.load(path / state.FILE).recipe["logit_scale"])
    model, info = checkpoint.load(path)
    return model, float(info.meta.get("recipe", {}).get("logit_scale", 1.0))
