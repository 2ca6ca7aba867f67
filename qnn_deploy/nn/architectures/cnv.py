"""CNV: the VGG-like network of FINN (Umuroglu et al. 2017), 8-bit pixels in, by default 1-bit weights and activations, thresholds only."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from qnn_deploy.nn.layers import InputZero, QuantConv2d, QuantLinear
from qnn_deploy.nn.quantizers import Spec, activation_quantizer, weight_quantizer


class Cnv(nn.Module):
    """Stages of two 3x3 convolutions, pooled between, then dense layers; logits are the last layer's integer accumulators.

    Args:
        channels: output channels of each stage (two convolutions each).
        dense: widths of the hidden dense layers.
        classes: number of logits.
        in_channels, size: input [N, in_channels, size, size], uint8.
        padding: zero padding of the convolutions (0 as in FINN).
        zero: zero point of each input channel.
        weights, activations: quantisers of every layer (see `quantizers`).
    """

    def __init__(
        self,
        channels: Sequence[int] = (64, 128, 256),
        dense: Sequence[int] = (512, 512),
        classes: int = 10,
        in_channels: int = 3,
        size: int = 32,
        padding: int = 0,
        zero: Sequence[int] = (125, 123, 114),
        weights: Spec = "binary",
        activations: Spec = "sign",
    ) -> None:
        super().__init__()
        self.input_shape = (in_channels, size, size)
        layers: list[nn.Module] = [InputZero(zero)]
        width = in_channels
        for stage, out in enumerate(channels):
            for conv in range(2):
                layers.append(QuantConv2d(width, out, 3, weight_quantizer(weights), padding=padding))
                size += 2 * padding - 2
                width = out
                if conv == 1 and stage < len(channels) - 1:
                    # Pooled before BatchNorm, so that the sign is taken of centred values (BinaryNet's order).
                    layers.append(nn.MaxPool2d(2))
                    size //= 2
                layers += [nn.BatchNorm2d(out), activation_quantizer(activations, out)]
        layers.append(nn.Flatten())
        width *= size * size
        for out in dense:
            layers += [QuantLinear(width, out, weight_quantizer(weights)), nn.BatchNorm1d(out), activation_quantizer(activations, out)]
            width = out
        layers.append(QuantLinear(width, classes, weight_quantizer(weights)))
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)
