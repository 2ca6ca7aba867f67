"""Right answers of a network, as it is deployed."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from qnn_deploy.data import Dataset


@torch.no_grad()
def count_correct(model: nn.Module, data: Dataset, batch_size: int = 500, rank: int = 0, ranks: int = 1) -> int:
    """Top-1 hits of ``model`` on ``data`` (with ``ranks`` processes: on this one's part of it); a tie goes to the lowest class."""
    device = next((tensor.device for tensor in model.state_dict().values()), torch.device("cpu"))
    images, labels = data.images[rank::ranks], data.labels[rank::ranks]
    correct = 0
    for start in range(0, len(images), batch_size):
        x = torch.from_numpy(images[start : start + batch_size]).to(device)
        predicted: Tensor = model(x.contiguous(memory_format=torch.channels_last)).argmax(dim=1)
        correct += int((predicted.cpu().numpy() == labels[start : start + batch_size]).sum())
    return correct
