"""What every comparison is made against: a PyTorch module in ``eval()``, float32, on the CPU, on one thread."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from qnn_deploy.nn.threads import one_thread

_BATCH = 100


def logits(module: nn.Module, images: NDArray[Any]) -> NDArray[np.float32]:
    """Logits float32 [N, classes] of ``module`` in ``eval()``; where it returns classes (integers, by an argmax), those as [N, 1]."""
    module.eval()

    def part(start: int) -> NDArray[np.float32]:
        with torch.no_grad():  # its state belongs to the thread
            result: Tensor = module(torch.from_numpy(np.ascontiguousarray(images[start : start + _BATCH])))
        return (result if result.is_floating_point() else result.unsqueeze(1)).numpy()

    with one_thread(), ThreadPoolExecutor(os.cpu_count()) as pool:  # whole batches run side by side
        parts = list(pool.map(part, range(0, len(images), _BATCH)))
    return np.concatenate(parts).astype(np.float32, copy=False)


@torch.no_grad()
def activations(module: nn.Module, image: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Output of every submodule, by its path, for one image [1, C, H, W]."""
    kept: dict[str, NDArray[Any]] = {}

    def keep(path: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor):
                kept[path] = output.numpy().copy()

        return hook

    handles = [child.register_forward_hook(keep(path)) for path, child in module.named_modules() if path]
    try:
        module.eval()(torch.from_numpy(np.ascontiguousarray(image)))
    finally:
        for handle in handles:
            handle.remove()
    return kept
