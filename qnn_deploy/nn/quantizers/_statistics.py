"""Mean and standard deviation that neither overflow nor divide by zero, whatever the weights."""

from __future__ import annotations

from torch import Tensor

# Below it a gradient divided by the standard deviation would swamp all others.
SMALLEST_STD = 1e-8


def centred_and_std(weight: Tensor, dims: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """(weight minus its mean over ``dims``, its sample standard deviation, at least 1e-8, with ``dims`` kept); both differentiable."""
    centred = weight - weight.mean(dims, keepdim=True)
    largest = centred.detach().abs().amax(dims, keepdim=True).clamp(min=SMALLEST_STD)
    count = weight.numel() // largest.numel()
    variance = (centred / largest).square().sum(dims, keepdim=True) / max(count - 1, 1)
    # The gradient of a root at 0 is infinite, hence the floor under it.
    return centred, (largest * variance.clamp(min=1e-30).sqrt()).clamp(min=SMALLEST_STD)
