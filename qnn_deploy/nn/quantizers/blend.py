"""Alpha-blending (Liu and Mattina 2019): training without a straight-through estimator around any weight quantiser.

    y = alpha w_q + (1 - alpha) w,   w_q constant for the gradient,   alpha from 0 to 1

So dL/dw = (1 - alpha) dL/dy: no weight moves any more at alpha = 1 (the scheduler then holds the latent weights, for momentum and decay
would move them). What w_q depends on besides w, such as a learned scale, learns on. Confirmed from the abstract: the blend and its
gradient. Recalled without a source: the cubic ramp. Inferred: ``compensate_lr``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from qnn_deploy.nn.gradients import along, asymmetric_weight, per_scale
from qnn_deploy.nn.quantizers._base import WeightQuantizer
from qnn_deploy.nn.quantizers._spec import Spec


class BlendedWeight(WeightQuantizer):
    """The blend of a weight and what ``inner`` makes of it; in ``eval()`` what ``inner`` makes of it.

    Annealed quantity: ``alpha`` (0 to 1, by the ramp "cubic"). End it before training ends, so that BatchNorm settles on the final weights.

    Args:
        inner: a weight quantiser, or its spec.
        compensate_lr: pass dL/dy on as it is while alpha < 1. SGD then moves weights as fast at the end as at the beginning; Adam
            does in any case, since it divides by the gradient's size.
    """

    alpha: Tensor
    annealed = ("alpha",)
    must_anneal = ("alpha",)
    rests_at = {"alpha": 1.0}  # noqa: RUF012 -- never changed

    def __init__(self, inner: Spec | nn.Module = "binary", compensate_lr: bool = False) -> None:
        super().__init__()
        from qnn_deploy.nn.quantizers import weight_quantizer  # the registry, which has a row for this class

        quantizer: Any = inner if isinstance(inner, nn.Module) else weight_quantizer(inner)
        self.inner = quantizer
        self.compensate_lr = compensate_lr
        self.bits, self.levels, self.asymmetric = quantizer.bits, quantizer.levels, getattr(quantizer, "asymmetric", False)
        self.register_buffer("alpha", torch.tensor(0.0), persistent=False)

    def attach(self, weight: Tensor) -> None:
        """As the inner quantiser's."""
        if hasattr(self.inner, "attach"):
            self.inner.attach(weight)

    def forward(self, weight: Tensor) -> tuple[Tensor, Tensor | None]:
        """Returns (first, scale) with ``first * scale`` the blend; in ``eval()`` the integers and the scale of ``inner``.

        An asymmetric scale is multiplied in already in training, and None is returned for it.
        """
        if not self.training:
            result: tuple[Tensor, Tensor | None] = self.inner(weight)
            return result
        integers, scale = self.inner(weight.detach())
        integers = integers.detach()
        if self.compensate_lr:
            weight = per_scale(weight, 1 - self.alpha)  # 0 at alpha = 1
        if scale is not None and self.asymmetric:
            return self.alpha * asymmetric_weight(integers, scale) + (1 - self.alpha) * weight, None
        if scale is not None:
            # The scale follows behind the reduction. Divided out with its gradient, it leaves a learned scale the derivative alpha q.
            weight = weight / along(torch.where(scale == 0, 1.0, scale), weight)
        return self.alpha * integers + (1 - self.alpha) * weight, scale
