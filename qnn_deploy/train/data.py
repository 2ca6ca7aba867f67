"""Augmentation on whole batches of uint8 images, and resizing for progressive resolution."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def augment(images: Tensor, crop: int, flip: bool, generator: torch.Generator) -> Tensor:
    """Random shift by up to ``crop`` pixels (edges padded by reflection) and random horizontal flip; uint8 [N, C, H, W] in and out."""
    n, _, height, width = images.shape
    if crop:
        padded = F.pad(images.float(), (crop, crop, crop, crop), mode="reflect").to(torch.uint8)
        top, left = (torch.randint(0, 2 * crop + 1, (n,), generator=generator) for _ in range(2))
        rows = (top[:, None] + torch.arange(height))[:, None, :, None]
        columns = (left[:, None] + torch.arange(width))[:, None, None, :]
        images = padded[torch.arange(n)[:, None, None, None], torch.arange(images.shape[1])[None, :, None, None], rows, columns]
    if flip:
        chosen = torch.rand(n, generator=generator) < 0.5
        images = torch.where(chosen[:, None, None, None], images.flip(3), images)
    return images


def resize(images: Tensor, size: int) -> Tensor:
    """Area-averaged to ``size`` x ``size`` and rounded; uint8 in and out. The same tensor where the size already fits."""
    if images.shape[-1] == size:
        return images
    return F.interpolate(images.float(), size=(size, size), mode="area").round_().to(torch.uint8)
