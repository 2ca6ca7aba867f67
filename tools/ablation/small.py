"""CIFAR-10 for ablations on a small computer: `--set data=tools.ablation.small:cifar10`, from the project's folder."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qnn_deploy.data import load

EVERY, SIDE = 3, 16


def cifar10(split: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Every third image to train, 16,667, and all to test, each pixel the rounded mean of four: uint8 [N, 3, 16, 16], int64 [N]."""
    data = load("cifar10", split)
    step = EVERY if split == "train" else 1
    images = data.images[::step]
    n, c, h, w = images.shape
    quads = images.reshape(n, c, SIDE, h // SIDE, SIDE, w // SIDE)
    return np.rint(quads.mean((3, 5))).astype(np.uint8), data.labels[::step]
