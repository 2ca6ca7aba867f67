"""A very small binary CNN for scikit-learn's 8x8 digits; trains in seconds on a CPU."""

from __future__ import annotations

from torch import Tensor, nn

from qnn_deploy.nn.layers import InputZero, QuantConv2d, QuantLinear
from qnn_deploy.nn.quantizers import BinaryWeight, SignActivation


class DigitsCnn(nn.Module):
    """conv3x3 - BN - sign - conv3x3 - pool - BN - sign - dense, on [N, 1, 8, 8] uint8 (0..16); logits are integer accumulators.

    Args:
        channels: output channels of the two convolutions.
        classes: number of logits.
    """

    def __init__(self, channels: int = 64, classes: int = 10) -> None:
        super().__init__()
        self.input_shape = (1, 8, 8)
        self.layers = nn.Sequential(
            InputZero([0]),
            QuantConv2d(1, channels, 3, BinaryWeight(), padding=1),
            nn.BatchNorm2d(channels),
            SignActivation(),
            QuantConv2d(channels, channels, 3, BinaryWeight(), padding=1),
            nn.MaxPool2d(2),
            nn.BatchNorm2d(channels),
            SignActivation(),
            nn.Flatten(),
            QuantLinear(16 * channels, classes, BinaryWeight()),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)
