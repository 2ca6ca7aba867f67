"""Modules around a stranger's network, so that it takes integer pixels [N, ...] for any N, as our own networks do."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class PixelInput(nn.Module):
    """``model((float(x) - zero) [* scale])``: a network that starts from floats, behind the integer input that it is fed with.

    Args:
        model: in ``eval()``, where it stays.
        zero: zero point of each channel.
        scale: factor of each channel, or None.
        rank: axes of the input, the batch counted.
    """

    zero: Tensor
    scale: Tensor | None

    def __init__(self, model: nn.Module, zero: Sequence[int], scale: Sequence[float] | None, rank: int) -> None:
        super().__init__()
        shape = (-1,) + (1,) * (rank - 2)
        self.register_buffer("zero", torch.tensor(list(zero), dtype=torch.float32).reshape(shape))
        self.register_buffer("scale", None if scale is None else torch.tensor(list(scale), dtype=torch.float32).reshape(shape))
        self.model = model
        self.training = False

    def train(self, mode: bool = True) -> PixelInput:
        """Does nothing: an oracle stays in ``eval()``."""
        return self

    def forward(self, x: Tensor) -> Tensor:
        y = x.to(torch.float32) - self.zero
        if self.scale is not None:
            y = y * self.scale
        result: Tensor = self.model(y)
        return result


class ProgramModule(nn.Module):
    """An exported program for any number of samples.

    Args:
        program: what ``ExportedProgram.module()`` gives.
        batch: the only batch it takes: samples then go through it in pieces, the last one filled up with zeros. None where it takes any.
    """

    def __init__(self, program: nn.Module, batch: int | None) -> None:
        super().__init__()
        self.program, self.batch = program, batch
        self.training = False

    def train(self, mode: bool = True) -> ProgramModule:
        """Does nothing: a program has no modes."""
        return self

    def forward(self, x: Tensor) -> Tensor:
        if self.batch is None or x.shape[0] == self.batch:
            whole: Tensor = self.program(x)
            return whole
        results = []
        for piece in x.split(self.batch):
            filler = piece.new_zeros((self.batch - len(piece), *piece.shape[1:]))
            results.append(self.program(torch.cat([piece, filler]))[: len(piece)])
        return torch.cat(results)
