"""StoMPP: stochastic masked partial progressive binarisation (Smith and Islam 2026), training without a straight-through estimator.

    y = where(M, sign(x), clamp(x, -1, 1)),   M an entry at a time with probability p

p rises from 0 to 1, layer after layer from input to output; only the clipped entries pass a gradient. ``ste = True`` lets the frozen
entries pass the clipped straight-through gradient (the second paper's combination). Confirmed from the abstracts: the layer-wise order,
the stochastic masks with "soft refresh", the two gradients. Inferred: the formula, and that a refresh draws a share of the mask anew at
each step. Masks are functions of a seed and a counter (see `draws`), not tensors of their own: a checkpoint does not grow by them, and
maps may change their size.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from qnn_deploy.errors import UserError
from qnn_deploy.nn import draws
from qnn_deploy.nn.functional import sign
from qnn_deploy.nn.quantizers._base import ActivationQuantizer, WeightQuantizer


class _Stompp(nn.Module):
    """The masked step. Annealed quantity: ``frozen``, the probability p (0 to 1).

    Args:
        ste: frozen entries pass the gradient of the estimator "clipped"; else none.
        refresh: share of the mask that is drawn anew at each step, in [0, 1]. With 0 an entry once frozen stays so while p rises.
        seed: of the masks; None draws it from torch's generator.

    Raises:
        UserError: QD0202 for a share outside [0, 1].
    """

    frozen: Tensor
    seed: Tensor
    steps: Tensor
    levels = (-1, 1)
    annealed = ("frozen",)
    must_anneal = ("frozen",)

    def __init__(self, ste: bool = False, refresh: float = 0.01, seed: int | None = None) -> None:
        super().__init__()
        if not 0 <= refresh <= 1:
            raise UserError("QD0202", f"StoMPP's refresh is a share in [0, 1], not {refresh}")
        self.ste, self.refresh = ste, refresh
        self.register_buffer("frozen", torch.tensor(0.0), persistent=False)
        self.register_buffer("seed", draws.seed_buffer(seed))
        self.register_buffer("steps", torch.tensor(0))

    def mask(self, shape: torch.Size) -> Tensor:
        """The frozen entries at this step, bool of ``shape``."""
        # Every entry is drawn anew once in 1/refresh steps, at a moment of its own; in integers, so that no step is lost to rounding.
        age = draws.bits(shape, self.seed) + self.steps * round(self.refresh * 2**draws.BITS)
        return draws.uniform(shape, self.seed + 1, age >> draws.BITS) < self.frozen

    def step(self, x: Tensor, mask_shape: torch.Size) -> Tensor:
        """The masked step at x, any shape; ``mask_shape`` broadcasts against it."""
        if not self.training:
            return sign(x)
        mask = self.mask(mask_shape)
        self.steps.add_(1)
        hard = sign(x, "clipped")
        return torch.where(mask, hard if self.ste else hard.detach(), x.clamp(-1, 1))

    def extra_repr(self) -> str:
        return f"ste={self.ste}, refresh={self.refresh}"


class StomppWeight(_Stompp, WeightQuantizer):
    """Binary weights by StoMPP; in training the unfrozen ones are real. Without ``ste`` a layer's weights rest once all are frozen."""

    bits = 1

    def __init__(self, ste: bool = False, refresh: float = 0.01, seed: int | None = None) -> None:
        super().__init__(ste, refresh, seed)
        self.rests_at = {} if ste else {"frozen": 1.0}

    def forward(self, weight: Tensor) -> tuple[Tensor, Tensor | None]:
        """Returns (+-1, or in training values in [-1, 1], of weight's shape; None)."""
        return self.step(weight, weight.shape), None


class StomppActivation(_Stompp, ActivationQuantizer):
    """Binary activations by StoMPP; the samples [N, ...] of a batch share a mask, so that it means the same units at the next step."""

    def forward(self, x: Tensor) -> Tensor:
        """+-1, or in training values in [-1, 1], of x's shape."""
        return self.step(x, x.shape[1:])
