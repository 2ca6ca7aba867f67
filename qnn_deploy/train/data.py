"""Batches: the order of an epoch, augmentation of whole batches of uint8 images, and resizing for progressive resolution."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor


def batches(
    images: Tensor, labels: Tensor, batch_size: int, *, seed: int, epoch: int, rank: int = 0, ranks: int = 1
) -> Iterator[tuple[Tensor, Tensor, torch.Generator]]:
    """The batches of one epoch, the last short one left out: (images, labels, generator for their augmentation).

    A function of its arguments alone: an epoch is repeated exactly by naming it. Each of ``ranks`` processes gets its part of every batch.
    """
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    order = torch.randperm(len(images), generator=generator)
    if rank:
        generator.manual_seed(((seed * 1_000_003 + epoch) * 1_000_003 + rank) % 2**63)
    for start in range(0, len(order) - batch_size + 1, batch_size):
        chosen = order[start : start + batch_size][rank::ranks]
        yield images[chosen], labels[chosen], generator


def augment(images: Tensor, crop: int, flip: bool, generator: torch.Generator, size: int = 0) -> Tensor:
    """Random shift by up to ``crop`` pixels (edges padded by reflection) and random horizontal flip; uint8 [N, C, H, W] in and out.

    With ``size``, a random part of the shifted picture, ``size`` x ``size``. ``generator`` is one of the CPU, so that every device sees
    the same pictures.
    """
    (n, channels, *whole), device = images.shape, images.device
    height, width = [size, size] if size else whole
    if crop or [height, width] != whole:
        padded = F.pad(images.float(), (crop, crop, crop, crop), mode="reflect").to(torch.uint8)
        spare = [side + 2 * crop - part for side, part in zip(whole, (height, width), strict=True)]
        top, left = (torch.randint(0, most + 1, (n,), generator=generator).to(device) for most in spare)
        rows = (top[:, None] + torch.arange(height, device=device))[:, None, :, None]
        columns = (left[:, None] + torch.arange(width, device=device))[:, None, None, :]
        sample, channel = torch.arange(n, device=device), torch.arange(channels, device=device)
        images = padded[sample[:, None, None, None], channel[None, :, None, None], rows, columns]
    if flip:
        chosen = (torch.rand(n, generator=generator) < 0.5).to(device)
        images = torch.where(chosen[:, None, None, None], images.flip(3), images)
    return images


def resize(images: Tensor, size: int) -> Tensor:
    """Area-averaged to ``size`` x ``size`` and rounded; uint8 in and out. The same tensor where the size already fits."""
    if images.shape[-1] == size:
        return images
    return F.interpolate(images.float(), size=(size, size), mode="area").round_().to(torch.uint8)
