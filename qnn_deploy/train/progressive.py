"""Progressive training: quantities that change at given shares of the epochs, and layers that stop learning."""

from __future__ import annotations

from torch import nn

from qnn_deploy.nn.layers import QuantLayer


def freeze(model: nn.Module, layers: int) -> None:
    """Stop learning in the first ``layers`` quantised layers and the BatchNorms behind them (module order is forward order).

    BatchNorms in front of the first quantised layer, behind a float one, learn on.
    """
    seen = 0
    for module in model.modules():
        if isinstance(module, QuantLayer):
            seen += 1
        if seen > layers:
            return
        if seen and isinstance(module, (QuantLayer, nn.BatchNorm1d, nn.BatchNorm2d)):
            module.requires_grad_(False)
            module.eval()


def at(table: tuple[tuple[float, int], ...], progress: float, default: int) -> int:
    """The value of the last row whose share is reached."""
    return next((value for share, value in reversed(table) if progress >= share), default)
